"""Scores of predicted labels against exact fractions; McNemar's test against enumeration."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.classification import Prediction
from textgen.errors import UsageError
from textgen.evaluation.classification import mcnemar, score_predictions

LABELS = ("a", "b", "c", "d")


def prediction(label: str, probability: float = 1.0) -> Prediction:
    others = [(name, (1 - probability) / 3) for name in LABELS if name != label]
    return Prediction("text", (label,), ((label, probability), *others))


def f1_of(label: str, pairs: list[tuple[str, str]]) -> Fraction:
    hits = sum(true == found == label for true, found in pairs)
    total = sum((true == label) + (found == label) for true, found in pairs)
    return Fraction(2 * hits, total) if total else Fraction(0)


letters = st.sampled_from(LABELS)


@given(st.lists(st.tuples(letters, letters), min_size=1, max_size=12))
def test_scores_are_those_of_exact_fractions(pairs: list[tuple[str, str]]) -> None:
    truth = np.array([[true == name for name in LABELS] for true, _ in pairs])
    report = score_predictions([prediction(found) for _, found in pairs], truth, LABELS)
    occurring = [name for name in LABELS if any(name in pair for pair in pairs)]
    macro = sum((f1_of(name, pairs) for name in occurring), Fraction(0)) / len(occurring)
    support = {name: sum(true == name for true, _ in pairs) for name in LABELS}
    weighted = sum((support[name] * f1_of(name, pairs) for name in LABELS), Fraction(0))
    right = sum(true == found for true, found in pairs)
    assert report.accuracy == pytest.approx(float(Fraction(right, len(pairs))))
    assert report.macro_f1 == pytest.approx(float(macro))
    assert report.weighted_f1 == pytest.approx(float(weighted / len(pairs)))
    assert report.confusion is not None
    cells = list(itertools.product(LABELS, LABELS))
    counts = [sum(pair == cell for pair in pairs) for cell in cells]
    assert report.confusion.flatten().tolist() == counts
    low, high = report.accuracy_interval
    assert 0 <= low <= high <= 1


def test_precision_recall_support_and_calibration() -> None:
    found = [prediction("a", 0.9), prediction("a", 0.7), prediction("b", 0.71), prediction("a")]
    truth = np.eye(4, dtype=bool)[[0, 1, 1, 0]]
    report = score_predictions(found, truth, LABELS)
    a, b, c, _ = report.classes
    assert (a.precision, a.recall, a.support) == (pytest.approx(2 / 3), 1.0, 2)
    assert (b.precision, b.recall, b.f1) == (1.0, 0.5, pytest.approx(2 / 3))
    assert (c.precision, c.recall, c.f1, c.support) == (0, 0, 0, 0)
    # bins: [0.7, 0.8) holds 0.7 wrong and 0.71 right, [0.9, 1] holds 0.9 and 1, both right
    expected = 0.5 * abs(0.5 - 0.705) + 0.5 * abs(1 - 0.95)
    assert report.calibration_error == pytest.approx(expected)
    nats = [math.log(0.9), math.log(0.1), math.log(0.71), 0]
    assert report.nll == pytest.approx(-sum(nats) / 4)
    assert "accuracy 75.00%" in str(report)
    assert report.as_dict()["confusion"][1] == [1, 1, 0, 0]


def test_several_labels_are_averaged_over_all() -> None:
    found = [
        Prediction("x", ("a", "b"), (("a", 0.8), ("b", 0.6), ("c", 0.1), ("d", 0.1))),
        Prediction("y", (), (("a", 0.4), ("b", 0.2), ("c", 0.2), ("d", 0.2))),
    ]
    truth = np.array([[True, False, False, False], [False, False, False, False]])
    report = score_predictions(found, truth, LABELS, single=False)
    assert report.accuracy == 0.5
    assert report.macro_f1 == 0.25
    assert report.confusion is None
    assert math.isnan(report.calibration_error)
    nats = math.log(0.8 * 0.4 * 0.9 * 0.9) + math.log(0.6 * 0.8**3)
    assert report.nll == pytest.approx(-nats / 2)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=10))
def test_mcnemar_is_the_share_of_all_signs_as_uneven(pairs: list[tuple[bool, bool]]) -> None:
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    signs = [1 if one else -1 for one, other in pairs if one != other]
    draws = list(itertools.product((1, -1), repeat=len(signs)))
    as_uneven = sum(abs(sum(draw)) >= abs(sum(signs)) for draw in draws)
    assert mcnemar(first, second) == pytest.approx(as_uneven / len(draws))


def test_mcnemar_needs_the_same_texts() -> None:
    with pytest.raises(UsageError, match="2 and 3 predictions"):
        mcnemar(np.ones(2, dtype=bool), np.ones(3, dtype=bool))
