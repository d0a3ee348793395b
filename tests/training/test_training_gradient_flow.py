"""Norms of ∂h_t/∂h_k against Jacobians made by torch step for step."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from textgen import components
from textgen.errors import UsageError
from textgen.models.config import LanguageModelConfig
from textgen.models.language_model import LanguageModel
from textgen.protocols import Batch
from textgen.training.gradient_flow import (
    FlowRow,
    flow_table,
    gradient_flow,
    mean_flow,
    plot_flow,
)

CELLS = list(components.CELLS.builtin)
TOKENS = [3, 5, 4, 7, 7, 6]


def make(cell: str, **changes: int) -> LanguageModel:
    torch.manual_seed(0)
    values = {"hidden": 5, "layers": 2, "embedding": 3, "dropout": 0.5} | changes
    return LanguageModel(LanguageModelConfig(cell=cell, **values), 9)  # type: ignore[arg-type]


@pytest.mark.parametrize("cell", CELLS)
def test_rows_are_the_norms_of_whole_jacobians(cell: str) -> None:
    model = make(cell).double()
    flow = gradient_flow(model, TOKENS)
    assert model.training
    assert [row.distance for row in flow] == [1, 2, 3, 4, 5, 6]
    model.eval()
    for row in flow:
        begin = model.begin(Batch(1))
        split = len(TOKENS) - row.distance
        if split:
            _, begin = model.features(torch.tensor([TOKENS[:split]]), begin)
        parts = [part.detach() for part in begin.tensors()]

        def last(*values: Tensor, split: int = split, begin: object = begin) -> Tensor:
            state = begin.with_tensors(list(values))  # type: ignore[attr-defined]
            return model.features(torch.tensor([TOKENS[split:]]), state)[0][0, -1]

        jacobians = [
            part.reshape(5, -1) for part in torch.autograd.functional.jacobian(last, tuple(parts))
        ]
        norms = [float(torch.linalg.svdvals(part)[0]) for part in jacobians]
        assert row.parts == pytest.approx(norms)
        whole = float(torch.linalg.svdvals(torch.cat(jacobians, 1))[0])
        assert row.norm == pytest.approx(whole)


def test_vanishing_and_exploding_gradients_show() -> None:
    def scaled(factor: float) -> list[FlowRow]:
        model = make("rnn", layers=1)
        cell = model.stack.layers[0]
        with torch.no_grad():
            # orthogonal times a factor: each step multiplies the norm by about that factor
            cell.weight_recurrent.copy_(factor * torch.eye(5))
            model.embedding.weight.zero_()
        return gradient_flow(model, TOKENS)

    assert scaled(0.5)[-1].norm == pytest.approx(0.5**6, rel=0.05)
    assert scaled(2.0)[-1].norm == pytest.approx(2.0**6, rel=0.05)


def test_table_and_mean() -> None:
    flow = [FlowRow(n, 2.0**-n, (0.5,)) for n in range(1, 7)]
    lines = flow_table(flow).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "4", "6"]
    assert "2.500e-01" in lines[2]
    other = [FlowRow(n, 2.0**n, (0.0,)) for n in range(1, 4)]
    mean = mean_flow([flow, other])
    assert mean == [FlowRow(n, pytest.approx(1.0), (0.0,)) for n in range(1, 4)]  # type: ignore[arg-type]


def test_picture_and_errors(tmp_path: Path) -> None:
    flow = gradient_flow(make("gru"), TOKENS)
    plot_flow({"gru": flow}, tmp_path / "flow.svg")
    assert "<svg" in (tmp_path / "flow.svg").read_text()
    with pytest.raises(UsageError, match="cannot be written"):
        plot_flow({"gru": flow}, tmp_path / "flow.docx")
    with pytest.raises(UsageError, match="at least one token"):
        gradient_flow(make("gru"), [])
