"""Contrastive search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor
from torch.nn import functional as F

from textgen.decoding import TokenBuffer, best_moves, search
from textgen.protocols import Beam, Hypotheses, Pick, Session
from textgen_decoders.greedy import Greedy


@dataclass(frozen=True)
class Contrastive:
    """A likely token whose hidden state is unlike all that came before.

    Of the k likeliest tokens after the filters the one with the largest
    (1 − α) · p(v) − α · max_j cos(h_v, h_j): p is the filtered distribution, h_v the model's
    features once it has read v, h_j its features after each earlier token, bos, prompt and forced
    beginning included. α = 0 is greedy search. The model reads k tokens more for each that it
    says. One hypothesis for each source, whatever number of samples is asked for: it has no chance
    in it.
    Su et al. 2022, "A contrastive framework for neural text generation".

    Example: --decode contrastive:k=5,alpha=0.6
    """

    k: Annotated[int, Ge(1), "candidates k at every step"] = 5
    alpha: Annotated[float, Ge(0), Le(1), "weight α of being unlike the rest"] = 0.6

    def __call__(self, session: Session) -> Hypotheses:
        """Decode; (B, 1) hypotheses."""
        if self.alpha == 0 or self.k == 1:
            return Greedy()(session)
        return search(session, _Running(self, session).pick)


class _Running:
    """One contrastive search: the directions of all features so far.

    Attributes:
        given: (B, P, F) float32, of unit length, those of the prefix.
        real: (B, 1, P) bool, no padding.
        said: (B, 1, T, F) float32, of unit length, those of the generated tokens.
        sources: (B,) int64, whose these are.
    """

    def __init__(self, options: Contrastive, session: Session) -> None:
        self.options, self.session = options, session
        self.said: TokenBuffer | None = None

    def pick(self, log_probs: Tensor, beam: Beam) -> Pick:
        """Each row goes on with the best of its k candidates."""
        self._remember(beam)
        moves = best_moves(log_probs, torch.zeros_like(beam.scores), self.options.k)
        likelihood = torch.softmax(log_probs.squeeze(1), -1).gather(1, moves.tokens)  # (B, k)
        alpha = self.options.alpha
        value = (1 - alpha) * likelihood - alpha * self._likeness(moves.tokens, beam)
        best = value.masked_fill(moves.scores == -torch.inf, -torch.inf).argmax(1, keepdim=True)
        return Pick(None, moves.tokens.gather(1, best))

    def _remember(self, beam: Beam) -> None:
        """Take in the features at the newest token; at first those of the whole prefix."""
        if self.said is None:
            session, lengths = self.session, beam.prefix_lengths
            features, _ = session.model.features(session.prefix, session.state, lengths)
            place = torch.arange(features.shape[1], device=features.device)
            self.real = (place < lengths.unsqueeze(1)).unsqueeze(1)
            self.given = _directions(features).masked_fill(~self.real.transpose(1, 2), 0.0)
            self.said = TokenBuffer(_directions(beam.features))
            self.sources = beam.sources
            return
        if len(self.sources) != len(beam.sources):
            stay = torch.searchsorted(self.sources, beam.sources)
            self.given, self.real = self.given[stay], self.real[stay]
            self.said.keep(stay)
            self.sources = beam.sources
        self.said.append(_directions(beam.features))

    def _likeness(self, tokens: Tensor, beam: Beam) -> Tensor:
        """(B, k): the largest cosine of each candidate's features with any before."""
        sources, count = tokens.shape
        state = beam.state.select(torch.zeros_like(tokens))
        features, _ = self.session.model.features(tokens.reshape(-1, 1), state)
        own = _directions(features).view(sources, count, -1)
        cosines = own @ self.given.transpose(1, 2)  # (B, k, P)
        cosines = cosines.masked_fill(~self.real, -torch.inf)
        largest = cosines.amax(2)
        if self.said is None or not beam.step:
            return largest
        said = self.said.view(1).squeeze(1)  # (B, T, F)
        return torch.maximum(largest, (own @ said.transpose(1, 2)).amax(2))


def _directions(features: Tensor) -> Tensor:
    """Features (…, F) made unit length, float32; zeros stay zeros."""
    return F.normalize(features.float(), dim=-1)
