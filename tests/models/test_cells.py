"""Every cell against its equations, written out step by step in float64."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from dnc_reference import dnc
from torch import Tensor

from checks import some
from textgen.components import CELLS
from textgen.models.cells import Cell, LstmPeephole, make_cell
from textgen.models.dnc import Dnc

SIZE_IN, SIZE, ROWS, STEPS = 3, 4, 2, 7


def sigmoid(value: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-value))


def block(cell: Cell, name: str) -> tuple[Tensor, Tensor, Tensor]:
    """W_x, W_h, b of one gate."""
    start = cell.blocks.index(name) * cell.hidden_size
    rows = slice(start, start + cell.hidden_size)
    return cell.weight_input[rows], cell.weight_recurrent[rows], cell.bias[rows]


def affine(cell: Cell, name: str, x: Tensor, h: Tensor) -> Tensor:
    w_x, w_h, b = block(cell, name)
    return w_x @ x + w_h @ h + b


def rnn(cell: Cell, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    return (torch.tanh(affine(cell, "hidden", x, h)),)


def rnn_residual(cell: Cell, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    return (h + torch.tanh(affine(cell, "hidden", x, h)),)


def rnn_forget(cell: Cell, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    f = sigmoid(affine(cell, "forget", x, h))
    return (f * h + torch.tanh(affine(cell, "candidate", x, h)),)


def lstm(cell: Cell, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
    f = sigmoid(affine(cell, "forget", x, h))
    i = sigmoid(affine(cell, "input", x, h))
    o = sigmoid(affine(cell, "output", x, h))
    c = f * c + i * torch.tanh(affine(cell, "candidate", x, h))
    return o * torch.tanh(c), c


def lstm_1997(cell: Cell, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
    i = sigmoid(affine(cell, "input", x, h))
    o = sigmoid(affine(cell, "output", x, h))
    c = c + i * torch.tanh(affine(cell, "candidate", x, h))
    return o * torch.tanh(c), c


def lstm_peephole(cell: Cell, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
    assert isinstance(cell, LstmPeephole)
    size = cell.hidden_size
    peep = cell.weight_peephole
    see = [
        torch.diag(peep[k]) if cell.diagonal else peep[k * size : (k + 1) * size] for k in range(3)
    ]
    i = sigmoid(affine(cell, "input", x, h) + see[0] @ c)
    f = sigmoid(affine(cell, "forget", x, h) + see[1] @ c)
    c = f * c + i * torch.tanh(affine(cell, "candidate", x, h))
    o = sigmoid(affine(cell, "output", x, h) + see[2] @ c)
    return o * torch.tanh(c), c


def gru(cell: Cell, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    z = sigmoid(affine(cell, "update", x, h))
    r = sigmoid(affine(cell, "reset", x, h))
    new = torch.tanh(affine(cell, "candidate", x, r * h))
    return ((1 - z) * h + z * new,)


def gru_fused(cell: Cell, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    z = sigmoid(affine(cell, "update", x, h))
    r = sigmoid(affine(cell, "reset", x, h))
    w_x, w_h, b = block(cell, "candidate")
    bias_recurrent: Tensor = cell.bias_recurrent  # type: ignore[assignment]
    new = torch.tanh(w_x @ x + b + r * (w_h @ h + bias_recurrent))
    return ((1 - z) * new + z * h,)


REFERENCES: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "rnn": rnn,
    "rnn-residual": rnn_residual,
    "rnn-forget": rnn_forget,
    "lstm": lstm,
    "lstm-1997": lstm_1997,
    "lstm-peephole": lstm_peephole,
    "gru": gru,
    "gru-fused": gru_fused,
    "dnc": dnc,
}
VARIANTS = [(name, False) for name in CELLS.builtin] + [("lstm-peephole", True)]


def random_cell(name: str, diagonal: bool) -> Cell:
    torch.manual_seed(3)
    cell = make_cell(name, SIZE_IN, SIZE, diagonal=diagonal).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.normal_(0, 0.7)
    return cell


def random_state(cell: Cell) -> tuple[Tensor, ...]:
    """A state; the shares that a memory's state holds are small and not negative."""
    shapes = [(ROWS, *shape) for shape in cell.state_shapes]
    if isinstance(cell, Dnc):
        return tuple(0.1 * torch.rand(*shape, dtype=torch.float64) for shape in shapes)
    return tuple(torch.randn(*shape, dtype=torch.float64) for shape in shapes)


def test_every_cell_has_a_reference() -> None:
    assert set(REFERENCES) == set(CELLS.builtin)


@pytest.mark.parametrize(("name", "diagonal"), VARIANTS)
def test_equations(name: str, diagonal: bool) -> None:
    cell = random_cell(name, diagonal)
    inputs = torch.randn(ROWS, STEPS, SIZE_IN, dtype=torch.float64)
    first = random_state(cell)
    with torch.no_grad():
        outputs, last = cell.sequence(inputs, first, cell.weight_recurrent)
        for row in some(range(ROWS)):
            state = tuple(part[row] for part in first)
            for step in some(range(STEPS)):
                state = REFERENCES[name](cell, inputs[row, step], *state)
                torch.testing.assert_close(outputs[row, step], state[0], rtol=1e-12, atol=1e-12)
            for part, expected in some(zip(last, state, strict=True)):
                torch.testing.assert_close(part[row], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "diagonal"), VARIANTS)
