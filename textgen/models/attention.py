"""Attention: score, softmax, context, attention vector (Bahdanau 2015, Luong 2015).

For decoder states h (queries) and encoder states h̄_s (memory), padding masked out:
α_s = softmax_s(score(h, h̄_s)), c = Σ_s α_s h̄_s, a = tanh(W_c[c; h]).

What depends on the source alone is computed once for each source: the keys of the score, and
the values W_cc h̄_s, since W_c[c; h] = Σ_s α_s (W_cc h̄_s) + W_ch h.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from textgen.errors import ConfigError
from textgen.models.products import Precision, Product, prepack
from textgen.native import Attended, kernels


@dataclass(frozen=True)
class Memory:
    """What the decoder attends to, kept once for each source.

    Attributes:
        keys: (B, S, D), what queries are scored against.
        values: (B, S, H), the memory's share of the attention vector.
        mask: (B, 1, S) float32 that scores are added to: −inf where there is no token, else 0.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor

    def keep(self, sources: Tensor) -> Memory:
        """Only the given sources, (B',) int64."""
        parts = self.keys, self.values, self.mask
        return Memory(*(part.index_select(0, sources) for part in parts))

    def detach(self) -> Memory:
        """The same values without their history."""
        return Memory(self.keys.detach(), self.values.detach(), self.mask)


