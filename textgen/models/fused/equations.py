"""What a cell tells the sequence pass: one step forward, one step back, its weight gradients.

All tensors of a step stand feature by row, (H, N), so that a gate is one contiguous block and the
weights are the left operand of every product.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor

from textgen.models.fused.arithmetic import Types


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
    """Steps forward.

    Args:
        weights: recurrent and peephole weights in the type of products.
        rows: N.
        types: types of numbers.
    """

    @abstractmethod
    def __init__(self, weights: Weights, rows: int, types: Types) -> None: ...

    @abstractmethod
    def step(
        self, gates: Tensor, hidden: Tensor, before: Tensor, after: Tensor, target: Tensor
    ) -> None:
        """One step.

        Args:
            gates: (G·H, N) elements, W_x x + b; afterwards the gates' values.
            hidden: (H, N) products, h before.
            before: (H, N) elements, C or h before.
            after: (H, N) elements, receives C or h; it may be ``before`` itself.
            target: (H, N) products, receives h; it may be ``after`` itself.
        """


class Backward(ABC):
    """Steps back.

    Args:
        weights: recurrent and peephole weights in the type of products.
        tape: of the way forward.
        last: gradient of the last C, (N, H), where the state has one.
        types: types of numbers.

    Attributes:
        gates: (T, G·H, N) products, gradients of the gates before sigmoid and tanh.
    """

    gates: Tensor

    @abstractmethod
    def __init__(self, weights: Weights, tape: Tape, last: Tensor | None, types: Types) -> None: ...

    @abstractmethod
    def step(self, index: int, gradient: Tensor, before: Tensor) -> None:
        """One step.

        Args:
            index: of the step.
            gradient: (H, N) elements, of h after the step, complete; is spent.
            before: (H, N) elements: the gradient of h before the step is added to it.
        """

    @abstractmethod
    def first_memory(self) -> Tensor | None:
        """(H, N): the gradient of C before the first step, where the state has one."""

    @abstractmethod
    def weight_gradients(self, gates: Tensor) -> tuple[Tensor, Tensor | None]:
        """Gradients of the recurrent and peephole weights; ``gates`` (G·H, T·N)."""


class Equations(NamedTuple):
    """A cell's two directions."""

    forward: type[Forward]
    backward: type[Backward]
