"""A picture of a comparison: learning curves by step and by time, and the quality reached."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from textgen.errors import DataError
from textgen.evaluation.plot_page import CURVES, TEXT, check_format, frame, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINES = ("-", "--", ":", "-.")
_SHOWN_AT_ONCE = 200  # points of a curve by time
_MARKED = 25  # points of a curve up to which each is marked


class Spread(NamedTuple):
    """Mean, lowest and highest value of the seeds at a point of a curve."""

    x: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Course:
    """The trainings of one combination of settings.

    Attributes:
        name: of the combination.
        curves: for each seed: step, seconds and value of each validation.
        final: for each seed, the value of the weights that were kept.
        best: whether it is the best of all.
    """

    name: str
    curves: Sequence[Sequence[tuple[int, float, float]]]
    final: Sequence[float]
    best: bool = False

    def by_step(self) -> list[Spread]:
        """The spread at each step at which every seed was validated."""
        seeds = [{step: value for step, _, value in curve} for curve in self.curves if curve]
        if not seeds:
            return []
        common = sorted(set.intersection(*map(set, seeds)))
        return [_spread(step, [seed[step] for seed in seeds]) for step in common]

    def by_second(self) -> list[Spread]:
        """The spread by time; between validations each seed's curve is a straight line."""
        seeds = [curve for curve in self.curves if curve]
        if not seeds:
            return []
        begin = max(curve[0][1] for curve in seeds)
        end = min(curve[-1][1] for curve in seeds)
        if begin > end:
            return []
        times = np.linspace(begin, end, _SHOWN_AT_ONCE)
        values = [np.interp(times, [c[1] for c in curve], [c[2] for c in curve]) for curve in seeds]
        columns = zip(*values, strict=True)
        return [
            _spread(float(time), [float(value) for value in column])
            for time, column in zip(times, columns, strict=True)
        ]


def _spread(x: float, values: Sequence[float]) -> Spread:
    return Spread(x, sum(values) / len(values), min(values), max(values))


def plot_comparison(path: Path, courses: Sequence[Course], label: str, title: str) -> None:
    """Draw learning curves (mean, lowest and highest seed) and the quality of each combination.

    Args:
        path: ends in .png or .svg.
        courses: one for each combination.
        label: of the metric, with its unit.
        title: above it.

    Raises:
        UsageError: for another ending.
        DataError: if there is nothing to draw or the file cannot be written.
    """
    check_format(path)
    if not any(course.final for course in courses):
        raise DataError(f"{path}: there is nothing to draw: no training was validated.")
    height = max(4.6, 1.6 + 0.32 * len(courses))
    figure = new_figure(14.0, height, title)
    by_step, by_second, final = figure.subplots(1, 3, width_ratios=(1.0, 1.0, 0.9))
    styles = list(_styles(len(courses)))
    for axes, name in ((by_step, "steps"), (by_second, "seconds")):
        frame(axes)
        axes.set_xlabel(name)
        axes.set_ylabel(f"validation: {label}")
    for course, style in zip(courses, styles, strict=True):
        _draw(by_step, course.by_step(), course.name, style)
        _draw(by_second, course.by_second(), course.name, style)
    by_step.legend(frameon=False, labelcolor=TEXT, fontsize=9)
    _final(final, courses, styles, label)
    save(figure, path)


def _styles(count: int) -> Iterator[tuple[str, str]]:
    """Colour and line of each combination; lines change when the colours are used up."""
    pairs = itertools.cycle((colour, line) for line in _LINES for colour in CURVES)
    return itertools.islice(pairs, count)


def _draw(axes: Axes, spreads: Sequence[Spread], name: str, style: tuple[str, str]) -> None:
    """The mean as a line, from the lowest to the highest seed as a band."""
    if not spreads:
        return
    colour, line = style
    xs = [each.x for each in spreads]
    axes.fill_between(
        xs,
        [each.low for each in spreads],
        [each.high for each in spreads],
        color=colour,
        alpha=0.15,
        linewidth=0,
    )
    axes.plot(
        xs,
        [each.mean for each in spreads],
        color=colour,
        linestyle=line,
        linewidth=1.6,
        marker="o" if len(xs) <= _MARKED else "",
        markersize=3,
        label=name,
    )


def _final(
    axes: Axes, courses: Sequence[Course], styles: Sequence[tuple[str, str]], label: str
) -> None:
    """A row of points for each combination: the seeds, and mean ± standard deviation."""
    frame(axes)
    for place, (course, (colour, _)) in enumerate(zip(courses, styles, strict=True)):
        values = list(course.final)
        if not values:
            continue
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        axes.scatter(values, [place] * len(values), s=22, c=colour, alpha=0.45, linewidths=0)
        axes.errorbar(
            [sum(values) / len(values)],
            [place],
            xerr=[deviation],
            color=colour,
            marker="D",
            markersize=5,
            capsize=4,
        )
    axes.set_yticks(range(len(courses)))
    axes.set_yticklabels(
        [f"{course.name} (best)" if course.best else course.name for course in courses],
        parse_math=False,
    )
    axes.set_ylim(len(courses) - 0.5, -0.5)
    axes.margins(x=0.1)
    axes.set_xlabel(f"best validation: {label}\nseeds, mean ± standard deviation")
