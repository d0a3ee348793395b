"""The fused passes against the same steps under autograd: values, all gradients, both types."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from checks import some
from textgen.models.cells import Cell, make_cell
from textgen.models.config import StackConfig
from textgen.models.fused import sequence as fused_sequence
from textgen.models.recurrent import RecurrentStack
from textgen.models.state import Layer

SIZE_IN, SIZE, ROWS = 5, 7, 3
VARIANTS = [
    ("lstm-1997", False),
    ("lstm-peephole", False),
    ("lstm-peephole", True),
    ("gru", False),
]
every_cell = pytest.mark.parametrize(("name", "diagonal"), VARIANTS)


def random_cell(name: str, diagonal: bool, dtype: torch.dtype = torch.float64) -> Cell:
    torch.manual_seed(5)
    cell = make_cell(name, SIZE_IN, SIZE, diagonal=diagonal).to(dtype)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.normal_(0, 0.5)
    return cell


def given(
    cell: Cell, steps: int, rows: int = ROWS, *, grad: bool = True
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Inputs and a first state, the same at each call."""
    torch.manual_seed(6)
    dtype = cell.bias.dtype
    inputs = torch.randn(rows, steps, SIZE_IN, dtype=dtype, requires_grad=grad)
    first = tuple(
        torch.randn(rows, SIZE, dtype=dtype, requires_grad=grad) for _ in range(cell.parts)
    )
    return inputs, first


def weighted(outputs: Tensor, last: Layer) -> Tensor:
    """A sum of all that comes out, each number with a weight of its own."""
    torch.manual_seed(7)
    double = [part.double() for part in (outputs, *last)]
    weights = [torch.randn(part.shape, dtype=part.dtype) for part in double]
    return torch.stack([(a * b).sum() for a, b in zip(double, weights, strict=True)]).sum()


def both_ways(
    cell: Cell, inputs: Tensor, first: Layer, recurrent: Tensor | None = None
) -> list[list[Tensor]]:
    """What comes out and all gradients, of the fused pass and of single steps."""
    recurrent = cell.weight_recurrent if recurrent is None else recurrent
    wanted = [each for each in (inputs, *first, *cell.parameters()) if each.requires_grad]
    found = []
    for way in (cell.sequence, cell.step_by_step):
        outputs, last = way(inputs, first, recurrent)
        gradients = torch.autograd.grad(weighted(outputs, last), wanted, retain_graph=True)
        found.append([outputs, *last, *gradients])
    return found


class StorageSizes(TorchDispatchMode):
    """Notes the bytes of the largest tensor that any operation makes."""

    largest = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor):
            self.largest = max(self.largest, made.untyped_storage().nbytes())
        return made


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).detach().abs().max() / expected.detach().abs().max())


@every_cell
@pytest.mark.parametrize(("steps", "rows"), [(1, 1), (1, 3), (2, 3), (9, 1), (40, 3)])
def test_equals_single_steps(name: str, diagonal: bool, steps: int, rows: int) -> None:
    cell = random_cell(name, diagonal)
    fused, single = both_ways(cell, *given(cell, steps, rows))
    for found, expected in some(zip(fused, single, strict=True)):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@every_cell
def test_equals_single_steps_in_float32(name: str, diagonal: bool) -> None:
    cell = random_cell(name, diagonal, torch.float32)
    fused, single = both_ways(cell, *given(cell, 12))
    for found, expected in some(zip(fused, single, strict=True)):
        assert found.dtype == expected.dtype == torch.float32
        assert relative(found, expected) < 1e-5


@every_cell
@pytest.mark.parametrize("steps", [1, 4])
def test_gradients(name: str, diagonal: bool, steps: int) -> None:
    cell = random_cell(name, diagonal)
    inputs, first = given(cell, steps, 2)

    def run(*_: Tensor) -> tuple[Tensor, ...]:
        outputs, last = cell.sequence(inputs, first, cell.weight_recurrent)
        return outputs, *last

    assert torch.autograd.gradcheck(run, (inputs, *first, *cell.parameters()))


@every_cell
@pytest.mark.parametrize("share", [0, 1, 2])
def test_gradients_of_some_outputs_alone(name: str, diagonal: bool, share: int) -> None:
    """A loss on the outputs, on the last h, or on the last C leaves the other gradients out."""
    cell = random_cell(name, diagonal)
    inputs, first = given(cell, 6)
    if share > cell.parts:
        share = 1
    gradients = []
    for way in (cell.sequence, cell.step_by_step):
        outputs, last = way(inputs, first, cell.weight_recurrent)
        loss = (outputs, *last)[share].square().sum()
        gradients.append(torch.autograd.grad(loss, [inputs, *first, *cell.parameters()]))
    for found, expected in some(zip(*gradients, strict=True)):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@every_cell
