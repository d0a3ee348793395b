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
from textgen.models.fused.equations import Backward, Equations, Forward, Tape, Weights
from textgen.models.state import Layer

CHUNK = 32
"""Steps whose input share is held at once where no gradient is wanted."""


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
    """The weights of products in their type, once for all steps; the bias stays."""
    inward, bias, recurrent, peephole = weights
    return Weights(
        inward.to(types.products),
        bias,
        recurrent.to(types.products),
        None if peephole is None else peephole.to(types.products),
    )


def _time_major(values: Tensor, dtype: torch.dtype) -> Tensor:
    """(N, T, A) to contiguous (T, N, A)."""
    return values.transpose(0, 1).to(dtype).contiguous()


def _project(weights: Weights, inputs: Tensor, types: Types) -> Tensor:
    """W_x x + b: (T, N, I) to (T, G·H, N) elements."""
    steps, rows, _ = inputs.shape
    shares = weights.inward @ inputs.flatten(0, 1).t()  # (G·H, T·N)
    gates = torch.empty(steps, len(shares), rows, dtype=types.elements, device=inputs.device)
    return torch.add(
        shares.view(-1, steps, rows).transpose(0, 1), weights.bias.unsqueeze(1), out=gates
    )


def _run(forward: Forward, gates: Tensor, hidden: Tensor, carried: Tensor) -> None:
    """Steps over ``gates`` (T, G·H, N); ``hidden`` and ``carried`` (T + 1, H, N) get filled."""
    states = hidden.unbind(0)
    memories = states if carried is hidden else carried.unbind(0)
    for index, values in enumerate(gates.unbind(0)):
        forward.step(
            values,
            states[index],
            memories[index],
            memories[index + 1],
            states[index + 1],
        )


def _without_tape(
    equations: Equations, types: Types, inputs: Tensor, first: Layer, weights: Weights
) -> tuple[Tensor, Layer]:
    """Forward alone: beyond the outputs, the memory does not grow with T."""
    rows, steps, _ = inputs.shape
    weights = _convert(weights, types)
    size = weights.recurrent.shape[1]
    forward = equations.forward(weights, rows, types)
    outputs = inputs.new_empty(steps, rows, size, dtype=types.products)
    hidden = inputs.new_empty(min(steps, CHUNK) + 1, size, rows, dtype=types.products)
    hidden[0] = first[0].t()
    carried = first[-1].t().to(types.elements, copy=True, memory_format=torch.contiguous_format)
    for begin in range(0, steps, CHUNK):
        values = _time_major(inputs[:, begin : begin + CHUNK], types.products)
        gates = _project(weights, values, types)
        count = len(gates)
        _run(forward, gates, hidden[: count + 1], carried.expand(count + 1, -1, -1))
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
            memory = last[1] if len(last) > 1 else None
            back = ctx.plan.equations.backward(weights, tape, memory, ctx.plan.types)
            hidden = _run_back(back, tape, outputs, last[0])
            gates = back.gates.transpose(0, 1).flatten(1)  # (G·H, T·N)
            by_inputs = None
            if ctx.needs_input_grad[2]:
                by_inputs = (gates.t() @ inward).view(*values.shape).transpose(0, 1)
            by_inward = gates @ values.flatten(0, 1)
            by_bias = gates.sum(1, dtype=ctx.plan.types.elements)
            by_recurrent, by_peephole = back.weight_gradients(gates)
        states = [part.t() for part in (hidden, back.first_memory()) if part is not None]
        found = (by_peephole, by_inputs, by_inward, by_bias, by_recurrent, *states)
        return None, *(
            None if each is None else each.to(dtype)
            for each, dtype in zip(found, ctx.dtypes, strict=True)
        )


def _forward(plan: _Plan, values: Tensor, first: Layer, weights: Weights) -> Tape:
    """All steps with everything kept; ``values`` (T, N, I) products."""
    steps, rows, _ = values.shape
    types = plan.types
    gates = _project(weights, values, types)
    carried = gates.new_empty(steps + 1, weights.recurrent.shape[1], rows)
    carried[0] = first[-1].t()
    hidden = carried
    if len(first) > 1 or types.mixed:
        hidden = torch.empty_like(carried, dtype=types.products)
        hidden[0] = first[0].t()
    _run(plan.equations.forward(weights, rows, types), gates, hidden, carried)
    return Tape(gates, carried, hidden.transpose(1, 2).contiguous())


def _run_back(back: Backward, tape: Tape, outputs: Tensor, last: Tensor) -> Tensor:
    """Back through all steps.

    Args:
        back: of the cell; its ``gates`` get filled.
        tape: of the way forward.
        outputs: (N, T, H), gradient of the outputs.
        last: (N, H), gradient of the last h.

    Returns:
        (H, N), the gradient of the first h.
    """
    gradients = torch.zeros_like(tape.carried)  # of h before and after each step
    gradients[1:] = outputs.permute(1, 2, 0)
    gradients[-1] += last.t()
    steps = gradients.unbind(0)
    for index in reversed(range(len(steps) - 1)):
        back.step(index, steps[index + 1], steps[index])
    return steps[0]
