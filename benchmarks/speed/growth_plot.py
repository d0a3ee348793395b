"""A picture of growth: a small panel for each size that grows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.speed.curves import Curve
from textgen.evaluation.plot_page import CURVES, FAINT, check_format, frame, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3
TITLE = "Time (solid) and work (dashed), in multiples of the smallest size's"
SIZE = 8.0
ALIKE = 0.05
"""Curves that are nowhere further apart, in logarithms, are one line to the eye."""
GAP = 0.075
"""Between the names at the right, in heights of a panel."""


def plot_curves(path: Path, curves: Sequence[Curve]) -> None:
    """Draw time and work of each curve against the size, both on logarithmic scales.

    Args:
        path: ends in .png or .svg.
        curves: those that grow in the same thing share a panel, and have the same sizes.

    Raises:
        UsageError: for another ending.
        DataError: if the file cannot be written.
    """
    check_format(path)
    panels: dict[str, list[Curve]] = {}
    for curve in curves:
        panels.setdefault(curve.grows, []).append(curve)
    rows = -(-len(panels) // COLUMNS)
    figure = new_figure(4.1 * COLUMNS, 3.4 * rows + 0.4, TITLE)
    places = figure.subplots(rows, COLUMNS, squeeze=False).flatten()
    for axes, (grows, several) in zip(places, panels.items(), strict=False):
        _panel(axes, grows, several)
    for axes in places[len(panels) :]:
        axes.set_visible(False)
    save(figure, path)


def _panel(axes: Axes, grows: str, curves: Sequence[Curve]) -> None:
    """Time and work of the curves, their names at the right."""
    frame(axes)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_title(grows, fontsize=9.5)
    ends: list[tuple[float, str, str]] = []
    works: list[tuple[list[float], str, str]] = []
    for number, curve in enumerate(curves):
        colour = CURVES[number % len(CURVES)]
        times = [value / curve.seconds[0] for value in curve.seconds]
        done = [value / curve.work[0] for value in curve.work]
        axes.plot(curve.sizes, times, marker="o", markersize=4, color=colour, zorder=3)
        ends.append((times[-1], curve.name, colour))
        works.append((done, colour, curve.name))
    # where all have the same work it is drawn once, and belongs to nobody
    alike = [max(_apart(done, works[0][0])) < ALIKE for done, _, _ in works]
    if all(alike):
        works = [(works[0][0], FAINT, "")]
    for done, colour, name in works:
        axes.plot(
            curves[0].sizes, done, color=colour, linewidth=1.1, linestyle=(0, (4, 3)), zorder=2
        )
        ends.append((done[-1], f"work of {name}" if name else "work", colour))
    _ticks(axes, curves[0].sizes)
    _name_ends(axes, curves[0].sizes[-1], ends)


def _apart(one: Sequence[float], two: Sequence[float]) -> list[float]:
    """How far two curves are apart, in logarithms."""
    return [abs(math.log(left / right)) for left, right in zip(one, two, strict=True)]


def _ticks(axes: Axes, sizes: Sequence[int]) -> None:
    """The sizes that were measured, written out."""
    from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

    names = [
        f"{size // 1000}k" if size >= 1000 and size % 1000 == 0 else str(size) for size in sizes
    ]
    axes.set_xticks(list(sizes), names)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _name_ends(axes: Axes, x: float, ends: Sequence[tuple[float, str, str]]) -> None:
    """The names right of the last points, moved apart where they would touch."""
    low, high = axes.get_ylim()
    heights = [_height(value, low, high) for value, _, _ in ends]
    for place, (value, name, colour) in zip(spread(heights, GAP), ends, strict=True):
        axes.annotate(
            name,
            (x, value),
            xytext=(1.03, place),
            textcoords="axes fraction",
            ha="left",
            va="center",
            size=SIZE,
            color=colour,
            annotation_clip=False,
        ).set_parse_math(False)
    axes.set_ylim(low, high)


def _height(value: float, low: float, high: float) -> float:
    """Where a value stands in a panel, 0 at the bottom, 1 at the top."""
    return math.log(value / low) / math.log(high / low)


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Places near the heights, in the same order, at least ``gap`` apart."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    groups: list[list[int]] = []
    for at in order:
        groups.append([at])
        # a group stands around its mean; it swallows the one below while they touch
        while len(groups) > 1 and _bottom(groups[-1], heights, gap) < _top(
            groups[-2], heights, gap
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
    placed = [0.0] * len(heights)
    for group in groups:
        bottom = _bottom(group, heights, gap) + gap / 2
        for number, at in enumerate(group):
            placed[at] = bottom + number * gap
    return placed


def _bottom(group: Sequence[int], heights: Sequence[float], gap: float) -> float:
    return sum(heights[at] for at in group) / len(group) - len(group) * gap / 2


def _top(group: Sequence[int], heights: Sequence[float], gap: float) -> float:
    return _bottom(group, heights, gap) + len(group) * gap
