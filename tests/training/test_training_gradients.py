"""Every parameter has a gradient in every step: else the gradients of ranks cannot be joined."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import rank_jobs
import torch
from torch import nn

from textgen import components
from textgen.config import structure
from textgen.data.batching import Batches
from textgen.models.config import LanguageModelConfig, TranslatorConfig
from textgen.models.language_model import LanguageModel
from textgen.models.translator import Translator
from textgen.training.group import ProcessGroup
from textgen.training.objective import TokenLoss
from textgen.training.precision import MixedPrecision
from textgen.training.update import TrainStep

CELLS = list(components.CELLS.builtin)


def require_all(model: nn.Module, batches: Batches, group: ProcessGroup | None = None) -> None:
    train_step = TrainStep(model, MixedPrecision(rank_jobs.settings()), TokenLoss(), group)
    for batch in itertools.islice(batches.iterate(0), 2):
        model.zero_grad()
        train_step.gradients([batch])
        missing = [name for name, each in model.named_parameters() if each.grad is None]
        assert not missing


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "changes", [{"layers": 2, "layer_norm": True}, {"tied": True, "embedding": 6}], ids=str
)
def test_language_models(cell: str, changes: dict[str, Any]) -> None:
    config = structure(LanguageModelConfig, {"cell": cell, "hidden": 8} | changes)
    require_all(LanguageModel(config, rank_jobs.VOCABULARY), rank_jobs.lanes(4))


@pytest.mark.parametrize("attention", ["dot", "scaled-dot", "general", "additive", "none"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"input_feeding": True}, {"query": "previous"}, {"tied": "none", "layers": 2}],
    ids=str,
)
def test_translators(attention: str, changes: dict[str, Any]) -> None:
    data = {"attention": attention, "hidden": 8, "embedding": 6} | changes
    config = structure(TranslatorConfig, data)
    model = Translator(config, rank_jobs.VOCABULARY, rank_jobs.VOCABULARY)
    require_all(model, rank_jobs.pairs())


class WithoutRows(ProcessGroup):
    """A process that no row is left for."""

    def rows(self, batch: Any) -> None:
        """None of them."""


def test_a_rank_without_rows_has_gradients_of_zero() -> None:
    model = rank_jobs.translator()
    require_all(model, rank_jobs.pairs(), WithoutRows())
    gradients = [each.grad for each in model.parameters() if each.grad is not None]
    assert all(not torch.count_nonzero(gradient) for gradient in gradients)


def test_gradients_of_several_batches_are_those_of_all_their_predictions() -> None:
    """Each batch weighs what its predictions are of all; rows that continue go on."""
    model = rank_jobs.language_model().double()
    batches = list(itertools.islice(rank_jobs.sentences().iterate(0), 3))
    assert len({batch.count for batch in batches}) > 1
    train_step = TrainStep(model, MixedPrecision(rank_jobs.settings()), TokenLoss())
    train_step.gradients(batches)
    found = {name: each.grad.clone() for name, each in model.named_parameters()}  # type: ignore[union-attr]
    nats, tokens = train_step.take_losses()
    assert tokens == sum(batch.count for batch in batches)
    model.zero_grad()
    losses = [TokenLoss().loss(model, batch.to(torch.device("cpu")), None) for batch in batches]
    total = torch.stack(
        [loss.mean * each.count for loss, each in zip(losses, batches, strict=True)]
    )
    (total.sum() / tokens).backward()
    for name, each in model.named_parameters():
        torch.testing.assert_close(found[name], each.grad)
    assert nats == pytest.approx(total.sum().item())
