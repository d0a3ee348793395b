"""Models compared: what came of each training, and one row for each combination of settings."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from textgen.evaluation.comparison_plot import Course, plot_comparison
from textgen.loaded.history import TrainingHistory
from textgen.notebooks import Curve, curves_html, table_html

_PER_TOKEN = {"characters": "bits_per_character", "bytes": "bits_per_byte"}


class Statistic(NamedTuple):
    """Mean and standard deviation (n − 1) over seeds; NaN where there are too few."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Statistic:
        """Of the value of each seed."""
        mean = statistics.fmean(values) if values else math.nan
        return cls(mean, statistics.stdev(values) if len(values) > 1 else math.nan)

    def as_dict(self) -> dict[str, float | None]:
        """Plain data; None where there is no number."""
        return {name: plain(value) for name, value in self._asdict().items()}

    def text(self, form: str) -> str:
        """``1.23 ± 0.04``."""
        if not math.isfinite(self.mean):
            return "-"
        deviation = f" ± {self.deviation:{form}}" if math.isfinite(self.deviation) else ""
        return f"{self.mean:{form}}{deviation}"


@dataclass(frozen=True)
class Run:
    """One training of a comparison.

    Attributes:
        combination: name of the combination of settings.
        settings: the varied ones, by key.
        seed: of weights, dropout and the order of batches.
        folder: of the model.
        parameters: of the model; None where nothing was saved.
        history: the course of the training.
        metrics: of the weights that were kept, on the validation data.
        error: why it failed; empty if it did not.
    """

    combination: str
    settings: Mapping[str, Any]
    seed: int
    folder: str
    parameters: int | None
    history: TrainingHistory
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str = ""

    @property
    def speed(self) -> float:
        """Predictions (tokens, texts, …) per second of training, validations left out."""
        before, seconds = 0, 0.0
        for step in self.history.steps:
            seconds += (step.tokens - before) / max(step.tokens_per_second, 1e-9)
            before = step.tokens
        return before / seconds if seconds else math.nan

    def seconds_at(self, steps: Sequence[int]) -> list[float]:
        """Seconds of training at some steps, between reports by linear interpolation."""
        known = [(0, 0.0), *((each.step, each.seconds) for each in self.history.steps)]
        found = np.interp(steps, [step for step, _ in known], [second for _, second in known])
        return [float(each) for each in found]

    def curve(self, metric: str) -> list[tuple[int, float, float]]:
        """Step, seconds and value of a metric at each validation."""
        found = [each for each in self.history.validations if metric in each.metrics]
        seconds = self.seconds_at([each.step for each in found])
        return [
            (each.step, second, each.metrics[metric])
            for each, second in zip(found, seconds, strict=True)
        ]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, curves included."""
        history = self.history
        validations = history.validations
        seconds = self.seconds_at([each.step for each in validations])
        return {
            "combination": self.combination,
            "settings": dict(self.settings),
            "seed": self.seed,
            "model": self.folder,
            "parameters": self.parameters,
            "steps": history.step,
            "seconds": round(history.seconds, 3),
            "per_second": plain(self.speed),
            "stopped": history.reason or None,
            "error": self.error or None,
            "best_step": history.best_step,
            "validation": {name: plain(value) for name, value in self.metrics.items()},
            "training_curve": [
                {"step": each.step, "seconds": each.seconds, "loss": plain(each.loss)}
                for each in history.steps
            ],
            "validation_curve": [
                {"step": each.step, "seconds": second}
                | {name: plain(value) for name, value in each.metrics.items()}
                for each, second in zip(validations, seconds, strict=True)
            ],
        }


@dataclass(frozen=True)
class Row:
    """A combination of settings, over its seeds.

    Attributes:
        name: of the combination.
        settings: the varied ones, by key.
        parameters: of one model; None where none was saved.
        runs: trainings that ended well.
        failed: those that did not.
        per_second: predictions (tokens, texts, …) per second.
        seconds: of a training.
        metrics: of validation, by name.
        best: whether its mean is the best of the comparison.
    """

    name: str
    settings: Mapping[str, Any]
    parameters: int | None
    runs: int
    failed: int
    per_second: Statistic
    seconds: Statistic
    metrics: Mapping[str, Statistic]
    best: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "combination": self.name,
            "settings": dict(self.settings),
            "parameters": self.parameters,
            "runs": self.runs,
            "failed": self.failed,
            "per_second": self.per_second.as_dict(),
            "seconds": self.seconds.as_dict(),
            "validation": {name: each.as_dict() for name, each in self.metrics.items()},
            "best": self.best,
        }


@dataclass(frozen=True, repr=False)
class Comparison:
    """Trainings that differ in some settings and the seed.

    Attributes:
        task: the kind of model.
        criterion: the metric that decides, with a "-" before it where it must rise; empty where
            the metrics do not compare.
        unit: one prediction.
        runs: all trainings, the seeds of a combination next to each other.
        notes: what people should know of it.
    """

    task: str
    criterion: str
    unit: str
    runs: tuple[Run, ...]
    notes: tuple[str, ...] = ()

    @property
    def metric(self) -> str:
        """The metric that decides, without its sign; the loss where none does."""
        return self.criterion.removeprefix("-") or "loss"

    @property
    def rows(self) -> list[Row]:
        """A row for each combination, in the order of the trainings."""
        groups: dict[str, list[Run]] = {}
        for run in self.runs:
            groups.setdefault(run.combination, []).append(run)
        rows = [_row(runs) for runs in groups.values()]
        best = self._best(rows)
        return [Row(**{**vars(row), "best": row is best}) for row in rows]

    def _best(self, rows: Sequence[Row]) -> Row | None:
        sign = -1.0 if self.criterion.startswith("-") else 1.0
        values = [
            (sign * row.metrics[self.metric].mean, row)
            for row in rows
            if self.criterion and self.metric in row.metrics and not row.failed
        ]
        return min(values, key=lambda each: each[0])[1] if len(values) > 1 else None

    @property
    def courses(self) -> list[Course]:
        """The learning curves, for ``plot_comparison``."""
        return [
            Course(
                row.name,
                [run.curve(self.metric) for run in self.runs if run.combination == row.name],
                [
                    run.metrics[self.metric]
                    for run in self.runs
                    if run.combination == row.name and not run.error and self.metric in run.metrics
                ],
                best=row.best,
            )
            for row in self.rows
        ]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, learning curves included."""
        return {
            "task": self.task,
            "criterion": self.metric if self.criterion else None,
            "higher_is_better": self.criterion.startswith("-") if self.criterion else None,
            "unit": self.unit,
            "notes": list(self.notes),
            "rows": [row.as_dict() for row in self.rows],
            "runs": [run.as_dict() for run in self.runs],
        }

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings and cells."""
        rows = self.rows
        keys = list(rows[0].settings) if rows else []
        metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
        metrics.sort(key=lambda name: name != self.metric)
        names = [f"nats/{self.unit}" if name == "loss" else name for name in metrics]
        head = [*keys, "parameters", f"{self.unit}s/s", *names, "minutes", "seeds", ""]
        return head, [list(_cells(row, metrics)) for row in rows]

    def plot(self, path: str | Path) -> None:
        """Draw learning curves and the quality of each combination into a .png or .svg.

        Raises:
            UsageError: for another ending.
            DataError: if there is nothing to draw or the file cannot be written.
        """
        label = f"loss, nats per {self.unit}" if self.metric == "loss" else self.metric
        keys = ", ".join(self.runs[0].settings) if self.runs else ""
        title = f"{self.task}: comparison by {keys}"
        plot_comparison(Path(path), self.courses, label, title)

    def __str__(self) -> str:
        head, rows = self.table()
        lines = [head, *rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        left = len(self.runs[0].settings) if self.runs else 0
        shown = (
            "  ".join(
                cell.ljust(width) if number < left else cell.rjust(width)
                for number, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )
        return "\n".join([*shown, *(f"Note: {note}" for note in self.notes)])

    def __repr__(self) -> str:
        return f"Comparison of {len(self.rows)} models, {len(self.runs)} trainings"

    def _repr_html_(self) -> str:
        """The table and the mean learning curves, for notebooks."""
        curves = [
            Curve(course.name, [(x, mean) for x, mean, _, _ in course.by_step()])
            for course in self.courses
        ]
        table = table_html(*self.table())
        return table + curves_html(curves, f"{self.metric} by step", " ".join(self.notes))


def _row(runs: Sequence[Run]) -> Row:
    """Statistics over the seeds of one combination."""
    good = [run for run in runs if not run.error]
    names = dict.fromkeys(name for run in good for name in run.metrics)
    return Row(
        name=runs[0].combination,
        settings=runs[0].settings,
        parameters=next((run.parameters for run in runs if run.parameters is not None), None),
        runs=len(good),
        failed=len(runs) - len(good),
        per_second=Statistic.of([run.speed for run in good]),
        seconds=Statistic.of([run.history.seconds for run in good]),
        metrics={
            name: Statistic.of([run.metrics[name] for run in good if name in run.metrics])
            for name in names
        },
    )


def _cells(row: Row, metrics: Sequence[str]) -> Iterator[str]:
    """A row of the table."""
    yield from (str(value) for value in row.settings.values())
    yield "-" if row.parameters is None else f"{row.parameters:,}"
    yield row.per_second.text(",.0f")
    for name in metrics:
        yield row.metrics[name].text(".4f") if name in row.metrics else "-"
    yield Statistic(row.seconds.mean / 60, math.nan).text(".2f")
    yield f"{row.runs} ({row.failed} failed)" if row.failed else str(row.runs)
    yield "best" if row.best else ""


def derived(tokenizer_kind: str, loss: float) -> dict[str, float]:
    """What a mean loss in nats per token amounts to: bits where a token is a character or byte."""
    if tokenizer_kind in _PER_TOKEN:
        return {_PER_TOKEN[tokenizer_kind]: loss / math.log(2)}
    return {"perplexity": math.exp(loss) if loss < 700 else math.inf}


def plain(value: float) -> float | None:
    """A number, None where JSON has none."""
    return value if math.isfinite(value) else None