def test_without_gradients_the_same_numbers_in_pieces(name: str, diagonal: bool) -> None:
    cell = random_cell(name, diagonal)
    for steps in (1, fused_sequence.CHUNK, fused_sequence.CHUNK + 1, 2 * fused_sequence.CHUNK + 5):
        inputs, first = given(cell, steps)
        outputs, last = cell.sequence(inputs, first, cell.weight_recurrent)
        kept = [part.clone() for part in (inputs, *first)]
        with torch.no_grad():
            bare, bare_last = cell.sequence(inputs, first, cell.weight_recurrent)
        for found, expected in zip((bare, *bare_last), (outputs, *last), strict=True):
            assert not found.requires_grad
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        for before, after in zip(kept, (inputs, *first), strict=True):
            assert torch.equal(before, after)


def test_without_gradients_memory_does_not_grow_with_length() -> None:
    """What is alive at once beside inputs and outputs is bounded by the piece, not by T."""
    cell = random_cell("lstm-peephole", False, torch.float32)
    steps = 8 * fused_sequence.CHUNK
    inputs, first = given(cell, steps, grad=False)
    watch = StorageSizes()
    with torch.no_grad(), watch:
        outputs, _ = cell.sequence(inputs, first, cell.weight_recurrent)
    allowed = max(inputs.untyped_storage().nbytes(), outputs.untyped_storage().nbytes())
    assert watch.largest == allowed
    assert allowed < steps * ROWS * len(cell.bias) * 4


@every_cell
def test_inputs_of_any_layout(name: str, diagonal: bool) -> None:
    cell = random_cell(name, diagonal)
    inputs, first = given(cell, 8)
    time_major = inputs.detach().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()
    spread = torch.stack([inputs.detach()] * 2, dim=3)[..., 0].requires_grad_()
    slanted = tuple(part.detach().t().contiguous().t().requires_grad_() for part in first)
    expected = both_ways(cell, inputs, first)[1]
    for layout in (time_major, spread):
        for found, value in some(zip(both_ways(cell, layout, slanted)[0], expected, strict=True)):
            torch.testing.assert_close(found, value, rtol=1e-10, atol=1e-10)


@every_cell
def test_expanded_gradients(name: str, diagonal: bool) -> None:
    """The gradient of a sum is one number at every place."""
    cell = random_cell(name, diagonal)
    inputs, first = given(cell, 5)
    found = [
        torch.autograd.grad(way(inputs, first, cell.weight_recurrent)[0].sum(), inputs)[0]
        for way in (cell.sequence, cell.step_by_step)
    ]
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-10)


@every_cell
def test_only_what_wants_a_gradient_gets_one(name: str, diagonal: bool) -> None:
    cell = random_cell(name, diagonal)
    inputs, first = given(cell, 5, grad=False)
    expected = both_ways(cell, *given(cell, 5))[1][-len(list(cell.parameters())) :]
    for parameter, value in some(zip(cell.parameters(), expected, strict=True)):
        cell.requires_grad_(False).zero_grad()
        parameter.requires_grad_()
        loss = weighted(*cell.sequence(inputs, first, cell.weight_recurrent))
        loss.backward()
        torch.testing.assert_close(parameter.grad, value, rtol=1e-10, atol=1e-10)
        others = [each for each in (inputs, *first, *cell.parameters()) if each is not parameter]
        assert all(each.grad is None for each in others)


