"""One autograd node for a whole sequence (Werbos 1990, "Backpropagation through time").

The input's share of all steps is one product before the loop; a step is its recurrent products and
element-wise work in place; the way back keeps the gates' gradients of all steps, so that each
weight's gradient is one product over T·N columns after the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from textgen.models.fused.arithmetic import Types, choose_types
from textgen.models.fused.equations import Equations, Span, Tape, Weights
from textgen.models.state import Layer

CHUNK = 16
"""Steps whose input share is one product: it is used while it is still in the cache."""


def run_sequence(
    equations: Equations, inputs: Tensor, first: Layer, weights: Weights
) -> tuple[Tensor, Layer]:
    """All steps of one layer.

    Args:
        equations: the cell.
        inputs: (N, T, I), T ≥ 1.
        first: the state before, each (N, H).
        weights: of the layer; each may want a gradient of its own.

    Returns:
        Outputs (N, T, H), in autocast's type where it is on, and the last state in the type of
        ``first``.
    """
    types = choose_types(inputs)
    if torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in (inputs, *first, *weights)
    ):
        apply: Callable[..., tuple[Tensor, ...]] = _Sequence.apply
        inward, bias, recurrent, peephole = weights
        plan = _Plan(equations, types)
        outputs, *last = apply(plan, peephole, inputs, inward, bias, recurrent, *first)
        return outputs, tuple(last)
    with torch.autocast(inputs.device.type, enabled=False):
        return _without_tape(equations, types, inputs, first, weights)


def _convert(weights: Weights, types: Types) -> Weights:
    """The weights in the type of products, once for all steps."""
    inward, bias, recurrent, peephole = weights
    return Weights(
        inward.to(types.products),
        bias.to(types.products),
        recurrent.to(types.products),
        None if peephole is None else peephole.to(types.products),
    )


def _time_major(values: Tensor, dtype: torch.dtype) -> Tensor:
    """(N, T, A) to contiguous (T, N, A)."""
    return values.transpose(0, 1).to(dtype).contiguous()


def _shares(weights: Weights, values: Tensor, gates: Tensor, types: Types) -> Tensor:
    """W_x x + b of ``values`` (L, N, I): (L, G·H, N) products, in ``gates`` if it has the type."""
    steps, rows, _ = values.shape
    columns = values.flatten(0, 1).t()
    product = torch.addmm(weights.bias.unsqueeze(1), weights.inward, columns)  # (G·H, L·N)
    shares = torch.empty_like(gates, dtype=types.products) if types.mixed else gates
    return shares.copy_(product.view(-1, steps, rows).transpose(0, 1))


def _without_tape(
    equations: Equations, types: Types, inputs: Tensor, first: Layer, weights: Weights
) -> tuple[Tensor, Layer]:
    """Forward alone: beyond the outputs, the memory does not grow with T."""
    rows, steps, _ = inputs.shape
    weights, length = _convert(weights, types), min(steps, CHUNK)
    blocks, size = weights.recurrent.shape
    forward = equations.forward(weights, rows, types)
    outputs = inputs.new_empty(steps, rows, size, dtype=types.products)
    hidden = outputs.new_empty(length + 1, size, rows)
    gates = outputs.new_empty(1 if types.mixed else length, blocks, rows, dtype=types.elements)
    carried = outputs.new_empty(size, rows, dtype=types.elements)
    hidden[0], carried[:] = first[0].t(), first[-1].t()
    for begin in range(0, steps, CHUNK):
        values = _time_major(inputs[:, begin : begin + CHUNK], types.products)
        count = len(values)
        held = gates.expand(count, -1, -1) if types.mixed else gates[:count]
        shares = _shares(weights, values, held, types)
        forward.run(Span(shares, held, hidden[: count + 1], carried.expand(count + 1, -1, -1)))
        outputs[begin : begin + count] = hidden[1 : count + 1].transpose(1, 2)
        hidden[0] = hidden[count]
    last = (carried.t(),) if len(first) == 1 else (outputs[-1], carried.t())
    return outputs.transpose(0, 1), _alike(last, first)


def _alike(last: Layer, first: Layer) -> Layer:
    """Copies of the last state in the types of the first."""
    return tuple(
        part.to(given.dtype, copy=True, memory_format=torch.contiguous_format)
        for part, given in zip(last, first, strict=True)
    )


class _Plan(NamedTuple):
    """What a pass is told beside its tensors."""

    equations: Equations
    types: Types


class _Sequence(torch.autograd.Function):
    """``run_sequence`` where a gradient is wanted."""

    @staticmethod
    def forward(
        ctx: Any, plan: _Plan, peephole: Tensor | None, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        """Outputs and the last state's parts, of inputs, three weights, the first state's parts."""
        inputs, inward, bias, recurrent, *first = tensors
        with torch.autocast(inputs.device.type, enabled=False):
            weights = _convert(Weights(inward, bias, recurrent, peephole), plan.types)
            values = _time_major(inputs, plan.types.products)
            tape = _forward(plan, values, tuple(first), weights)
        ctx.plan = plan
        ctx.dtypes = [None if each is None else each.dtype for each in (peephole, *tensors)]
        ctx.save_for_backward(values, *weights, *tape)
        carried = tape.carried[-1].t()
        last = (carried,) if len(first) == 1 else (tape.hidden[-1], carried)
        return tape.hidden[1:].transpose(0, 1), *_alike(last, tuple(first))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outputs: Tensor, *last: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of all that ``forward`` was given, in its order."""
        values, inward, bias, recurrent, peephole, *kept = ctx.saved_tensors
        weights, tape = Weights(inward, bias, recurrent, peephole), Tape(*kept)
        with torch.autocast(outputs.device.type, enabled=False):
            back = ctx.plan.equations.backward(weights, tape, ctx.plan.types)
            gradients = _outside(tape, outputs, last[0], ctx.plan.types)
            first = back.run(gradients, last[1].t() if len(last) > 1 else None)
            gates = back.gates.transpose(0, 1).flatten(1)  # (G·H, T·N)
            by_inputs = None
            if ctx.needs_input_grad[2]:
                by_inputs = (gates.t() @ inward).view(*values.shape).transpose(0, 1)
            by_inward = gates @ values.flatten(0, 1)
            by_bias = gates.sum(1, dtype=ctx.plan.types.elements)
            by_recurrent, by_peephole = back.weight_gradients(gates)
        state = [part.t() for part in first]
        found = (by_peephole, by_inputs, by_inward, by_bias, by_recurrent, *state)
        return None, *(
            None if each is None else each.to(dtype)
            for each, dtype in zip(found, ctx.dtypes, strict=True)
        )


