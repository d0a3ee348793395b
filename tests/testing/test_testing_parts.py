"""Cells, encoders and tasks are held to what is expected of them, and broken ones are found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from textgen.components import CELLS
from textgen.config import structure
from textgen.data.documents import Texts
from textgen.data.parallel import PairTexts
from textgen.models.cells import Rnn, make_cell
from textgen.models.config import EncoderConfig
from textgen.models.encoder import Encoded, RecurrentEncoder, make_encoder
from textgen.task import find_task
from textgen.testing import LawBroken, check_cell, check_encoder, check_task

SMALL = EncoderConfig(hidden=3, layers=2)


@pytest.mark.parametrize("name", CELLS.builtin)
def test_the_cells_pass(name: str) -> None:
    torch.manual_seed(0)
    check_cell(make_cell(name, 3, 2))


def elman(cell: Any, inputs: Tensor, layer: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (
        torch.tanh(inputs @ cell.weight_input.T + cell.bias + layer[0] @ cell.weight_recurrent.T),
    )


class WrongShape(Rnn):
    state_shapes = ((5,),)


class WrongStart(Rnn):
    def zeros(self, rows: int) -> tuple[Tensor, ...]:
        return (torch.ones(rows, self.hidden_size),)


class WrongSequence(Rnn):
    def sequence(self, inputs: Tensor, layer: Any, recurrent: Tensor) -> Any:
        outputs, last = super().sequence(inputs, layer, recurrent)
        return outputs * 1.001, last


class WrongRows(Rnn):
    def step(self, projected: Tensor, layer: Any, recurrent: Tensor) -> Any:
        (hidden,) = super().step(projected, layer, recurrent)
        return (hidden + hidden.mean(0),)

    def sequence(self, inputs: Tensor, layer: Any, recurrent: Tensor) -> Any:
        return self.step_by_step(inputs, layer, recurrent)


class WrongGradients(Rnn):
    def step(self, projected: Tensor, layer: Any, recurrent: Tensor) -> Any:
        return (torch.tanh(projected + F.linear(layer[0], recurrent).detach()),)

    def sequence(self, inputs: Tensor, layer: Any, recurrent: Tensor) -> Any:
        return self.step_by_step(inputs, layer, recurrent)


@pytest.mark.parametrize(
    ("cell", "law"),
    [
        (WrongShape, "shape"),
        (WrongStart, "zeros"),
        (WrongSequence, "sequence"),
        (WrongRows, "rows"),
        (WrongGradients, "gradients"),
    ],
)
def test_a_broken_cell_is_found(cell: type[Rnn], law: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(LawBroken) as broken:
        check_cell(cell(3, 2))
    assert broken.value.law == law


def test_equations_are_compared() -> None:
    check_cell(Rnn(3, 2), elman)
    with pytest.raises(LawBroken) as broken:
        check_cell(make_cell("gru", 3, 2), elman)
    assert broken.value.law == "equations"


@pytest.mark.parametrize(
    "options", [{}, {"bidirectional": False, "residual": True}, {"summary": "max"}]
)
def test_the_encoder_passes(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    config = structure(EncoderConfig, {"hidden": 3, "layers": 2, **options})
    check_encoder(make_encoder("recurrent", 4, config), 4)


class Wrapped(nn.Module):
    """An encoder with a fault."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.inner, self.fault = RecurrentEncoder(4, SMALL), fault
        self.size = self.inner.size + (fault == "size")

    def forward(self, inputs: Tensor, lengths: Tensor) -> Encoded:
        found = self.inner(inputs, lengths)
        if self.fault == "padding":
            return found._replace(summary=found.summary + inputs.sum((1, 2)).unsqueeze(1))
        if self.fault == "other rows":
            return found._replace(summary=found.summary + found.summary.mean(0))
        if self.fault == "lengths":
            return found._replace(lengths=(lengths + 1) // 2)
        if self.fault == "gradients":
            return found._replace(summary=found.summary.detach() + 0 * inputs.sum())
        return found


@pytest.mark.parametrize("fault", ["size", "padding", "other rows", "lengths", "gradients"])
def test_a_broken_encoder_is_found(fault: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(LawBroken) as broken:
        check_encoder(Wrapped(fault), 4)
    assert broken.value.law == fault


DATA: dict[str, tuple[dict[str, Any], Any]] = {
    "language-model": (
        {"model": {"hidden": 8, "layers": 1}},
        Texts(["the cat sat on the mat. " * 20]),
    ),
    "translator": (
        {"model": {"hidden": 8, "embedding": 4}, "data": {"valid_share": 0.2}},
        PairTexts([(f"{n} cats", f"{n} Katzen") for n in range(30)]),
    ),
}


@pytest.mark.parametrize("name", DATA)
def test_the_tasks_pass(name: str, tmp_path: Path) -> None:
    task = find_task(name)
    data, source = DATA[name]
    training = {"steps": 2, "batch": 30, "bptt_length": 8, "validate_every": 1}
    recipe = structure(task.recipe_class, {**data, "training": training})
    assert check_task(task, recipe, source, tmp_path).kind == name
