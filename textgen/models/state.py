"""The recurrent state as a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from textgen.rows import flat_rows, source_rows

Layer = tuple[Tensor, ...]
"""The state of one layer: (h,) or (h, C), each (N, H), or what else a cell remembers, (N, …)."""


@dataclass(frozen=True)
class RecurrentState:
    """What a stack of recurrent layers remembers.

    Attributes:
        layers: for each layer (h,) or (h, C), each (N, H), or what else its cell remembers.
        width: hypotheses K of each source; N = B·K.
    """

    layers: tuple[Layer, ...]
    width: int = 1

    @property
    def attention(self) -> Tensor | None:
        """A recurrent stack attends to nothing."""
        return None

    def select(self, parents: Tensor) -> Self:
        """Rows rearranged within each source: ``parents`` (B, K') int64 in [0, K)."""
        return self.take(flat_rows(parents, self.width), parents.shape[1])

    def keep(self, sources: Tensor) -> Self:
        """Only the given sources: ``sources`` (B',) int64."""
        return self.take(source_rows(sources, self.width), self.width)

    def take(self, rows: Tensor, width: int) -> Self:
        """The given rows (N',) int64, in groups of ``width``."""
        return self._map(lambda part: part.index_select(0, rows), width)

    def detach(self) -> Self:
        """The same values without their history."""
        return self._map(torch.detach, self.width)

    def tensors(self) -> list[Tensor]:
        """All tensors in a fixed order, for saving."""
        return [part for layer in self.layers for part in layer]

    def with_tensors(self, tensors: Sequence[Tensor]) -> Self:
        """The same structure with other values, in the order of ``tensors``."""
        values = iter(tensors)
        layers = tuple(tuple(next(values) for _ in layer) for layer in self.layers)
        return type(self)(layers, self.width)

    def _map(self, change: Callable[[Tensor], Tensor], width: int) -> Self:
        return type(self)(
            tuple(tuple(change(part) for part in layer) for layer in self.layers), width
        )