class Score(nn.Module, ABC):
    """How well a query fits a state of the memory."""

    factor: float = 1.0
    """Of a score that is a product."""
    additive: Tensor | None = None
    """(D,) v_a of an additive score with weights prepacked, else None."""

    def prepack(self, precision: Precision | None) -> None:
        """Get ready to be asked for single steps; None takes it back."""

    def side(self, queries: Tensor) -> Tensor:
        """The query's side in single steps: (N, H) to (N, D)."""
        return queries

    @abstractmethod
    def keys(self, states: Tensor) -> Tensor:
        """The memory's side, once for each source: (B, S, M) to (B, S, D)."""

    @abstractmethod
    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Scores (B, Q, S) of queries (B, Q, H) against keys (B, S, D)."""


class DotScore(Score):
    """h·h̄ (Luong 2015), or h·h̄ / √H (Vaswani 2017) where ``scaled``.

    Args:
        hidden: H, which must be the memory's width M.
        memory: M.
        scaled: divide by √H.

    Raises:
        ConfigError: if H and M differ.
    """

    def __init__(self, hidden: int, memory: int, *, scaled: bool) -> None:
        super().__init__()
        if hidden != memory:
            problem = (
                f"model.attention: a dot product needs encoder states as wide as the decoder's "
                f"({memory} and {hidden} here): set model.encoder_hidden, or use 'general'."
            )
            raise ConfigError([problem])
        self.factor = 1 / math.sqrt(hidden) if scaled else 1.0

    @override
    def keys(self, states: Tensor) -> Tensor:
        return states

    @override
    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        scores = torch.bmm(queries, keys.transpose(1, 2))
        return scores if self.factor == 1 else scores * self.factor


class GeneralScore(Score):
    """hᵀ W_a h̄ (Luong 2015).

    Args:
        hidden: H.
        memory: M.
    """

    def __init__(self, hidden: int, memory: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(hidden, memory))
        nn.init.xavier_uniform_(self.weight)
        self._keys: Product | None = None

    @override
    def prepack(self, precision: Precision | None) -> None:
        self._keys = None if precision is None else prepack(self.weight, None, precision)

    @override
    def keys(self, states: Tensor) -> Tensor:
        return _product(states, self.weight, self._keys)

    @override
    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        return torch.bmm(queries, keys.transpose(1, 2))


class AdditiveScore(Score):
    """v_aᵀ tanh(W_a[h; h̄]) (Bahdanau 2015), W_a split into the two sides.

    Args:
        hidden: H.
        memory: M.
    """

    def __init__(self, hidden: int, memory: int) -> None:
        super().__init__()
        self.weight_query = nn.Parameter(torch.empty(hidden, hidden))
        self.weight_memory = nn.Parameter(torch.empty(hidden, memory))
        self.vector = nn.Parameter(torch.empty(1, hidden))
        for weight in (self.weight_query, self.weight_memory, self.vector):
            nn.init.xavier_uniform_(weight)
        self._query: Product | None = None
        self._keys: Product | None = None

    @override
    def prepack(self, precision: Precision | None) -> None:
        self._query = self._keys = self.additive = None
        if precision is not None:
            self._query = prepack(self.weight_query, None, precision)
            self._keys = prepack(self.weight_memory, None, precision)
            self.additive = self.vector.detach().float().flatten()

    @override
    def side(self, queries: Tensor) -> Tensor:
        return self._query(queries) if self._query is not None else queries

    @override
    def keys(self, states: Tensor) -> Tensor:
        return _product(states, self.weight_memory, self._keys)

    @override
    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        vector: Tensor = self.vector
        if self._query is not None:
            queries, vector = queries.to(vector.dtype), vector.to(keys.dtype)
        sides = _product(queries, self.weight_query, self._query).to(keys.dtype)
        # (B, Q, 1, H) + (B, 1, S, H)
        joined = torch.tanh(sides.unsqueeze(2) + keys.unsqueeze(1))
        return F.linear(joined, vector).squeeze(-1)


def make_score(name: str, hidden: int, memory: int) -> Score:
    """A score by its configuration name: dot, scaled-dot, general, additive."""
    if name == "general":
        return GeneralScore(hidden, memory)
    if name == "additive":
        return AdditiveScore(hidden, memory)
    return DotScore(hidden, memory, scaled=name == "scaled-dot")


class Attention(nn.Module):
    """Score, softmax and attention vector.

    Args:
        name: of the score: dot, scaled-dot, general, additive.
        hidden: H of queries and of the attention vector.
        memory: M of the encoder's states.
    """

    def __init__(self, name: str, hidden: int, memory: int) -> None:
        super().__init__()
        self.score = make_score(name, hidden, memory)
        self.weight_context = nn.Parameter(torch.empty(hidden, memory))
        self.weight_hidden = nn.Parameter(torch.empty(hidden, hidden))
        bound = math.sqrt(6 / (hidden + memory + hidden))
        for weight in (self.weight_context, self.weight_hidden):
            nn.init.uniform_(weight, -bound, bound)
        self._hidden: Product | None = None
        self._context: Product | None = None

    def prepack(self, precision: Precision | None) -> None:
        """Prepack the weights for single steps; None takes it back."""
        self.score.prepack(precision)
        self._hidden = self._context = None
        if precision is not None:
            self._hidden = prepack(self.weight_hidden, None, precision)
            self._context = prepack(self.weight_context, None, precision)

    def memory(self, states: Tensor, lengths: Tensor) -> Memory:
        """What is kept of a source: states (B, S, M) and their lengths (B,) int64 ≥ 1."""
        positions = torch.arange(states.shape[1], device=states.device)
        padding = (positions >= lengths.unsqueeze(1)).unsqueeze(1)
        mask = torch.zeros(padding.shape, device=states.device)
        keys = self.score.keys(states)
        values = _product(states, self.weight_context, self._context)
        if self._hidden is not None and states.is_cpu:
            # small products of one source each: those of 32 bits start sooner
            keys, values = keys.float(), values.float()
        return Memory(keys, values, mask.masked_fill_(padding, -torch.inf))

    def forward(self, queries: Tensor, hidden: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Attend.

        Args:
            queries: (N, T, H) states that are scored: h_t, or h_{t−1}.
            hidden: (N, T, H) states h_t that join the context.
            memory: of B sources, N = B·K.

        Returns:
            Attention vectors (N, T, H) and weights α (N, T, S).
        """
        rows, steps, size = queries.shape
        sources = memory.keys.shape[0]
        grouped = queries.reshape(sources, -1, size)  # (B, K·T, H)
        wide = grouped.dtype if self._hidden is None else memory.keys.dtype
        scores = self.score(grouped.to(wide), memory.keys.to(wide))
        # a score of 16 bits becomes one of 32
        weights = (scores + memory.mask).softmax(dim=-1)
        context = torch.bmm(weights.to(memory.values.dtype), memory.values)
        context = context.reshape(rows, steps, -1)
        given = F.linear(hidden, self.weight_hidden)
        vectors = torch.tanh(context + given.to(context.dtype)).to(hidden.dtype)
        return vectors, weights.reshape(rows, steps, -1)

    def step(self, query: Tensor, hidden: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Attend from single steps with weights prepacked.

        Args:
            query: (N, H).
            hidden: (N, H).
            memory: of B sources, N = B·K.

        Returns:
            Attention vectors (N, H) and weights α (N, 1, S).
        """
        given = (
            F.linear(hidden, self.weight_hidden) if self._hidden is None else self._hidden(hidden)
        )
        keys, values = memory.keys, memory.values
        compiled = kernels()
        here = self._hidden is not None and keys.is_cpu and keys.dtype == torch.float32
        if compiled is not None and here:
            score = self.score
            attended = Attended(keys, values, memory.mask, score.additive, score.factor)
            asked, given = score.side(query), given.float()
            found, weights = compiled.attend(asked, given, attended, hidden.dtype)
            return found, weights.unsqueeze(1)
        grouped = query.to(keys.dtype).view(keys.shape[0], -1, query.shape[1])  # (B, K, H)
        weights = (self.score(grouped, keys) + memory.mask).softmax(dim=-1)
        context = torch.bmm(weights.to(values.dtype), values).view(hidden.shape)
        vectors = context.add_(given).tanh_().to(hidden.dtype)
        return vectors, weights.view(len(hidden), 1, -1)


def _product(values: Tensor, weight: Tensor, prepacked: Product | None) -> Tensor:
    """(A, B, I) times Wᵀ, (A, B, O)."""
    if prepacked is None:
        return F.linear(values, weight)
    return prepacked(values.flatten(0, 1)).view(*values.shape[:2], -1)
