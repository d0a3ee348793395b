"""What the gates of an LSTM see of its memory (Gers & Schmidhuber 2000), forward and back."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor
from typing_extensions import override

from textgen.models.fused.arithmetic import AddedProduct, Types


class Peephole(ABC):
    """Peepholes of the gates i, f (which see C') and o (which sees C); tensors are (A, N)."""

    @abstractmethod
    def see_before(self, gates: Tensor, memory: Tensor) -> None:
        """Add to ``gates`` (2·H, N), i above f, what they see of C' (H, N)."""

    @abstractmethod
    def see_after(self, gate: Tensor, memory: Tensor) -> None:
        """Add to the gate o (H, N) what it sees of C (H, N)."""

    @abstractmethod
    def return_before(self, memory: Tensor, gates: Tensor) -> None:
        """Add to the gradient of C' (H, N) what comes from those of i and f (2·H, N)."""

    @abstractmethod
    def return_after(self, memory: Tensor, gate: Tensor) -> None:
        """Add to the gradient of C (H, N) what comes from that of o (H, N)."""

    @abstractmethod
    def weight_gradient(self, gates: Tensor, carried: Tensor, types: Types) -> Tensor:
        """The gradient of the weights.

        Args:
            gates: (4·H, T, N) products, gradients of i, f, candidate, o.
            carried: (T + 1, H, N) elements, C before and after each step.
            types: types of numbers.
        """


class MatrixPeephole(Peephole):
    """Every gate sees every unit's memory.

    Args:
        weight: (3·H, H) in the type of products.
        rows: N.
        types: types of numbers.
        backward: for the way back, which multiplies with the transposes.
    """

    def __init__(self, weight: Tensor, rows: int, types: Types, *, backward: bool) -> None:
        inward, outward = weight.tensor_split([2 * weight.shape[1]])
        if backward:
            inward, outward = inward.t().contiguous(), outward.t().contiguous()
        self.inward = AddedProduct(inward, rows, types)
        self.outward = AddedProduct(outward, rows, types)

    @override
    def see_before(self, gates: Tensor, memory: Tensor) -> None:
        self.inward.add(gates, memory)

    @override
    def see_after(self, gate: Tensor, memory: Tensor) -> None:
        self.outward.add(gate, memory)

    @override
    def return_before(self, memory: Tensor, gates: Tensor) -> None:
        self.inward.add(memory, gates)

    @override
    def return_after(self, memory: Tensor, gate: Tensor) -> None:
        self.outward.add(memory, gate)

    @override
    def weight_gradient(self, gates: Tensor, carried: Tensor, types: Types) -> Tensor:
        size = carried.shape[1]
        memory = carried.transpose(1, 2).to(types.products).contiguous()  # (T + 1, N, H)
        flat = gates.flatten(1)
        gradient = flat.new_empty(3 * size, size)
        gradient[: 2 * size] = flat[: 2 * size] @ memory[:-1].flatten(0, 1)
        gradient[2 * size :] = flat[3 * size :] @ memory[1:].flatten(0, 1)
        return gradient


class DiagonalPeephole(Peephole):
    """Every gate sees its own unit's memory.

    Args:
        weight: (3, H).
        types: types of numbers.
    """

    def __init__(self, weight: Tensor, types: Types) -> None:
        self.weight = weight.to(types.elements).unsqueeze(2)  # (3, H, 1)
        self.outward = self.weight[2]

    @override
    def see_before(self, gates: Tensor, memory: Tensor) -> None:
        gates.view(2, *memory.shape).addcmul_(self.weight[:2], memory)

    @override
    def see_after(self, gate: Tensor, memory: Tensor) -> None:
        gate.addcmul_(self.outward, memory)

    @override
    def return_before(self, memory: Tensor, gates: Tensor) -> None:
        inward, forget = gates.chunk(2)
        memory.addcmul_(self.weight[0], inward).addcmul_(self.weight[1], forget)

    @override
    def return_after(self, memory: Tensor, gate: Tensor) -> None:
        memory.addcmul_(self.outward, gate)

    @override
    def weight_gradient(self, gates: Tensor, carried: Tensor, types: Types) -> Tensor:
        size = carried.shape[1]
        memory = carried.transpose(0, 1)  # (H, T + 1, N)
        before, after = memory[:, :-1], memory[:, 1:]
        gradient = self.weight.new_empty(3, size)
        gradient[0] = (gates[:size] * before).sum((1, 2))
        gradient[1] = (gates[size : 2 * size] * before).sum((1, 2))
        gradient[2] = (gates[3 * size :] * after).sum((1, 2))
        return gradient


def make_peephole(
    weight: Tensor | None, rows: int, types: Types, *, backward: bool
) -> Peephole | None:
    """The kind that the weight's shape tells, (3·H, H) or (3, H); None for no weight."""
    if weight is None:
        return None
    if weight.shape[0] == 3 * weight.shape[1] and weight.shape[1] > 1:
        return MatrixPeephole(weight, rows, types, backward=backward)
    return DiagonalPeephole(weight, types)
