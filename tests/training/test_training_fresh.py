"""Lanes that begin anew."""

from __future__ import annotations

import pytest
import torch

from checks import some
from textgen.data.batching import TrainingBatch
from textgen.models.config import LanguageModelConfig
from textgen.models.language_model import LanguageModel
from textgen.protocols import Batch
from textgen.recipes.training import TrainingConfig
from textgen.training.objective import TokenLoss
from textgen.training.precision import MixedPrecision
from textgen.training.update import TrainStep


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_fresh_rows_forget_and_the_others_go_on(cell: str) -> None:
    torch.manual_seed(0)
    model = LanguageModel(LanguageModelConfig(cell=cell, hidden=8), 9)  # type: ignore[arg-type]
    mixed_precision = MixedPrecision(TrainingConfig(steps=1, precision="float32", device="cpu"))
    train_step = TrainStep(model, mixed_precision, TokenLoss())
    tokens = torch.randint(1, 9, (3, 13))

    def batch(start: int, fresh: torch.Tensor | None) -> TrainingBatch:
        inputs, targets = tokens[:, start : start + 6], tokens[:, start + 1 : start + 7]
        return TrainingBatch(inputs, targets, None, start > 0, 18, fresh=fresh)

    train_step.gradients([batch(0, None)])
    train_step.gradients([batch(6, torch.tensor([False, True, False]))])
    found = train_step.carried_tensors()
    with torch.no_grad():
        _, whole = model(tokens[:, :12], model.begin(Batch(3)))
        _, second = model(tokens[:, 6:12], model.begin(Batch(3)))
    for ours, on, anew in some(zip(found, whole.tensors(), second.tensors(), strict=True)):
        torch.testing.assert_close(ours[[0, 2]], on[[0, 2]])
        torch.testing.assert_close(ours[1], anew[1])
