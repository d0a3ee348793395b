"""Models that choose among a part of their vocabulary, where V is what decoding costs.

A batch is given the target tokens that its sources make likely, V' of them instead of V, and the
output layer computes these alone (Jean et al. 2015, "On Using Very Large Target Vocabulary for
Neural Machine Translation"; L'Hostis et al. 2016, "Vocabulary Selection Strategies for Neural
Machine Translation"). To a search such a model is one like any other, with a vocabulary of V'.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from textgen.protocols import Batch

_NUMBERS = 256  # whole numbers that bfloat16 holds exactly, 0 … 255 among them
_COLUMNS = 2
_TINY = 2.0**-60  # its square vanishes beside those of features: cosines stay what they are


@dataclass(frozen=True)
class Shortlist:
    """The target tokens that the sources of a batch may become.

    Attributes:
        tokens: (V',) int64, increasing: the number of each in the whole vocabulary. The special
            ones are the first of both, so they keep their numbers. The last may be repeated to
            round V' up,
            for kernels that like such sizes; nothing becomes a repeated one.
        own: (B, V') bool, which of them each source may become: what a source is given does not
            depend on its neighbours. None where each may become all.
    """

    tokens: Tensor
    own: Tensor | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def shorten(self, tokens: Sequence[int]) -> list[int]:
        """Numbers in the shortlist of tokens that it has."""
        wanted = torch.tensor(list(tokens), dtype=torch.int64, device=self.tokens.device)
        numbers: list[int] = torch.searchsorted(self.tokens, wanted).tolist()
        return numbers

    def rows(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens' rows of an output layer: (V, F) to (V', F) and (V,) to (V',).

        A repeated token has the bias −inf.
        """
        repeated = self.tokens.diff(prepend=self.tokens[:1] - 1) == 0
        return weight[self.tokens], bias[self.tokens].masked_fill(repeated, -torch.inf)

    def lengthen(self, numbers: Tensor) -> Tensor:
        """(…) int64 numbers in the shortlist to tokens of the whole vocabulary."""
        return self.tokens[numbers]


@dataclass(frozen=True)
class ShortlistedState:
    """A model's state, and which source each of its B' groups of rows belongs to.

    Attributes:
        state: of the model.
        sources: (B',) int64, rows of ``Shortlist.own``.
    """

    state: Any
    sources: Tensor

    @property
    def attention(self) -> Tensor | None:
        """(N, T, S) weights of the call that returned this state, or None."""
        weights: Tensor | None = self.state.attention
        return weights

    def select(self, parents: Tensor) -> Self:
        """Rows rearranged within each source, (B', K') int64."""
        return type(self)(self.state.select(parents), self.sources)

    def keep(self, sources: Tensor) -> Self:
        """Only the given sources, (B″,) int64."""
        return type(self)(self.state.keep(sources), self.sources[sources])

    def detach(self) -> Self:
        """The same values without their history."""
        return type(self)(self.state.detach(), self.sources)


class Shortlisted(nn.Module):
    """A model with a vocabulary of V' tokens.

    Its log-probabilities are those of the model renormalised over each source's own tokens; a token
    that a source may not become has −inf. ``output`` must know whose features it is given: where
    the sources differ, features end with two more numbers that tell their source, too small to
    change what anybody computes with features.

    Args:
        model: any model; its ``begin`` and ``features`` are used.
        output: (…, F) features of the model to (…, V') logits of ``shortlist.tokens``.
        shortlist: of the batch that it will be begun with.
    """

    def __init__(
        self, model: nn.Module, output: Callable[[Tensor], Tensor], shortlist: Shortlist
    ) -> None:
        super().__init__()
        self.model, self.output_of, self.shortlist = model, output, shortlist
        # (B, V'), 0 or −inf: adding it is faster than filling −inf in
        self.penalty: Tensor | None = None
        if shortlist.own is not None:
            zeros = torch.zeros_like(shortlist.own, dtype=next(model.parameters()).dtype)
            self.penalty = zeros.masked_fill_(~shortlist.own, -torch.inf)
        self.vocabulary_size = len(shortlist)

    def begin(self, batch: Batch) -> ShortlistedState:
        """The model's state before the first token, K = 1."""
        state = self._model.begin(batch)
        return ShortlistedState(
            state, torch.arange(batch.size, device=self.shortlist.tokens.device)
        )

    def features(
        self, tokens: Tensor, state: ShortlistedState, lengths: Tensor | None = None
    ) -> tuple[Tensor, ShortlistedState]:
        """Read tokens (N, T) of the shortlist; features (N, T, F), or (N, T, F + 2)."""
        whole = self.shortlist.lengthen(tokens)
        features, inner = self._model.features(whole, state.state, lengths)
        if self.penalty is not None:
            features = _told(features, state.sources)
        return features, ShortlistedState(inner, state.sources)

    def output(self, features: Tensor) -> Tensor:
        """Features to (…, V') logits, −inf for what the source may not become."""
        if self.penalty is None:
            return self.output_of(features)
        logits = self.output_of(features[..., :-_COLUMNS])
        rows = self.penalty.index_select(0, _sources(features).flatten())
        return logits.add_(rows.view_as(logits))

    def forward(self, tokens: Tensor, state: ShortlistedState) -> tuple[Tensor, ShortlistedState]:
        """Logits (N, T, V') after each token, and the new state."""
        features, state = self.features(tokens, state)
        return self.output(features), state

    @property
    def _model(self) -> Any:
        return self.model


def _told(features: Tensor, sources: Tensor) -> Tensor:
    """(N, T, F) features with the numbers of their sources (B',) written behind them."""
    digits = torch.stack([sources // _NUMBERS, sources % _NUMBERS], 1)  # (B', 2)
    rows, steps, _ = features.shape
    each = digits.repeat_interleave(rows // len(sources), 0) if len(sources) else digits
    told = each.to(features.dtype) * _TINY
    return torch.cat([features, told.unsqueeze(1).expand(-1, steps, -1)], -1)


def _sources(features: Tensor) -> Tensor:
    """(…) int64 sources that ``_told`` wrote behind features."""
    digits = (features[..., -_COLUMNS:].float() / _TINY).long()
    return digits[..., 0] * _NUMBERS + digits[..., 1]
