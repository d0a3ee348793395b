"""A tensor that grows by one step at a time."""

from __future__ import annotations

import torch
from torch import Tensor

_FIRST_CAPACITY = 32


class Track:
    """Values of each row at each step, (B, K, T) or (B, K, T, …), with room to grow.

    Args:
        like: (B, K) or (B, K, …): shape, type and device of one step's values.
    """

    def __init__(self, like: Tensor) -> None:
        sources, width, *rest = like.shape
        self.buffer = like.new_empty(sources, width, _FIRST_CAPACITY, *rest)
        self.steps = 0

    def append(self, values: Tensor) -> None:
        """Add one step: ``values`` (B, K, …)."""
        if self.buffer.shape[1] != values.shape[1]:
            self.buffer = self.buffer[:, : values.shape[1]].contiguous()
        if self.steps == self.buffer.shape[2]:
            self.buffer = torch.cat([self.buffer, torch.empty_like(self.buffer)], 2)
        self.buffer.select(2, self.steps).copy_(values)
        self.steps += 1

    def rearrange(self, parents: Tensor) -> None:
        """Let row (b, k') continue row (b, ``parents[b, k']``); ``parents`` (B, K')."""
        sources, width = self.buffer.shape[:2]
        rows = flat_rows(parents, width)
        picked = self.buffer.flatten(0, 1).index_select(0, rows)
        self.buffer = picked.view(sources, parents.shape[1], *picked.shape[1:])

    def keep(self, sources: Tensor) -> None:
        """Leave only the given sources (B',)."""
        self.buffer = self.buffer.index_select(0, sources)

    def view(self, width: int) -> Tensor:
        """(B, width, T, …): the first rows of each source, all steps so far."""
        return self.buffer.narrow(1, 0, width).narrow(2, 0, self.steps)


def flat_rows(parents: Tensor, width: int) -> Tensor:
    """Row numbers b·K + k of parents: (B, K') in [0, K) to (B·K') in [0, B·K)."""
    if parents.shape[0] == 1:
        return parents.view(-1)
    offsets = torch.arange(0, parents.shape[0] * width, width, device=parents.device)
    return (parents + offsets.unsqueeze(1)).view(-1)
