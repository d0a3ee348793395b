"""A picture of a translator's strategies: BLEU and speed against the width of the beam."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from textgen.errors import DataError
from textgen.evaluation.plot_page import (
    CURVES,
    FAINT,
    ORANGE,
    check_format,
    frame,
    new_figure,
    save,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Field = Literal["bleu", "speed"]


@dataclass(frozen=True)
class TranslationPoint:
    """One strategy of a translator.

    Attributes:
        name: under the point, or beside the curve.
        bleu: in percent.
        speed: sentences a second.
        curve: the same for strategies that differ only in the width of the beam; empty for others.
        width: of the beam.
    """

    name: str
    bleu: float
    speed: float
    curve: str = ""
    width: int = 1


class _Page:
    """Where everything stands from left to right: curves on a scale of log₂, then the others."""

    def __init__(self, points: Sequence[TranslationPoint]) -> None:
        counts = Counter(point.curve for point in points)
        names = [name for name, count in counts.items() if name and count > 1]
        self.curves = {
            shown: sorted((each for each in points if each.curve == name), key=_width)
            for name, shown in zip(names, short_names(names), strict=True)
        }
        self.others = [point for point in points if point.curve not in names]
        self.widths = sorted({point.width for each in self.curves.values() for point in each})
        self.end = math.log2(self.widths[-1]) + 1.0 if self.widths else 0.0
        self.columns = [self.end + 0.6 * number for number in range(len(self.others))]

    def draw(self, axes: Axes, field: Field) -> None:
        """The curves and the other points of one panel."""
        frame(axes)
        for number, (name, each) in enumerate(self.curves.items()):
            x = [math.log2(point.width) for point in each]
            y = [getattr(point, field) for point in each]
            colour = CURVES[number % len(CURVES)]
            axes.plot(x, y, marker="o", markersize=5, color=colour, label=name, zorder=3)
        y = [max(getattr(point, field), self.floor(field)) for point in self.others]
        axes.scatter(self.columns, y, s=36, marker="D", c=ORANGE, linewidths=0, zorder=3)
        if self.curves and self.others:
            axes.axvline(self.end - 0.5, color=FAINT, linewidth=0.8, alpha=0.6)

    def floor(self, field: Field) -> float:
        """The lowest place of the panel: one bad strategy must not flatten the curves."""
        drawn = [point.bleu for each in self.curves.values() for point in each]
        if field == "speed" or not drawn:
            return -math.inf
        return min(drawn) - max(2.0, 2.0 * (max(drawn) - min(drawn)))

    def values(self, axes: Axes) -> None:
        """BLEU in figures above each point; an arrow down where the point lies lower."""
        low = self.floor("bleu")
        marked = [
            *(
                (math.log2(point.width), point.bleu)
                for each in self.curves.values()
                for point in each
            ),
            *((x, point.bleu) for x, point in zip(self.columns, self.others, strict=True)),
        ]
        for x, bleu in marked:
            axes.annotate(
                f"{bleu:.1f}" + (" ↓" if bleu < low else ""),
                (x, max(bleu, low)),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                va="bottom",
                size=7.5,
            )

    def name(self, axes: Axes) -> None:
        """Widths under the curves, names under the other points."""
        widths = [math.log2(width) for width in self.widths]
        names = [str(width) for width in self.widths]
        axes.set_xticks([*widths, *self.columns], [*names, *(point.name for point in self.others)])
        for label in axes.get_xticklabels()[len(widths) :]:
            label.set(rotation=40, ha="right", rotation_mode="anchor", parse_math=False)
        if widths:
            axes.annotate(
                "beam width",
                ((widths[0] + widths[-1]) / 2, 0.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, -24),
                textcoords="offset points",
                ha="center",
                va="top",
            )


def _width(point: TranslationPoint) -> int:
    return point.width


def short_names(curves: Sequence[str]) -> list[str]:
    """Names of curves for the legend: of several chains, that in which they differ.

    Args:
        curves: different chains, ``FILTER | beam:key=value,key=value``.
    """
    parts = [re.split(r",| \| |(?<=beam):", curve) for curve in curves]
    common = set.intersection(*map(set, parts)) if parts else set()
    own = [[part for part in each if part not in common] for each in parts]
    return [" ".join(["beam", *each]) for each in own]


def plot_translations(path: Path, points: Sequence[TranslationPoint], title: str) -> None:
    """Draw BLEU above sentences a second: curves over the beam width, then other strategies.

    Args:
        path: ends in .png or .svg.
        points: others stand from left to right in this order.
        title: above it.

    Raises:
        UsageError: for another ending.
        DataError: if there are no points or the file cannot be written.
    """
    check_format(path)
    if not points:
        raise DataError(f"{path}: there is nothing to draw: no strategy gave a translation.")
    page = _Page(points)
    figure = new_figure(max(6.5, 0.8 * (page.end + len(page.others)) + 2.5), 6.4, title)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    page.draw(upper, "bleu")
    page.draw(lower, "speed")
    page.values(upper)
    upper.margins(y=0.14)
    page.name(lower)
    upper.set_ylabel("BLEU")
    lower.set_ylabel("sentences a second")
    _scale(lower)
    if page.curves:
        upper.legend(frameon=False, fontsize=8, loc="best")
    save(figure, path)


def _scale(axes: Axes) -> None:
    """A logarithmic scale whose numbers are written out."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
