"""A tensor that grows by one step at a time."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from textgen.rows import source_rows

_FIRST_CAPACITY = 32


class SearchSnapshot(NamedTuple):
    """What a track was at one step; later steps leave it as it is.

    Attributes:
        buffer: (B·K, C, …), of which the first ``steps`` values count.
        of: K, the track's rows of each source.
        width: how many of these count, the first ones.
        steps: T.
    """

    buffer: Tensor
    of: int
    width: int
    steps: int

    def values(self) -> Tensor:
        """(B, width, T, …)."""
        rows, *rest = self.buffer.shape
        values = self.buffer.view(rows // self.of, self.of, *rest).narrow(2, 0, self.steps)
        return values if self.width == self.of else values.narrow(1, 0, self.width)


class TokenBuffer:
    """Values of each row at each step, (B, K, T) or (B, K, T, …), with room to grow.

    Args:
        like: (B, K) or (B, K, …): shape, type and device of one step's values.
    """

    def __init__(self, like: Tensor) -> None:
        sources, self.width, *rest = like.shape
        self.buffer = like.new_empty(sources * self.width, _FIRST_CAPACITY, *rest)  # (B·K, C, …)
        self.steps = 0

    @property
    def capacity(self) -> int:
        """C, steps that there is room for."""
        return self.buffer.shape[1]

    def went_on(self, buffer: Tensor, width: int) -> None:
        """Take over what another rearranged and added one step to: (B·K', C), ``width`` K'."""
        self.buffer, self.width = buffer, width
        self.steps += 1

    def append(self, values: Tensor) -> None:
        """Add one step: ``values`` (B, K', …) with K' ≤ K; the last K − K' rows are dropped."""
        if self.width != values.shape[1]:
            rows, *rest = self.buffer.shape
            kept = self.buffer.view(rows // self.width, self.width, *rest)[:, : values.shape[1]]
            self.buffer = kept.flatten(0, 1)
            self.width = values.shape[1]
        if self.steps == self.buffer.shape[1]:
            self.buffer = torch.cat([self.buffer, torch.empty_like(self.buffer)], 1)
        self.buffer.select(1, self.steps).copy_(values.flatten(0, 1))
        self.steps += 1

    def take(self, rows: Tensor, width: int) -> None:
        """Continue the given rows b·K + k, (B·K',); ``width`` is K'."""
        self.buffer, self.width = self.buffer.index_select(0, rows), width

    def keep(self, sources: Tensor) -> None:
        """Leave only the given sources (B',)."""
        self.take(source_rows(sources, self.width), self.width)

    def moment(self, width: int) -> SearchSnapshot:
        """What it is now, of the first ``width`` rows of each source; costs nothing."""
        return SearchSnapshot(self.buffer, self.width, width, self.steps)

    def view(self, width: int) -> Tensor:
        """(B, width, T, …): the first rows of each source, all steps so far."""
        return self.moment(width).values()
