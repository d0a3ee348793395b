"""The cell, the encoder and the task do what textgen expects of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from textgen_example.classifier import TASK, ClassifierRecipe
from textgen_example.fast_weights import FastWeights
from textgen_example.windows import Windows
from torch import Tensor

import textgen
from textgen.config import structure
from textgen.data.parallel import PairTexts
from textgen.models.config import EncoderConfig
from textgen.testing import check_cell, check_encoder, check_task

LINES = [(f"{word} {n}", word[:1]) for n in range(20) for word in ("red", "green", "blue")]


def equations(cell: Any, inputs: Tensor, layer: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The cell's equations, one row at a time."""
    hidden, matrix = [], []
    for x, h, a in zip(inputs, *layer, strict=True):
        inner = cell.weight_input @ x + cell.bias + cell.weight_recurrent @ h
        new = torch.tanh(inner + a @ torch.tanh(inner))
        hidden.append(new)
        matrix.append(cell.decay * a + cell.rate * torch.outer(new, new))
    return torch.stack(hidden), torch.stack(matrix)


def test_the_cell() -> None:
    torch.manual_seed(0)
    check_cell(FastWeights(3, 2, decay=0.7, rate=0.3), equations)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_encoder(stride: int) -> None:
    torch.manual_seed(0)
    check_encoder(Windows(4, EncoderConfig(hidden=3), stride), 4)


@pytest.mark.parametrize("model", [{"cell": "fast-weights:rate=0.2"}, {"encoder": "windows"}])
def test_the_task(model: dict[str, str], tmp_path: Path) -> None:
    data = {"model": {"hidden": 4, "layers": 1, **model}, "training": {"steps": 2, "batch": 5}}
    recipe = structure(ClassifierRecipe, data)
    assert check_task(TASK, recipe, PairTexts(LINES), tmp_path).kind == "line-classifier"
    loaded: Any = textgen.load(str(tmp_path / "straight"), device="cpu")
    assert loaded.predict("red 3") in {"r", "g", "b"}
