"""A small model that drafts the tokens of a larger one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from textgen.decoding import draw, padded
from textgen.decoding.validation import apply_filters
from textgen.errors import UsageError
from textgen.protocols import AuxiliaryModel, Batch, Beam, Session

_MOST_SOURCE = 1000  # tokens of a source that a draft looks at


class Drafter:
    """The draft of one search: what it offers now, and what it has proposed for later.

    Its distributions q go through the session's filters, but for those that keep something for
    each row: these may be asked only about what is certain.

    Args:
        auxiliary: the draft model.
        session: of the model that decodes.

    Attributes:
        proposed: (B, K, M) int64, tokens proposed to follow those that are certain.
    """

    def __init__(self, auxiliary: AuxiliaryModel, session: Session) -> None:
        self.auxiliary, self.model, self.session = auxiliary, auxiliary.model, session
        self.filters = [
            each for each in session.filters if not callable(getattr(each, "start", None))
        ]
        self.forbidden = session.prefix.new_tensor(session.forbidden)
        self.sources = torch.arange(len(session.limit), device=session.limit.device)
        self.proposed = session.prefix[:, :0].unsqueeze(1)
        # after what is certain and 0, 1, …, M of the proposed tokens
        self._states: list[Any] = []
        self._offers: list[Tensor] = []  # each (B, K, V), before any filter

    def offer(self, beam: Beam) -> Tensor:
        """Filtered log-probabilities (B, K, V) of the next token."""
        if not self._states:
            self._begin(beam.width)
        elif len(beam.sources) != len(self.sources):
            stay = torch.searchsorted(self.sources, beam.sources)
            self._states = [state.keep(stay) for state in self._states]
            self._offers = [offer.index_select(0, stay) for offer in self._offers]
            self.proposed = self.proposed.index_select(0, stay)
            self.sources = beam.sources
        return self._filtered(self._offers[0], beam)

    def agrees(self, beam: Beam, tokens: Tensor) -> bool:
        """Whether the next tokens (B, K) int64 are those proposed, in rows that go on."""
        if not self.proposed.shape[2]:
            return False
        ended = beam.finished | (tokens == beam.special.eos)
        return bool((ended | (tokens == self.proposed[:, :, 0])).all())

    def accept(self) -> None:
        """The first proposed token of every row is certain now."""
        del self._states[0], self._offers[0]
        self.proposed = self.proposed[:, :, 1:]

    def propose(self, beam: Beam, tokens: Tensor, count: int) -> None:
        """The next tokens (B, K) int64 are certain: read them, and propose M = ``count`` more."""
        said = [tokens]
        self._states, self._offers = self._states[:1], []
        self._read(tokens)
        for _ in range(count):
            future = _imagined(beam, torch.stack(said, 2))
            offer = self._filtered(self._offers[-1], future)
            said.append(draw(offer, beam.random.uniform(future)))
            self._read(said[-1])
        del self._states[0]
        self.proposed = torch.stack(said, 2)[:, :, 1:]

    def _begin(self, width: int) -> None:
        """Read the prefixes."""
        prefix, lengths = self.session.prefix, self.session.prefix_lengths
        begun = self.model.begin(_batch(self.auxiliary, self.session))
        features, state = self.model.features(prefix, begun, lengths)
        last = features[self.sources, lengths - 1].unsqueeze(1)  # (B, 1, F)
        self._states = [state.select(lengths.new_zeros(len(lengths), width))]
        self._offers = [self._log_probs(last).expand(-1, width, -1)]
        self.proposed = self.proposed.expand(-1, width, -1)

    def _read(self, tokens: Tensor) -> None:
        """One more token (B, K) of every row."""
        features, state = self.model.features(tokens.reshape(-1, 1), self._states[-1])
        self._states.append(state)
        self._offers.append(self._log_probs(features.reshape(*tokens.shape, -1)))

    def _log_probs(self, features: Tensor) -> Tensor:
        """(B, K, F) to (B, K, V), with the tokens forbidden that a search forbids."""
        scores = torch.log_softmax(self.model.output(features), -1, dtype=torch.float32)
        return scores.index_fill_(-1, self.forbidden, -torch.inf)

    def _filtered(self, offer: Tensor, beam: Beam) -> Tensor:
        return apply_filters(self.filters, offer, beam, self.forbidden, beam.special.eos)


def _batch(auxiliary: AuxiliaryModel, session: Session) -> Batch:
    """What the draft is begun with: a translator reads the source texts with its own tokenizer.

    Raises:
        UsageError: if it reads sources and the session has no texts.
    """
    tokenizer, size = auxiliary.source_tokenizer, len(session.limit)
    if tokenizer is None:
        return Batch(size)
    if not session.texts:
        raise UsageError(
            f"speculative: the draft {auxiliary.name} is a translator and needs the source texts, "
            "which this job does not have: use a language model of the target side as draft."
        )
    encoded = (tokenizer.encode(text)[:_MOST_SOURCE] for text in session.texts)
    rows = [[*tokens, tokenizer.special.eos] for tokens in encoded]
    return Batch(size, *padded(rows, tokenizer.special.pad, session.limit.device))


def _imagined(beam: Beam, tokens: Tensor) -> Beam:
    """The beam as it will be if tokens (B, K, M) int64 come next."""
    count = tokens.shape[2]
    costs = beam.log_probs.new_zeros(tokens.shape)
    attention = beam.attention
    if attention is not None:
        unseen = attention.new_zeros(*tokens.shape, attention.shape[3])
        attention = torch.cat([attention, unseen], 2)
    return replace(
        beam,
        tokens=torch.cat([beam.tokens, tokens], 2),
        log_probs=torch.cat([beam.log_probs, costs], 2),
        lengths=beam.lengths + count * ~beam.finished,
        attention=attention,
        parents=None,
    )
