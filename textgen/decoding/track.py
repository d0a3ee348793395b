"""A tensor that grows by one step at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from textgen.rows import flat_rows, source_rows

_FIRST_CAPACITY = 32


class Track:
    """Values of each row at each step, (B, K, T) or (B, K, T, …), with room to grow.

    Args:
        like: (B, K) or (B, K, …): shape, type and device of one step's values.
    """

    def __init__(self, like: Tensor) -> None:
        sources, self.width, *rest = like.shape
        self.buffer = like.new_empty(sources * self.width, _FIRST_CAPACITY, *rest)  # (B·K, C, …)
        self.steps = 0
        self._seen: tuple[int, Tensor] | None = None

    def append(self, values: Tensor) -> None:
        """Add one step: ``values`` (B, K', …) with K' ≤ K; the last K − K' rows are dropped."""
        if self.width != values.shape[1]:
            self.buffer = self._grouped()[:, : values.shape[1]].flatten(0, 1)
            self.width = values.shape[1]
        if self.steps == self.buffer.shape[1]:
            self.buffer = torch.cat([self.buffer, torch.empty_like(self.buffer)], 1)
        self.buffer.select(1, self.steps).copy_(values.flatten(0, 1))
        self.steps += 1
        self._seen = None

    def rearrange(self, parents: Tensor) -> None:
        """Let row (b, k') continue row (b, ``parents[b, k']``); ``parents`` (B, K')."""
        self.take(flat_rows(parents, self.width), parents.shape[1])

    def take(self, rows: Tensor, width: int) -> None:
        """The same from row numbers b·K + k, (B·K',), where that is known; ``width`` is K'."""
        self.buffer, self.width = self.buffer.index_select(0, rows), width
        self._seen = None

    def keep(self, sources: Tensor) -> None:
        """Leave only the given sources (B',)."""
        self.take(source_rows(sources, self.width), self.width)

    def view(self, width: int) -> Tensor:
        """(B, width, T, …): the first rows of each source, all steps so far."""
        if self._seen is None or self._seen[0] != width:
            values = self._grouped().narrow(2, 0, self.steps)
            values = values if width == self.width else values.narrow(1, 0, width)
            self._seen = width, values
        return self._seen[1]

    def _grouped(self) -> Tensor:
        """(B, K, C, …)."""
        rows, *rest = self.buffer.shape
        return self.buffer.view(rows // self.width, self.width, *rest)
