"""The loss of labels against its definition, and what validation measures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from textgen.data.labelled import LabelledBatch, LabelledBatches
from textgen.data.words import without_spellings
from textgen.errors import DataError
from textgen.recipes.training import TrainingConfig
from textgen.training.label_loss import LabelLoss
from textgen.training.precision import MixedPrecision


class Fixed(nn.Module):
    """Gives the row of logits that a text's first token names."""

    def __init__(self, logits: list[list[float]]) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, tokens: Tensor, lengths: Tensor, spellings: Tensor) -> Tensor:
        assert len(tokens) == len(lengths) == len(spellings)
        return self.logits[tokens[:, 0]]


LOGITS = [[2.0, 0.0, -1.0], [0.5, 1.5, 0.0], [-1.0, 0.0, 3.0]]
SINGLE = torch.eye(3)[[0, 0, 2]]
SEVERAL = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])


def batch(labels: Tensor) -> LabelledBatch:
    tokens = torch.tensor([[0], [1], [2]])
    spellings = torch.zeros(3, 1, 0, dtype=torch.int64)
    return LabelledBatch(tokens, torch.ones(3, dtype=torch.int64), labels, spellings)


def softmax(row: list[float]) -> list[float]:
    total = sum(map(math.exp, row))
    return [math.exp(value) / total for value in row]


def test_one_label_costs_its_negative_log_probability() -> None:
    nats = [-math.log(softmax(LOGITS[row])[label]) for row, label in enumerate([0, 0, 2])]
    loss = LabelLoss().loss(Fixed(LOGITS), batch(SINGLE), None)
    assert float(loss.mean) == pytest.approx(sum(nats) / 3, rel=1e-6)
    assert float(loss.total) == pytest.approx(sum(nats), rel=1e-6)
    weighted = LabelLoss(weights=(2.0, 1.0, 0.5)).loss(Fixed(LOGITS), batch(SINGLE), None)
    assert float(weighted.mean) == pytest.approx((2 * nats[0] + 2 * nats[1] + nats[2] / 2) / 3)
    assert float(weighted.total) == pytest.approx(sum(nats), rel=1e-6)


def test_smoothing_spreads_over_all_labels() -> None:
    expected = 0.0
    for row, label in enumerate([0, 0, 2]):
        probabilities = softmax(LOGITS[row])
        target = [0.3 / 3 + 0.7 * (each == label) for each in range(3)]
        expected -= sum(t * math.log(p) for t, p in zip(target, probabilities, strict=True))
    loss = LabelLoss(label_smoothing=0.3).loss(Fixed(LOGITS), batch(SINGLE), None)
    assert float(loss.mean) == pytest.approx(expected / 3, rel=1e-6)


def test_smoothing_of_several_labels_spreads_over_yes_and_no() -> None:
    expected = 0.0
    for row in range(3):
        for value, label in zip(LOGITS[row], SEVERAL[row].tolist(), strict=True):
            yes, target = 1 / (1 + math.exp(-value)), 0.8 * label + 0.1
            expected -= target * math.log(yes) + (1 - target) * math.log(1 - yes)
    loss = LabelLoss("sigmoid", label_smoothing=0.2).loss(Fixed(LOGITS), batch(SEVERAL), None)
    assert float(loss.mean) == pytest.approx(expected / 3, rel=1e-6)


def test_several_labels_cost_every_yes_and_no() -> None:
    def cost(row: int, weights: list[float]) -> float:
        total = 0.0
        for value, label, weight in zip(LOGITS[row], SEVERAL[row].tolist(), weights, strict=True):
            yes = 1 / (1 + math.exp(-value))
            total -= weight * math.log(yes) if label else math.log(1 - yes)
        return total

    plain = sum(cost(row, [1, 1, 1]) for row in range(3))
    loss = LabelLoss("sigmoid").loss(Fixed(LOGITS), batch(SEVERAL), None)
    assert float(loss.mean) == pytest.approx(plain / 3, rel=1e-6)
    heavy = sum(cost(row, [3, 0.5, 1]) for row in range(3))
    loss = LabelLoss("sigmoid", weights=(3, 0.5, 1)).loss(Fixed(LOGITS), batch(SEVERAL), None)
    assert float(loss.mean) == pytest.approx(heavy / 3, rel=1e-6)
    assert float(loss.total) == pytest.approx(plain, rel=1e-6)


@dataclass
class Once:
    """One batch."""

    batch: LabelledBatch

    def iterate(self, epoch: int, start: int = 0):  # type: ignore[no-untyped-def]  # noqa: ANN201
        assert epoch == start == 0
        yield from [self.batch] if self.batch.count else []

    def __len__(self) -> int:
        return 1


def test_validation_measures_accuracy_and_macro_f1() -> None:
    precision = MixedPrecision(TrainingConfig(device="cpu"))
    found = LabelLoss().measure(Fixed(LOGITS), Once(batch(SINGLE)), precision)
    # predicted 0, 1, 2; true 0, 0, 2: F1 = 2/3, 0, 1
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 0 + 1) / 3)
    found = LabelLoss("sigmoid").measure(Fixed(LOGITS), Once(batch(SEVERAL)), precision)
    # predicted {0, 1}, {0, 1, 2}, {1, 2}; true {0}, {0, 1}, {}: F1 = 1, 2·1/(3 + 1), 0
    assert found["accuracy"] == 0
    assert found["macro_f1"] == pytest.approx((1 + 0.5 + 0) / 3)


def test_nothing_to_validate_on_is_refused() -> None:
    empty = LabelledBatch(
        torch.zeros(0, 1), torch.zeros(0), torch.zeros(0, 3), torch.zeros(0, 1, 0)
    )
    with pytest.raises(DataError, match="nothing to validate on"):
        LabelLoss().measure(
            Fixed(LOGITS), Once(empty), MixedPrecision(TrainingConfig(device="cpu"))
        )


def test_batches_hold_every_text_once_and_go_on_anywhere() -> None:
    lengths = [3, 1, 2, 5, 4, 1, 2]
    texts = [np.full(length, number + 4, np.int32) for number, length in enumerate(lengths)]
    labels = [[number % 3] for number in range(7)]
    made = LabelledBatches(
        [without_spellings(each) for each in texts], labels, classes=3, size=2, seed=1
    )
    assert len(made) == 4
    seen = []
    for each in made.iterate(3):
        assert each.tokens.shape[1] == int(each.lengths.max())
        for tokens, length, label in zip(each.tokens, each.lengths, each.labels, strict=True):
            number = int(tokens[0]) - 4
            seen.append(number)
            assert tokens[: int(length)].tolist() == texts[number].tolist()
            assert not tokens[int(length) :].any()
            assert label.nonzero().flatten().tolist() == labels[number]
    assert sorted(seen) == list(range(7))
    later = [each.tokens.tolist() for each in made.iterate(3)][2:]
    assert [each.tokens.tolist() for each in made.iterate(3, 2)] == later
    orders = {tuple(int(each.tokens[0, 0]) for each in made.iterate(epoch)) for epoch in range(5)}
    assert len(orders) > 1