def test_a_sequence_equals_its_steps(name: str, diagonal: bool) -> None:
    cell = random_cell(name, diagonal)
    inputs = torch.randn(ROWS, STEPS, SIZE_IN, dtype=torch.float64)
    layer = cell.zeros(ROWS)
    outputs, last = cell.sequence(inputs, layer, cell.weight_recurrent)
    for step in some(range(STEPS)):
        layer = cell.step(cell.project(inputs[:, step]), layer, cell.weight_recurrent)
        torch.testing.assert_close(outputs[:, step], layer[0], rtol=1e-12, atol=1e-12)
    for part, expected in some(zip(last, layer, strict=True)):
        torch.testing.assert_close(part, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "diagonal"), VARIANTS)
def test_gradients(name: str, diagonal: bool) -> None:
    cell = random_cell(name, diagonal)
    inputs = torch.randn(ROWS, 3, SIZE_IN, dtype=torch.float64, requires_grad=True)
    first = tuple(part.requires_grad_() for part in random_state(cell))
    names = [name for name, _ in cell.named_parameters()]

    def run(inputs: Tensor, *rest: Tensor) -> Tensor:
        weights = dict(zip(names, rest[len(first) :], strict=True))
        wrapped = _Sequence(cell)
        arguments = (inputs, rest[: len(first)])
        prefixed = {f"cell.{key}": value for key, value in weights.items()}
        outputs: Tensor = torch.func.functional_call(wrapped, prefixed, arguments)
        return outputs

    assert torch.autograd.gradcheck(run, (inputs, *first, *cell.parameters()), fast_mode=True)


class _Sequence(torch.nn.Module):
    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, inputs: Tensor, first: tuple[Tensor, ...]) -> Tensor:
        outputs, last = self.cell.sequence(inputs, first, self.cell.weight_recurrent)
        return torch.cat([outputs.flatten(), *(part.flatten() for part in last)])


def test_the_forget_gate_starts_open() -> None:
    for name in ("lstm", "lstm-peephole"):
        cell = make_cell(name, SIZE_IN, SIZE)
        _, _, bias = block(cell, "forget")
        assert bias.tolist() == [1.0] * SIZE
        _, _, bias = block(cell, "input")
        assert bias.tolist() == [0.0] * SIZE


def test_lstm_maps_onto_torch() -> None:
    """torch.nn.LSTM with its first bias ours and its second 0 gives the same numbers."""
    cell = random_cell("lstm", False)
    kernel = torch.nn.LSTM(SIZE_IN, SIZE, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        kernel.weight_ih_l0.copy_(cell.weight_input)
        kernel.weight_hh_l0.copy_(cell.weight_recurrent)
        kernel.bias_ih_l0.copy_(cell.bias)
        kernel.bias_hh_l0.zero_()
        inputs = torch.randn(ROWS, STEPS, SIZE_IN, dtype=torch.float64)
        outputs, _ = cell.sequence(inputs, cell.zeros(ROWS), cell.weight_recurrent)
        torch.testing.assert_close(outputs, kernel(inputs)[0])


def test_grus_differ_in_the_reset() -> None:
    """The two grus agree where nothing is reset and z is turned round, else they do not."""
    cho, fused = random_cell("gru", False), random_cell("gru-fused", False)
    with torch.no_grad():
        for name in ("update", "reset", "candidate"):
            for ours, theirs in zip(block(fused, name), block(cho, name), strict=True):
                ours.copy_(-theirs if name == "update" else theirs)
        fused.bias_recurrent.zero_()  # type: ignore[operator]
        inputs = torch.randn(ROWS, STEPS, SIZE_IN, dtype=torch.float64)
        state = (torch.randn(ROWS, SIZE, dtype=torch.float64),)

        def outputs(cell: Cell) -> Tensor:
            return cell.sequence(inputs, state, cell.weight_recurrent)[0]

        assert not torch.allclose(outputs(cho), outputs(fused), atol=1e-3)
        for cell in (cho, fused):
            block(cell, "reset")[2].fill_(1e3)
        torch.testing.assert_close(outputs(cho), outputs(fused))


@pytest.mark.parametrize("name", CELLS.builtin)
def test_autocast_mixes_types_in_every_cell(name: str) -> None:
    cell = make_cell(name, 3, 4)
    layer = cell.zeros(2)
    with torch.autocast("cpu", torch.bfloat16):
        inputs = torch.nn.functional.linear(torch.randn(2, 5, 3), torch.eye(3))
        assert inputs.dtype == torch.bfloat16
        for given in (inputs, inputs.float()):
            outputs, _ = cell.sequence(given, layer, cell.weight_recurrent)
    assert outputs.shape == (2, 5, 4)
    assert bool(outputs.isfinite().all())
