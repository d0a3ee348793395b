"""How well labels are predicted: accuracy, F1, confusion, calibration, and a test of two models.

Definitions are scikit-learn's: a precision, recall or F1 with the denominator 0 is 0; averages over
classes are, of one label for each text, over those that occur in the truth or the predictions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textgen.classification import Prediction, classify, labels_of
from textgen.data.labelled import labels_in
from textgen.data.parallel import ParallelSource
from textgen.errors import DataError, UsageError
from textgen.evaluation.bootstrap import resampled
from textgen.loading import LoadedModel

BINS = 10


@dataclass(frozen=True)
class ClassScores:
    """Of one label.

    Attributes:
        label: its name.
        precision: share of its predictions that are right.
        recall: share of its texts that are found.
        f1: harmonic mean of both.
        support: texts that have it.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class ClassificationReport:
    """Predictions held against the truth.

    Attributes:
        predictions: one for each text.
        right: (N,) bool, all labels of a text are right.
        accuracy: mean of ``right``.
        accuracy_interval: 95 % of bootstrap resamples of the texts lie within.
        macro_f1: mean F1 of the classes.
        macro_f1_interval: as above.
        weighted_f1: mean weighted by support.
        nll: mean negative log-likelihood of the truth, nats per text.
        calibration_error: Σ_b n_b/N |accuracy_b − mean probability_b| over 10 bins of the
            likeliest label's probability (Guo et al. 2017); NaN with several labels for each text.
        classes: scores of each label.
        confusion: (C, C) texts by true (row) and predicted label; None with several labels for
            each text.
    """

    predictions: Sequence[Prediction]
    right: NDArray[np.bool_]
    accuracy: float
    accuracy_interval: tuple[float, float]
    macro_f1: float
    macro_f1_interval: tuple[float, float]
    weighted_f1: float
    nll: float
    calibration_error: float
    classes: tuple[ClassScores, ...]
    confusion: NDArray[np.int64] | None

    def __str__(self) -> str:
        low, high = self.accuracy_interval
        return (
            f"accuracy {self.accuracy:.2%} ({low:.2%} to {high:.2%}), "
            f"macro F1 {self.macro_f1:.4f}, {len(self.predictions):,} texts"
        )

    def __repr__(self) -> str:
        return f"ClassificationReport({self})"

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "texts": len(self.predictions),
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "macro_f1": self.macro_f1,
            "macro_f1_interval": list(self.macro_f1_interval),
            "weighted_f1": self.weighted_f1,
            "nll": self.nll,
            "calibration_error": self.calibration_error,
            "classes": [vars(each) for each in self.classes],
            "confusion": None if self.confusion is None else self.confusion.tolist(),
        }


def evaluate_classifier(
    loaded: LoadedModel, source: ParallelSource, *, batch_size: int = 64
) -> ClassificationReport:
    """Predict the labels of texts whose labels are known, and score the predictions.

    Args:
        loaded: a classifier.
        source: texts and their labels.
        batch_size: texts read at once.

    Raises:
        UsageError: if the model is no classifier.
        DataError: if there is no text, one is empty or without a label, or a label is not known.
    """
    labels, separator = labels_of(loaded), loaded.recipe.label_separator
    single = separator is None
    pairs = list(source.pairs())
    if not pairs:
        raise DataError(f"{source.name}: there is no text.")
    truth = np.zeros((len(pairs), labels.size), dtype=bool)
    for row, (text, label) in enumerate(pairs):
        names = labels_in(label, separator)
        where = f"{source.name}, text {row + 1}"
        if not text.strip():
            raise DataError(f"{where}: is empty.")
        if single and not names:
            raise DataError(f"{where}: has no label.")
        try:
            truth[row, [labels.number(name) for name in names]] = True
        except DataError as error:
            raise DataError(f"{where}: {error}") from None
    found = list(classify(loaded, (text for text, _ in pairs), batch_size=batch_size))
    return score_predictions(found, truth, labels.labels, single=single)


