"""A picture of a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textgen.evaluation.plot_page import TEXT, check_format, new_figure, save

_NUMBERED = 30
"""Labels up to which numbers are written into the cells."""
_DARK = 0.55


def plot_confusion(
    path: Path, confusion: NDArray[np.int64], labels: Sequence[str], title: str
) -> None:
    """Draw shares of each true label (row) by predicted label (column), with the texts' numbers.

    Args:
        path: ends in .png or .svg.
        confusion: (C, C).
        labels: C names.
        title: above it.

    Raises:
        UsageError: for another ending.
        DataError: if the file cannot be written.
    """
    check_format(path)
    side = min(max(3.5, 1.6 + 0.45 * len(labels)), 24.0)
    figure = new_figure(side + 0.8, side, title)
    axes = figure.subplots()
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, shrink=0.7, label="share of the true label")
    ticks = range(len(labels))
    size = 9 if len(labels) <= _NUMBERED else max(3.0, 270 / len(labels))
    axes.set_xticks(ticks, labels, rotation=45, ha="right", fontsize=size, parse_math=False)
    axes.set_yticks(ticks, labels, fontsize=size, parse_math=False)
    axes.set_xlabel("predicted", color=TEXT)
    axes.set_ylabel("true", color=TEXT)
    if len(labels) <= _NUMBERED:
        for (row, column), count in np.ndenumerate(confusion):
            colour = "white" if shares[row, column] > _DARK else TEXT
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=8)
    save(figure, path)
