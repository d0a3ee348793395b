"""LSTMs with or without a forget gate, step by step in place; peepholes hook in."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from textgen.models.fused.arithmetic import Types
from textgen.models.fused.equations import (
    Backward,
    Equations,
    Forward,
    Span,
    Tape,
    Weights,
    sigmoid_backward,
    tanh_backward,
)


class LstmForward(Forward):
    """C = f⊙C' + i⊙C̃ (without a forget gate f = 1), h = o⊙tanh(C).

    Blocks are i, f, C̃, o or i, C̃, o.

    Args:
        weights: in the type of products.
        rows: N.
        types: types of numbers.
    """

    def __init__(self, weights: Weights, rows: int, types: Types) -> None:
        self.weight, self.mixed = weights.recurrent, types.mixed
        blocks, self.size = self.weight.shape
        self.forget = blocks == 4 * self.size
        self.seen = self.weight.new_empty(self.size, rows, dtype=types.elements)

    def start(self, span: Span) -> None:
        """Before the first step of a span."""

    def see_before(self, outer: Tensor, memory: Tensor) -> None:
        """What the gates i and f (2·H, N) see of C' (H, N)."""

    def see_after(self, span: Span, index: int, output: Tensor, memory: Tensor) -> None:
        """What the gate o (H, N) sees of C (H, N)."""

    @override
    def run(self, span: Span) -> None:
        size, seen = self.size, self.seen
        hidden, carried = span.hidden.unbind(0), span.carried.unbind(0)
        outers = span.gates[:, : -2 * size].unbind(0)
        candidates, outputs = _last_blocks(span.gates, size)
        gates = span.gates.unbind(0)
        self.start(span)
        for index, shares in enumerate(span.shares.unbind(0)):
            shares.addmm_(self.weight, hidden[index])
            if self.mixed:
                gates[index].copy_(shares)
            outer, candidate, output = outers[index], candidates[index], outputs[index]
            before, after = carried[index], carried[index + 1]
            self.see_before(outer, before)
            outer.sigmoid_()
            candidate.tanh_()
            if self.forget:
                torch.mul(outer[size:], before, out=after)
                after.addcmul_(outer[:size], candidate)
            else:
                torch.addcmul(before, outer, candidate, out=after)
            self.see_after(span, index, output, after)
            output.sigmoid_()
            torch.tanh(after, out=seen)
            if self.mixed:
                hidden[index + 1].copy_(seen.mul_(output))
            else:
                torch.mul(seen, output, out=hidden[index + 1])


class LstmBackward(Backward):
    """The derivatives of ``LstmForward``.

    Args:
        weights: in the type of products.
        tape: of the way forward.
        types: types of numbers.
    """

    def __init__(self, weights: Weights, tape: Tape, types: Types) -> None:
        self.tape, self.types = tape, types
        self.weight = weights.recurrent.t().contiguous()
        self.size = size = len(self.weight)
        self.gates = torch.empty_like(tape.gates, dtype=types.products)
        self.seen, self.hidden, self.memory = tape.carried.new_empty(3, size, tape.gates.shape[2])
        # with one type of numbers a step writes where its gradients stay
        self.work = torch.empty_like(tape.gates[:1]).expand_as(tape.gates)
        if not types.mixed:
            self.work = self.gates

    def return_after(self, index: int, by_output: Tensor) -> None:
        """Add to the gradient of C what comes from that of the gate o (H, N)."""

    def return_before(self, by_outer: Tensor) -> None:
        """Add to the gradient of C' what comes from those of i and f (2·H, N)."""

    def finish(self) -> None:
        """After the first step, the last to come."""

    @override
    def run(self, gradients: Tensor, last: Tensor | None) -> tuple[Tensor, ...]:
        size, tape = self.size, self.tape
        self.memory.zero_() if last is None else self.memory.copy_(last)
        steps, gates, work = gradients.unbind(0), self.gates.unbind(0), self.work.unbind(0)
        outers = tape.gates[:, : -2 * size].unbind(0)
        candidates, outputs = _last_blocks(tape.gates, size)
        by_outers = self.work[:, : -2 * size].unbind(0)
        by_candidates, by_outputs = _last_blocks(self.work, size)
        carried = tape.carried.unbind(0)
        for index in range(len(gates) - 1, -1, -1):
            gradient = steps[index + 1]
            if self.types.mixed:
                gradient = self.hidden.copy_(gradient)
            torch.tanh(carried[index + 1], out=self.seen)
            self._through_output(gradient, outputs[index], by_outputs[index])
            self.return_after(index, by_outputs[index])
            self._through_memory(
                (outers[index], candidates[index]),
                (by_outers[index], by_candidates[index]),
                carried[index],
            )
            self.return_before(by_outers[index])
            if self.types.mixed:
                gates[index].copy_(work[index])
            steps[index].addmm_(self.weight, gates[index])
        self.finish()
        return steps[0], self.memory

    def _through_output(self, gradient: Tensor, output: Tensor, by_output: Tensor) -> None:
        """Through h = o⊙tanh(C): to the gate o, and added to the gradient of C."""
        torch.mul(gradient, self.seen, out=by_output)
        sigmoid_backward(by_output, output, grad_input=by_output)
        tanh_backward(gradient.mul_(output), self.seen, grad_input=gradient)
        self.memory.add_(gradient)

    def _through_memory(
        self, values: tuple[Tensor, Tensor], gradients: tuple[Tensor, Tensor], before: Tensor
    ) -> None:
        """Through C = f⊙C' + i⊙C̃: to i and f, to C̃, and to C'."""
        size, memory = self.size, self.memory
        (outer, candidate), (by_outer, by_candidate) = values, gradients
        if len(outer) == size:
            torch.mul(memory, candidate, out=by_outer)
            torch.mul(memory, outer, out=by_candidate)
        else:
            torch.mul(memory, candidate, out=by_outer[:size])
            torch.mul(memory, outer[:size], out=by_candidate)
            torch.mul(memory, before, out=by_outer[size:])
            memory.mul_(outer[size:])
        tanh_backward(by_candidate, candidate, grad_input=by_candidate)
        sigmoid_backward(by_outer, outer, grad_input=by_outer)

    @override
    def weight_gradients(self, gates: Tensor) -> tuple[Tensor, Tensor | None]:
        return gates @ self.tape.hidden[:-1].flatten(0, 1), None


def _last_blocks(gates: Tensor, size: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The last two blocks C̃ and o of (T, G·H, N), each as T views (H, N)."""
    return gates[:, -2 * size : -size].unbind(0), gates[:, -size:].unbind(0)


LSTM = Equations(LstmForward, LstmBackward)
