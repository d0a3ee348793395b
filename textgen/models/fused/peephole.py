"""LSTMs whose gates see the memory (Gers & Schmidhuber 2000): i and f see C', o sees C."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from textgen.models.fused.arithmetic import Types
from textgen.models.fused.equations import Backward, Equations, Forward, Span, Tape, Weights
from textgen.models.fused.lstm import LstmBackward, LstmForward


class DiagonalForward(LstmForward):
    """Every gate sees its own unit's memory."""

    def __init__(self, weights: Weights, rows: int, types: Types) -> None:
        super().__init__(weights, rows, types)
        self.inward, self.outward = _diagonal(weights, types)

    @override
    def see_before(self, outer: Tensor, memory: Tensor) -> None:
        outer.view(2, *memory.shape).addcmul_(self.inward, memory)

    @override
    def see_after(self, span: Span, index: int, output: Tensor, memory: Tensor) -> None:
        output.addcmul_(self.outward, memory)


class DiagonalBackward(LstmBackward):
    """The derivatives of ``DiagonalForward``."""

    def __init__(self, weights: Weights, tape: Tape, types: Types) -> None:
        super().__init__(weights, tape, types)
        self.inward, self.outward = _diagonal(weights, types)

    @override
    def return_after(self, index: int, by_output: Tensor) -> None:
        self.memory.addcmul_(self.outward, by_output)

    @override
    def return_before(self, by_outer: Tensor) -> None:
        size = self.size
        self.memory.addcmul_(self.inward[0], by_outer[:size])
        self.memory.addcmul_(self.inward[1], by_outer[size:])

    @override
    def weight_gradients(self, gates: Tensor) -> tuple[Tensor, Tensor | None]:
        recurrent, _ = super().weight_gradients(gates)
        size, carried = self.size, self.tape.carried
        by_outer, by_output = self.gates[:, : 2 * size], self.gates[:, 3 * size :]
        before = by_outer.view(len(by_outer), 2, size, -1) * carried[:-1].unsqueeze(
            1
        )  # (T, 2, H, N)
        after = by_output * carried[1:]
        return recurrent, torch.cat([before.sum((0, 3)), after.sum((0, 2)).unsqueeze(0)])


def _diagonal(weights: Weights, types: Types) -> tuple[Tensor, Tensor]:
    """Peepholes of i and f, (2, H, 1), and of o, (H, 1)."""
    weight = _peephole(weights).to(types.elements).unsqueeze(2)
    return weight[:2], weight[2]


class MatrixForward(LstmForward):
    """Every gate sees every unit's memory.

    In memory the gate o of a step and the gates i and f of the next, which see the same C, are
    neighbours: one product serves all three.
    """

    def __init__(self, weights: Weights, rows: int, types: Types) -> None:
        super().__init__(weights, rows, types)
        self.inward, outward = _peephole(weights).tensor_split([2 * self.size])
        self.joined = torch.cat([outward, self.inward])
        self.narrow = self.weight.new_empty(self.size, rows)

    @override
    def start(self, span: Span) -> None:
        self.shares, size = span.shares.flatten(0, 1), self.size
        self.shares[: 2 * size].addmm_(self.inward, self.narrow.copy_(span.carried[0]))

    @override
    def see_after(self, span: Span, index: int, output: Tensor, memory: Tensor) -> None:
        size = self.size
        begin = (4 * index + 3) * size
        shares = self.shares[begin : begin + 3 * size]  # o alone at the end of a span
        values = self.narrow.copy_(memory) if self.mixed else memory
        shares.addmm_(self.joined if len(shares) > size else self.joined[:size], values)
        if self.mixed:
            output.copy_(shares[:size])


class MatrixBackward(LstmBackward):
    """The derivatives of ``MatrixForward``."""

    def __init__(self, weights: Weights, tape: Tape, types: Types) -> None:
        super().__init__(weights, tape, types)
        inward, outward = _peephole(weights).tensor_split([2 * self.size])
        self.inward, self.outward = inward.t().contiguous(), outward.t().contiguous()
        self.joined = torch.cat([self.outward, self.inward], dim=1)
        self.flat = self.gates.flatten(0, 1)
        self.result = self.weight.new_empty(self.seen.shape)

    @override
    def return_after(self, index: int, by_output: Tensor) -> None:
        size = self.size
        begin = (4 * index + 3) * size
        gates = self.flat[begin : begin + 3 * size]  # o alone at the last step
        if self.types.mixed:
            gates[:size].copy_(by_output)
        self._return(self.joined if len(gates) > size else self.outward, gates)

    @override
    def finish(self) -> None:
        self._return(self.inward, self.flat[: 2 * self.size])

    def _return(self, weight: Tensor, gates: Tensor) -> None:
        """Add W @ ``gates`` to the gradient of the memory."""
        if self.types.mixed:
            torch.mm(weight, gates, out=self.result)
            self.memory.add_(self.hidden.copy_(self.result))
        else:
            self.memory.addmm_(weight, gates)

    @override
    def weight_gradients(self, gates: Tensor) -> tuple[Tensor, Tensor | None]:
        recurrent, _ = super().weight_gradients(gates)
        size = self.size
        memory = self.tape.carried.transpose(1, 2).to(self.types.products)  # (T + 1, N, H)
        inward = gates[: 2 * size] @ memory[:-1].flatten(0, 1)
        outward = gates[3 * size :] @ memory[1:].flatten(0, 1)
        return recurrent, torch.cat([inward, outward])


def _peephole(weights: Weights) -> Tensor:
    if weights.peephole is None:
        raise TypeError("this pass needs peephole weights")
    return weights.peephole


def _is_matrix(weights: Weights) -> bool:
    """Whether they are (3·H, H), not (3, H)."""
    return len(_peephole(weights)) > 3


def _forward(weights: Weights, rows: int, types: Types) -> Forward:
    return (MatrixForward if _is_matrix(weights) else DiagonalForward)(weights, rows, types)


def _backward(weights: Weights, tape: Tape, types: Types) -> Backward:
    return (MatrixBackward if _is_matrix(weights) else DiagonalBackward)(weights, tape, types)


PEEPHOLE = Equations(_forward, _backward)
