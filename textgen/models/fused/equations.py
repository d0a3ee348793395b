"""What a cell tells the sequence pass: its steps forward, its steps back, its weights' gradients.

All tensors of a step stand feature by row, (H, N): a gate is one contiguous block, and weights are
the left operand of every product. That is the faster side: torch's bfloat16 kernels re-pack the
right operand at each call, which is better done to the small one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from textgen.models.fused.arithmetic import Types

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
"""(gradient, σ(x), grad_input=target): the gradient of x."""
tanh_backward = torch.ops.aten.tanh_backward.grad_input
"""(gradient, tanh(x), grad_input=target): the gradient of x."""


class Weights(NamedTuple):
    """The weights of one layer.

    Attributes:
        inward: (G·H, I) for the input.
        bias: (G·H,).
        recurrent: (G·H, H).
        peephole: (3, H) or (3·H, H) from the memory to gates, where the cell has them.
    """

    inward: Tensor
    bias: Tensor
    recurrent: Tensor
    peephole: Tensor | None = None


class Span(NamedTuple):
    """Buffers of L steps one after the other.

    Attributes:
        shares: (L, G·H, N) products, W_x x + b; they are spent.
        gates: (L, G·H, N) elements, receive the gates after sigmoid and tanh; the same tensor as
            ``shares`` where there is one type of numbers.
        hidden: (L + 1, H, N) products, h before and after each step; the first is given.
        carried: (L + 1, H, N) elements, C of an LSTM and h of a GRU, likewise. All its entries
            may be one memory where nothing is kept for the way back.
    """

    shares: Tensor
    gates: Tensor
    hidden: Tensor
    carried: Tensor


class Tape(NamedTuple):
    """What the way forward leaves for the way back.

    Attributes:
        gates: (T, G·H, N) elements, after sigmoid and tanh.
        carried: (T + 1, H, N) elements: C of an LSTM, h of a GRU, before and after each step.
        hidden: (T + 1, N, H) products: h before and after each step.
    """

    gates: Tensor
    carried: Tensor
    hidden: Tensor


class Forward(ABC):
    """Steps forward."""

    @abstractmethod
    def run(self, span: Span) -> None:
        """All steps of a span."""


class Backward(ABC):
    """Steps back.

    Attributes:
        gates: (T, G·H, N) products, gradients of the gates before sigmoid and tanh, once run.
    """

    gates: Tensor

    @abstractmethod
    def run(self, gradients: Tensor, last: Tensor | None) -> tuple[Tensor, ...]:
        """All steps.

        Args:
            gradients: (T + 1, H, N) products: of h after each step, as far as they come from
                outside; the first is 0. They are spent.
            last: (H, N) elements, gradient of the last C, where the state has one.

        Returns:
            (H, N) each, gradients of the first state.
        """

    @abstractmethod
    def weight_gradients(self, gates: Tensor) -> tuple[Tensor, Tensor | None]:
        """Gradients of the recurrent and peephole weights; ``gates`` is (G·H, T·N)."""


class Equations(NamedTuple):
    """A cell's two directions; weights are in the type of products.

    Attributes:
        forward: of weights, N and types.
        backward: of weights, tape and types.
    """

    forward: Callable[[Weights, int, Types], Forward]
    backward: Callable[[Weights, Tape, Types], Backward]
