"""The GRU with the reset before the product, one step at a time in place."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from textgen.models.fused.arithmetic import AddedProduct, Types
from textgen.models.fused.equations import Backward, Equations, Forward, Tape, Weights

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward.grad_input


class GruForward(Forward):
    """h = (1 − z)⊙h' + z⊙h̃ with h̃ of r⊙h'; blocks are z, r, h̃."""

    def __init__(self, weights: Weights, rows: int, types: Types) -> None:
        self.size = weights.recurrent.shape[1]
        outer, inner = weights.recurrent.tensor_split([2 * self.size])
        self.outer = AddedProduct(outer, rows, types)
        self.inner = AddedProduct(inner, rows, types)
        self.work = torch.empty(
            self.size, rows, dtype=types.elements, device=weights.recurrent.device
        )

    @override
    def step(
        self, gates: Tensor, hidden: Tensor, before: Tensor, after: Tensor, target: Tensor
    ) -> None:
        size, work = self.size, self.work
        outer, candidate = gates.split_with_sizes([2 * size, size])
        self.outer.add(outer, hidden)
        outer.sigmoid_()
        torch.mul(outer[size:], before, out=work)
        self.inner.add(candidate, work)
        candidate.tanh_()
        torch.sub(candidate, before, out=work)
        torch.addcmul(before, outer[:size], work, out=after)
        if target is not after:
            target.copy_(after)


class GruBackward(Backward):
    """The derivatives of ``GruForward``."""

    def __init__(self, weights: Weights, tape: Tape, last: Tensor | None, types: Types) -> None:
        del last  # the state is h alone
        steps, blocks, rows = tape.gates.shape
        size = weights.recurrent.shape[1]
        self.size, self.tape, self.types = size, tape, types
        outer, inner = weights.recurrent.tensor_split([2 * size])
        self.outer = AddedProduct(outer.t().contiguous(), rows, types)
        self.inner = AddedProduct(inner.t().contiguous(), rows, types)
        self.gates = torch.empty_like(tape.gates, dtype=types.products)
        # with one type of numbers a step writes where its gradients stay
        self.work = tape.gates.new_empty(1, blocks, rows).expand(steps, -1, -1)
        if not types.mixed:
            self.work = self.gates
        self.seen = tape.carried.new_empty(size, rows)

    @override
    def step(self, index: int, gradient: Tensor, before: Tensor) -> None:
        size, hidden = self.size, self.tape.carried[index]
        sizes = [2 * size, size]
        outer, candidate = self.tape.gates[index].split_with_sizes(sizes)
        update, reset = outer.chunk(2)
        by_outer, by_candidate = self.work[index].split_with_sizes(sizes)
        by_update, by_reset = by_outer.chunk(2)
        torch.sub(candidate, hidden, out=by_update).mul_(gradient)
        torch.mul(gradient, update, out=by_candidate)
        before.add_(gradient).sub_(by_candidate)
        tanh_backward(by_candidate, candidate, grad_input=by_candidate)
        settled = self.gates[index]
        if self.types.mixed:
            by_candidate = settled[2 * size :].copy_(by_candidate)
        self.inner.add(self.seen.zero_(), by_candidate)  # gradient of r⊙h'
        before.addcmul_(self.seen, reset)
        torch.mul(self.seen, hidden, out=by_reset)
        sigmoid_backward(by_outer, outer, grad_input=by_outer)
        if self.types.mixed:
            by_outer = settled[: 2 * size].copy_(by_outer)
        self.outer.add(before, by_outer)

    @override
    def first_memory(self) -> Tensor | None:
        return None

    @override
    def weight_gradients(self, gates: Tensor) -> tuple[Tensor, Tensor | None]:
        size, tape = self.size, self.tape
        kept = tape.gates[:, size : 2 * size] * tape.carried[:-1]  # r⊙h', (T, H, N)
        kept = kept.transpose(1, 2).to(self.types.products).flatten(0, 1)
        gradient = gates.new_empty(3 * size, size)
        gradient[: 2 * size] = gates[: 2 * size] @ tape.hidden[:-1].flatten(0, 1)
        gradient[2 * size :] = gates[2 * size :] @ kept
        return gradient, None


GRU = Equations(GruForward, GruBackward)