def _forward(plan: _Plan, values: Tensor, first: Layer, weights: Weights) -> Tape:
    """All steps with everything kept; ``values`` (T, N, I) products."""
    steps, rows, _ = values.shape
    equations, types = plan
    blocks, size = weights.recurrent.shape
    gates = values.new_empty(steps, blocks, rows, dtype=types.elements)
    carried = gates.new_empty(steps + 1, size, rows)
    hidden = torch.empty_like(carried, dtype=types.products)
    hidden[0], carried[0] = first[0].t(), first[-1].t()
    forward = equations.forward(weights, rows, types)
    for begin in range(0, steps, CHUNK):
        held = gates[begin : begin + CHUNK]
        shares = _shares(weights, values[begin : begin + CHUNK], held, types)
        states = slice(begin, begin + CHUNK + 1)
        forward.run(Span(shares, held, hidden[states], carried[states]))
    return Tape(gates, carried, hidden.transpose(1, 2).contiguous())


def _outside(tape: Tape, outputs: Tensor, last: Tensor, types: Types) -> Tensor:
    """Gradients of h from outside the recurrence, (T + 1, H, N) products.

    Args:
        tape: of the way forward.
        outputs: (N, T, H), gradient of the outputs.
        last: (N, H), gradient of the last h.
        types: types of numbers.
    """
    gradients = torch.empty_like(tape.carried, dtype=types.products)
    gradients[0] = 0
    gradients[1:] = outputs.permute(1, 2, 0)
    gradients[-1] += last.t()
    return gradients
