"""LSTMs with or without a forget gate and peepholes, one step at a time in place."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from textgen.models.fused.arithmetic import AddedProduct, Types
from textgen.models.fused.equations import Backward, Equations, Forward, Tape, Weights
from textgen.models.fused.peephole import make_peephole

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward.grad_input


class LstmForward(Forward):
    """C = f⊙C' + i⊙C̃ (without a forget gate f = 1), h = o⊙tanh(C).

    Blocks are i, f, C̃, o or i, C̃, o: what sees C' stands first, the last gate may see C.
    """

    def __init__(self, weights: Weights, rows: int, types: Types) -> None:
        self.recurrent = AddedProduct(weights.recurrent, rows, types)
        self.size = weights.recurrent.shape[1]
        self.seen = torch.empty(
            self.size, rows, dtype=types.elements, device=weights.recurrent.device
        )
        self.peephole = make_peephole(weights.peephole, rows, types, backward=False)
        self.mixed = types.mixed

    @override
    def step(
        self, gates: Tensor, hidden: Tensor, before: Tensor, after: Tensor, target: Tensor
    ) -> None:
        self.recurrent.add(gates, hidden)
        outer, candidate, output = gates.split_with_sizes(
            [len(gates) - 2 * self.size, self.size, self.size]
        )
        if self.peephole is not None:
            self.peephole.see_before(outer, before)
        outer.sigmoid_()
        candidate.tanh_()
        if len(outer) > self.size:
            torch.mul(outer[self.size :], before, out=after)
            after.addcmul_(outer[: self.size], candidate)
        else:
            torch.addcmul(before, outer, candidate, out=after)
        if self.peephole is not None:
            self.peephole.see_after(output, after)
        output.sigmoid_()
        torch.tanh(after, out=self.seen)
        if self.mixed:
            target.copy_(self.seen.mul_(output))
        else:
            torch.mul(self.seen, output, out=target)


class LstmBackward(Backward):
    """The derivatives of ``LstmForward``."""

    def __init__(self, weights: Weights, tape: Tape, last: Tensor | None, types: Types) -> None:
        steps, blocks, rows = tape.gates.shape
        size = weights.recurrent.shape[1]
        self.size, self.tape, self.types = size, tape, types
        self.recurrent = AddedProduct(weights.recurrent.t().contiguous(), rows, types)
        self.peephole = make_peephole(weights.peephole, rows, types, backward=True)
        self.gates = torch.empty_like(tape.gates, dtype=types.products)
        # with one type of numbers a step writes where its gradients stay
        self.work = tape.gates.new_empty(1, blocks, rows).expand(steps, -1, -1)
        if not types.mixed:
            self.work = self.gates
        self.seen = tape.carried.new_empty(size, rows)
        self.memory = torch.empty_like(self.seen)
        self.memory.copy_(last.t()) if last is not None else self.memory.zero_()
        self.sizes = [blocks - 2 * size, size, size]

    @override
    def step(self, index: int, gradient: Tensor, before: Tensor) -> None:
        outer, candidate, output = self.tape.gates[index].split_with_sizes(self.sizes)
        work = self.work[index]
        by_outer, by_candidate, by_output = work.split_with_sizes(self.sizes)
        self._through_output(index, gradient, output, by_output)
        self._through_memory(index, outer, candidate, by_outer, by_candidate)
        if self.types.mixed:
            work = self.gates[index].copy_(work)
        if self.peephole is not None:
            self.peephole.return_before(self.memory, by_outer)
        self.recurrent.add(before, work)

    def _through_output(
        self, index: int, gradient: Tensor, output: Tensor, by_output: Tensor
    ) -> None:
        """Through h = o⊙tanh(C): to the gate o and, added up with the rest, to C."""
        torch.tanh(self.tape.carried[index + 1], out=self.seen)
        torch.mul(gradient, self.seen, out=by_output)
        sigmoid_backward(by_output, output, grad_input=by_output)
        tanh_backward(gradient.mul_(output), self.seen, grad_input=gradient)
        self.memory.add_(gradient)
        if self.peephole is not None:
            self.peephole.return_after(self.memory, by_output)

    def _through_memory(
        self, index: int, outer: Tensor, candidate: Tensor, by_outer: Tensor, by_candidate: Tensor
    ) -> None:
        """Through C = f⊙C' + i⊙C̃: to the gates and to C'."""
        size, memory = self.size, self.memory
        torch.mul(memory, candidate, out=by_outer[:size])
        torch.mul(memory, outer[:size], out=by_candidate)
        tanh_backward(by_candidate, candidate, grad_input=by_candidate)
        if len(outer) > size:
            torch.mul(memory, self.tape.carried[index], out=by_outer[size:])
            memory.mul_(outer[size:])
        sigmoid_backward(by_outer, outer, grad_input=by_outer)

    @override
    def first_memory(self) -> Tensor | None:
        return self.memory

    @override
    def weight_gradients(self, gates: Tensor) -> tuple[Tensor, Tensor | None]:
        hidden, carried = self.tape.hidden, self.tape.carried
        recurrent = gates @ hidden[:-1].flatten(0, 1)
        if self.peephole is None:
            return recurrent, None
        spread = gates.view(len(gates), *self.gates.shape[::2])  # (G·H, T, N)
        return recurrent, self.peephole.weight_gradient(spread, carried, self.types)


LSTM = Equations(LstmForward, LstmBackward)