@every_cell
def test_dropped_recurrent_weights(name: str, diagonal: bool) -> None:
    """Dropped weights get no gradient; the others the one of the weights that were used."""
    cell = random_cell(name, diagonal)
    recurrent = torch.nn.functional.dropout(cell.weight_recurrent, 0.5)
    fused, single = both_ways(cell, *given(cell, 6), recurrent)
    for found, expected in zip(fused, single, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    names = [name for name, _ in cell.named_parameters()]
    at = names.index("weight_recurrent") - len(names)
    assert bool((fused[at][recurrent == 0] == 0).all())
    assert bool((fused[at] != 0).any())


@every_cell
@pytest.mark.parametrize("grad", [True, False])
def test_autocast_is_close_to_float32(name: str, diagonal: bool, grad: bool) -> None:
    cell = random_cell(name, diagonal, torch.float32)
    inputs, first = given(cell, 20)

    def run(autocast: bool) -> list[Tensor]:
        with (
            torch.autocast("cpu", torch.bfloat16, enabled=autocast),
            torch.set_grad_enabled(grad),
        ):
            outputs, last = cell.sequence(inputs, first, cell.weight_recurrent)
        assert outputs.dtype == (torch.bfloat16 if autocast else torch.float32)
        assert all(part.dtype == torch.float32 for part in last)
        wanted = [inputs, *first, *cell.parameters()] if grad else []
        gradients = torch.autograd.grad(weighted(outputs, last), wanted) if grad else ()
        assert all(each.dtype == torch.float32 for each in gradients)
        return [outputs, *last, *gradients]

    for found, expected in some(zip(run(True), run(False), strict=True)):
        error = (found - expected).detach().norm() / expected.detach().norm()
        assert 0 < float(error) < 2e-2


@every_cell
def test_gradients_under_autocast_are_no_worse_than_those_of_single_steps(
    name: str, diagonal: bool
) -> None:
    cell = random_cell(name, diagonal, torch.float32)
    inputs, first = given(cell, 30)
    exact = both_ways(cell, inputs, first)[0]
    with torch.autocast("cpu", torch.bfloat16):
        fused, single = both_ways(cell, inputs, first)

    def error(found: list[Tensor]) -> float:
        pairs = zip(found, exact, strict=True)
        return max(
            float((part - whole).detach().norm() / whole.detach().norm()) for part, whole in pairs
        )

    assert error(fused) <= 1.5 * error(single)


@every_cell
def test_bfloat16_weights_keep_the_type_of_the_state(name: str, diagonal: bool) -> None:
    exact = random_cell(name, diagonal, torch.float32)
    cell = random_cell(name, diagonal, torch.float32).bfloat16()
    inputs, first = given(exact, 10, grad=False)
    with torch.no_grad():
        expected, _ = exact.sequence(inputs, first, exact.weight_recurrent)
        outputs, last = cell.sequence(
            inputs.bfloat16(), tuple(part.bfloat16() for part in first), cell.weight_recurrent
        )
    assert outputs.dtype == torch.bfloat16
    assert {part.dtype for part in last} == {torch.bfloat16}
    assert relative(outputs.float(), expected) < 3e-2


@every_cell
def test_double_backward_is_refused(name: str, diagonal: bool) -> None:
    cell = random_cell(name, diagonal)
    inputs, first = given(cell, 3)
    outputs, _ = cell.sequence(inputs, first, cell.weight_recurrent)
    (gradient,) = torch.autograd.grad(outputs.square().sum(), inputs, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@every_cell
def test_the_graph_may_be_kept(name: str, diagonal: bool) -> None:
    cell = random_cell(name, diagonal)
    inputs, first = given(cell, 4)
    loss = weighted(*cell.sequence(inputs, first, cell.weight_recurrent))
    once = torch.autograd.grad(loss, [inputs, *first], retain_graph=True)
    again = torch.autograd.grad(loss, [inputs, *first])
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


@every_cell
def test_gradients_flow_from_one_piece_into_the_next(name: str, diagonal: bool) -> None:
    cell = random_cell(name, diagonal)
    inputs, first = given(cell, 9)

    def run(cuts: tuple[int, ...]) -> list[Tensor]:
        state: Layer = first
        parts = []
        for begin, end in itertools.pairwise(cuts):
            output, state = cell.sequence(inputs[:, begin:end], state, cell.weight_recurrent)
            parts.append(output)
        outputs = torch.cat(parts, dim=1)
        wanted = [inputs, *first, *cell.parameters()]
        return [outputs, *torch.autograd.grad(weighted(outputs, state), wanted)]

    for found, expected in some(zip(run((0, 4, 9)), run((0, 9)), strict=True)):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@every_cell
def test_in_a_stack_with_lengths(name: str, diagonal: bool) -> None:
    """Rows that end early: their last state and their gradients are those of the row alone."""
    config = StackConfig(cell=name, hidden=SIZE, layers=2, diagonal=diagonal)
    torch.manual_seed(8)
    stack = RecurrentStack(SIZE_IN, config).double()
    inputs = torch.randn(2, 9, SIZE_IN, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([9, 5])
    _, state = stack(inputs, stack.zeros(2), lengths)
    (gradient,) = torch.autograd.grad(sum(part[1].sum() for part in state.tensors()), inputs)
    alone = inputs.detach()[1:, :5].requires_grad_()
    _, expected = stack(alone, stack.zeros(1))
    (by_alone,) = torch.autograd.grad(sum(part[0].sum() for part in expected.tensors()), alone)
    torch.testing.assert_close(gradient[1:, :5], by_alone, rtol=1e-10, atol=1e-10)
    assert not gradient[1, 5:].any()
    assert not gradient[0].any()
