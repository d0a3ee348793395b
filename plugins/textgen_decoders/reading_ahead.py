"""A model that reads tokens before they are certain, for speculative decoding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from textgen.decoding import flat_rows
from textgen.protocols import Batch, Model


class Plan(NamedTuple):
    """How the next token of every row is to be read.

    Attributes:
        known: the tokens are those that have been read ahead already.
        ahead: (B, K, M) int64, tokens to read with them, because they may come next.
        sources: (B,) int64, whose rows these are.
    """

    known: bool
    ahead: Tensor
    sources: Tensor


@dataclass(frozen=True)
class AheadState:
    """A model's state, and what it has read beyond it.

    Attributes:
        base: the model's own state before ``tokens``.
        end: the model's own state after them.
        tokens: (N, T) int64, read ahead of ``base``; the first ``certain`` are certain.
        features: (N, T, F) after each of them; undefined in rows that have ended.
        weights: (N, T, S) attention of each of them, or None.
        attention: (N, t, S) of the t tokens of the last call, or None.
        sources: (B,) int64.
        width: rows K of each source.
        certain: how many of the tokens have been chosen by now.
    """

    base: Any
    end: Any
    tokens: Tensor
    features: Tensor
    weights: Tensor | None
    attention: Tensor | None
    sources: Tensor
    width: int = 1
    certain: int = 0

    @property
    def known(self) -> tuple[Any, Tensor]:
        """The nearest state of the model's own, and the certain tokens (N, T') after it."""
        if self.certain == self.tokens.shape[1]:
            return self.end, self.tokens[:, :0]
        return self.base, self.tokens[:, : self.certain]

    @property
    def again(self) -> int:
        """Tokens T' that must be read again if the next one was not foreseen."""
        return int(self.known[1].shape[1])

    def step(self) -> tuple[Tensor, Self]:
        """Features (N, 1, F) of the next token read ahead, and the state after it."""
        place = slice(self.certain, self.certain + 1)
        attention = None if self.weights is None else self.weights[:, place]
        after = replace(self, attention=attention, certain=self.certain + 1)
        return self.features[:, place], after

    def select(self, parents: Tensor) -> Self:
        """Rows rearranged within each source, (B, K') int64."""
        states = self.base.select(parents), self.end.select(parents)
        rows = flat_rows(parents, self.width)
        return self._with(states, rows, self.sources, parents.shape[1])

    def keep(self, sources: Tensor) -> Self:
        """Only the given sources, (B',) int64."""
        states = self.base.keep(sources), self.end.keep(sources)
        everybody = torch.arange(self.width, device=sources.device).expand(len(sources), -1)
        rows = (sources.unsqueeze(1) * self.width + everybody).flatten()
        return self._with(states, rows, self.sources[sources], self.width)

    def detach(self) -> Self:
        """The same values without their history."""
        return replace(self, base=self.base.detach(), end=self.end.detach())

    def _with(self, states: tuple[Any, Any], rows: Tensor, sources: Tensor, width: int) -> Self:
        weights, attention = (
            None if each is None else each.index_select(0, rows)
            for each in (self.weights, self.attention)
        )
        tokens, features = (each.index_select(0, rows) for each in (self.tokens, self.features))
        return type(self)(
            *states, tokens, features, weights, attention, sources, width, self.certain
        )


class AheadModel:
    """A model that reads what a plan foresees together with what is certain, in one call.

    Without a plan it does what the model does.

    Args:
        model: reads.

    Attributes:
        plan: for the next call of ``features``, which uses it up.
    """

    def __init__(self, model: Model[Any]) -> None:
        self.model = model
        self.plan: Plan | None = None

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self.model.vocabulary_size

    def begin(self, batch: Batch) -> AheadState:
        """State before the first token."""
        device = None if batch.source is None else batch.source.device
        return begun(self.model.begin(batch), torch.arange(batch.size, device=device))

    def features(
        self, tokens: Tensor, state: AheadState, lengths: Tensor | None = None
    ) -> tuple[Tensor, AheadState]:
        """Read tokens (N, T): features (N, T, F), from the store if they were foreseen."""
        plan, self.plan = self.plan, None
        if plan is not None and plan.known:
            return state.step()
        begin, again = state.known
        parts = [again, tokens]
        if plan is not None:
            rows = torch.searchsorted(plan.sources, state.sources)
            parts.append(plan.ahead.index_select(0, rows).flatten(0, 1))
        read = torch.cat(parts, 1)
        first, last = again.shape[1], again.shape[1] + tokens.shape[1]
        if lengths is not None:
            lengths = lengths + first
        features, end = self.model.features(read, begin, lengths)
        weights: Tensor | None = end.attention
        attention = None if weights is None else weights[:, first:last]
        if read.shape[1] == last:  # nothing was foreseen: all that was read is certain
            begin, read, stored, weights, certain = end, read[:, :0], features[:, :0], None, 0
        else:
            stored, certain = features, last
        after = AheadState(
            begin, end, read, stored, weights, attention, state.sources, state.width, certain
        )
        return features[:, first:last], after

    def output(self, features: Tensor) -> Tensor:
        """(…, F) features to (…, V) logits."""
        return self.model.output(features)

    def __call__(self, tokens: Tensor, state: AheadState) -> tuple[Tensor, AheadState]:
        """Logits (N, T, V), and the new state."""
        features, state = self.features(tokens, state)
        return self.output(features), state


def begun(state: Any, sources: Tensor) -> AheadState:
    """A model's state after ``begin``, for sources (B,) int64, nothing read ahead."""
    nothing = sources.new_zeros(len(sources), 0)
    return AheadState(state, state, nothing, nothing.unsqueeze(2), None, None, sources)
