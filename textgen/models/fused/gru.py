"""The GRU with the reset before the product, step by step in place."""

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


class GruForward(Forward):
    """h = (1 − z)⊙h' + z⊙h̃ with h̃ of r⊙h'; blocks are z, r, h̃.

    Args:
        weights: in the type of products.
        rows: N.
        types: types of numbers.
    """

    def __init__(self, weights: Weights, rows: int, types: Types) -> None:
        self.size, self.mixed = weights.recurrent.shape[1], types.mixed
        self.outer, self.inner = weights.recurrent.tensor_split([2 * self.size])
        self.work = self.outer.new_empty(self.size, rows, dtype=types.elements)
        self.narrow = self.outer.new_empty(self.size, rows)

    @override
    def run(self, span: Span) -> None:
        size, work, mixed = self.size, self.work, self.mixed
        hidden, carried = span.hidden.unbind(0), span.carried.unbind(0)
        outers, candidates = _two_and_one(span.gates, size)
        outer_shares, candidate_shares = _two_and_one(span.shares, size)
        for index, (outer, candidate) in enumerate(zip(outers, candidates, strict=True)):
            before, after = carried[index], carried[index + 1]
            shares = outer_shares[index].addmm_(self.outer, hidden[index])
            if mixed:
                outer.copy_(shares)
            outer.sigmoid_()
            kept = torch.mul(outer[size:], before, out=work)
            shares = candidate_shares[index]
            shares.addmm_(self.inner, self.narrow.copy_(kept) if mixed else kept)
            if mixed:
                candidate.copy_(shares)
            candidate.tanh_()
            torch.sub(candidate, before, out=work)
            torch.addcmul(before, outer[:size], work, out=after)
            hidden[index + 1].copy_(after)


class GruBackward(Backward):
    """The derivatives of ``GruForward``.

    Args:
        weights: in the type of products.
        tape: of the way forward.
        types: types of numbers.
    """

    def __init__(self, weights: Weights, tape: Tape, types: Types) -> None:
        self.tape, self.types = tape, types
        self.size = size = weights.recurrent.shape[1]
        outer, inner = weights.recurrent.tensor_split([2 * size])
        self.outer, self.inner = outer.t().contiguous(), inner.t().contiguous()
        self.gates = torch.empty_like(tape.gates, dtype=types.products)
        # with one type of numbers a step writes where its gradients stay
        self.work = torch.empty_like(tape.gates[:1]).expand_as(tape.gates)
        if not types.mixed:
            self.work = self.gates
        self.wide, self.kept, self.carry = tape.carried.new_empty(3, size, tape.gates.shape[2])
        self.result = self.outer.new_empty(self.kept.shape) if types.mixed else self.kept

    @override
    def run(self, gradients: Tensor, last: Tensor | None) -> tuple[Tensor, ...]:
        size, mixed = self.size, self.types.mixed
        steps, carried = gradients.unbind(0), self.tape.carried.unbind(0)
        outers, candidates = _two_and_one(self.tape.gates, size)
        outer_work, candidate_work = _two_and_one(self.work, size)
        by_outers, by_candidates = _two_and_one(self.gates, size)
        self.carry.zero_()
        for index in range(len(outers) - 1, -1, -1):
            gradient = steps[index + 1]
            if mixed:
                gradient = self.wide.copy_(gradient)
            gradient.add_(self.carry)
            outer, work = outers[index], outer_work[index]
            by_candidate = self._through_mixture(
                gradient,
                outer[:size],
                candidates[index],
                (work[:size], candidate_work[index]),
                carried[index],
            )
            if mixed:
                by_candidate = by_candidates[index].copy_(by_candidate)
            torch.mm(self.inner, by_candidate, out=self.result)
            self._through_reset(outer[size:], work[size:], carried[index])
            sigmoid_backward(work, outer, grad_input=work)
            if mixed:
                by_outers[index].copy_(work)
            steps[index].addmm_(self.outer, by_outers[index])
        return (self.carry.add_(steps[0]),)

    def _through_mixture(
        self,
        gradient: Tensor,
        update: Tensor,
        candidate: Tensor,
        work: tuple[Tensor, Tensor],
        before: Tensor,
    ) -> Tensor:
        """Through h = h' + z⊙(h̃ − h'): to σ's z, to tanh's argument (returned), and to h'."""
        by_update, by_candidate = work
        torch.sub(candidate, before, out=by_update).mul_(gradient)
        torch.mul(gradient, update, out=by_candidate)
        torch.sub(gradient, by_candidate, out=self.carry)
        tanh_backward(by_candidate, candidate, grad_input=by_candidate)
        return by_candidate

    def _through_reset(self, reset: Tensor, by_reset: Tensor, before: Tensor) -> None:
        """Through r⊙h', whose gradient is ``result``: to σ's r and to h'."""
        if self.types.mixed:
            self.kept.copy_(self.result)
        self.carry.addcmul_(self.kept, reset)
        torch.mul(self.kept, before, out=by_reset)

    @override
    def weight_gradients(self, gates: Tensor) -> tuple[Tensor, Tensor | None]:
        size, tape = self.size, self.tape
        kept = tape.gates[:, size : 2 * size] * tape.carried[:-1]  # r⊙h', (T, H, N)
        kept = kept.transpose(1, 2).to(self.types.products).flatten(0, 1)
        outer = gates[: 2 * size] @ tape.hidden[:-1].flatten(0, 1)
        return torch.cat([outer, gates[2 * size :] @ kept]), None


def _two_and_one(gates: Tensor, size: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Blocks z and r together, and h̃, of (T, 3·H, N), each as T views."""
    return gates[:, : 2 * size].unbind(0), gates[:, 2 * size :].unbind(0)


GRU = Equations(GruForward, GruBackward)
