"""A cell whose state is a vector and a matrix: fast weights (Ba et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from textgen.models.cells import Cell


class FastWeights(Cell):
    """h = tanh(p + A' tanh(p)) with p = W_x x + b + W_h h', and A = decay·A' + rate·h hᵀ.

    The matrix A remembers the recent outputs: a new one is drawn towards those that it resembles.

    Args:
        input_size: I.
        hidden_size: H.
        decay: share of A that is left after a step.
        rate: weight of the newest output.
    """

    blocks = ("hidden",)

    def __init__(
        self, input_size: int, hidden_size: int, decay: float = 0.9, rate: float = 0.1
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.decay, self.rate = decay, rate

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The output h (H,) and the matrix A (H, H)."""
        return (self.hidden_size,), (self.hidden_size, self.hidden_size)

    def step(
        self, projected: Tensor, layer: tuple[Tensor, ...], recurrent: Tensor
    ) -> tuple[Tensor, ...]:
        """One step; see ``Cell.step``."""
        hidden, matrix = layer
        inner = projected + F.linear(hidden, recurrent)
        seen = torch.einsum("nij,nj->ni", matrix, torch.tanh(inner).to(matrix.dtype))
        hidden = torch.tanh(inner + seen)
        outer = hidden.unsqueeze(2) * hidden.unsqueeze(1)
        return hidden, self.decay * matrix + self.rate * outer.to(matrix.dtype)