def score_predictions(
    predictions: Sequence[Prediction],
    truth: NDArray[np.bool_],
    labels: Sequence[str],
    *,
    single: bool = True,
) -> ClassificationReport:
    """Hold predictions against the truth.

    Args:
        predictions: N of them, each with at least one probability.
        truth: (N, C) bool.
        labels: C names.
        single: every text has exactly one label.
    """
    order = {label: number for number, label in enumerate(labels)}
    found = np.zeros_like(truth)
    probabilities = np.zeros(truth.shape)
    for row, each in enumerate(predictions):
        found[row, [order[label] for label in each.labels]] = True
        for label, probability in each.probabilities:
            probabilities[row, order[label]] = probability
    right = (found == truth).all(1)
    precision, recall, f1 = _class_scores(found, truth)
    support = truth.sum(0)
    of_accuracy, of_f1 = _intervals(found, truth, single=single)
    return ClassificationReport(
        predictions=predictions,
        right=right,
        accuracy=float(right.mean()),
        accuracy_interval=of_accuracy,
        macro_f1=float(_macro(found, truth, single=single)),
        macro_f1_interval=of_f1,
        weighted_f1=float((f1 * support).sum() / max(support.sum(), 1)),
        nll=_nll(probabilities, truth, single=single),
        calibration_error=_calibration_error(probabilities, right) if single else math.nan,
        classes=tuple(
            ClassScores(label, float(p), float(r), float(f), int(n))
            for label, p, r, f, n in zip(labels, precision, recall, f1, support, strict=True)
        ),
        confusion=truth.T.astype(np.int64) @ found.astype(np.int64) if single else None,
    )


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """P of the exact test that two models are right equally often (McNemar 1947).

    Args:
        first: (N,) whether the first model is right.
        second: (N,) whether the second is, of the same texts.

    Raises:
        UsageError: if the numbers of texts differ.
    """
    if first.shape != second.shape:
        raise UsageError(f"{len(first)} and {len(second)} predictions are not of the same texts.")
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    trials, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(trials, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / (1 << trials))


def _class_scores(
    found: NDArray[np.bool_], truth: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Precision, recall and F1 (C,) each."""
    hits, predicted, true = (found & truth).sum(0), found.sum(0), truth.sum(0)
    return (
        hits / np.maximum(predicted, 1),
        hits / np.maximum(true, 1),
        2 * hits / np.maximum(predicted + true, 1),
    )


def _macro(found: NDArray[np.bool_], truth: NDArray[np.bool_], *, single: bool) -> np.float64:
    f1 = _class_scores(found, truth)[2]
    occurs = found.any(0) | truth.any(0)
    mean: np.float64 = f1[occurs].mean() if single else f1.mean()
    return mean


def _intervals(
    found: NDArray[np.bool_], truth: NDArray[np.bool_], *, single: bool
) -> list[tuple[float, float]]:
    """Intervals of accuracy and macro F1."""

    def score(rows: NDArray[np.int64]) -> tuple[float, float]:
        some, true = found[rows], truth[rows]
        return float((some == true).all(1).mean()), float(_macro(some, true, single=single))

    return resampled(len(found), score)


def _nll(probabilities: NDArray[np.float64], truth: NDArray[np.bool_], *, single: bool) -> float:
    of_truth = np.where(truth, probabilities, 1.0 if single else 1 - probabilities)
    with np.errstate(divide="ignore"):
        nats: NDArray[np.float64] = -np.log(of_truth)
    return float(nats.sum(1).mean())


def _calibration_error(probabilities: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    best = probabilities.max(1)
    bins = np.minimum((best * BINS).astype(int), BINS - 1)
    error = 0.0
    for number in np.unique(bins):
        inside = bins == number
        error += inside.mean() * abs(right[inside].mean() - best[inside].mean())
    return float(error)
