"""A picture of decoding strategies: repetition and variety against likelihood."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from textgen.errors import DataError
from textgen.evaluation.compare_decoding import Row
from textgen.evaluation.label_placement import Labels
from textgen.evaluation.plot_page import BLUE, ORANGE, TEXT, check_format, frame, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = (
    ("repetition", "repeated 4-grams (seq-rep-4)"),
    ("distinct_2", "distinct-2"),
)


def plot_texts(path: Path, rows: Sequence[Row], title: str) -> None:
    """Draw repetition and distinct-2 against nats per token; text by people is marked.

    Args:
        path: ends in .png or .svg.
        rows: those that failed are left out.
        title: above it.

    Raises:
        UsageError: for another ending.
        DataError: if there is nothing to draw or the file cannot be written.
    """
    check_format(path)
    drawn = [row for row in rows if row.figures and math.isfinite(row.figures.nats_per_token)]
    if not drawn:
        raise DataError(f"{path}: there is nothing to draw: no strategy gave a text.")
    figure = new_figure(12.0, 5.6, title)
    names = [
        _panel(axes, drawn, *panel)
        for axes, panel in zip(figure.subplots(1, 2), _PANELS, strict=True)
    ]
    for labels in names:
        labels.place()
    save(figure, path)


def _panel(axes: Axes, rows: Sequence[Row], field: str, label: str) -> Labels:
    """Points, and the names that are to be placed beside them."""
    frame(axes)
    axes.set_xlabel("negative log-likelihood, nats a token")
    axes.set_ylabel(label)
    names = Labels(axes)
    for row in rows:
        if row.figures is None:
            continue
        x, y = row.figures.nats_per_token, float(getattr(row.figures, field))
        if not math.isfinite(y):
            continue
        human = not row.decode
        if human:
            for line in (axes.axvline(x), axes.axhline(y)):
                line.set(color=ORANGE, alpha=0.35, linewidth=1.0, linestyle=(0, (4, 3)))
        axes.scatter(
            [x],
            [y],
            s=230 if human else 30,
            c=ORANGE if human else BLUE,
            marker="*" if human else "o",
            linewidths=0,
            zorder=2.5 if human else 3,
        )
        names.add(x, y, row.name, ORANGE if human else TEXT, first=human)
    axes.margins(x=0.14, y=0.12)
    if field == "repetition":
        _widen(axes)
    return names


def _widen(axes: Axes) -> None:
    """A scale of square roots: most strategies hardly repeat themselves, a few do all the time."""
    axes.set_yscale("function", functions=(_root, _square))
    axes.set_yticks([0.0, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0])
    top = max(axes.dataLim.y1, 0.01)
    axes.set_ylim(-0.03 * top, 1.15 * top)


def _root(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sign(values) * np.sqrt(np.abs(values))


def _square(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sign(values) * np.square(values)
