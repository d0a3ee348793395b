"""Attention drawn over a source that is a picture, one output token after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textgen.evaluation.plot_page import FAINT, ORANGE, check_format, new_figure, save

_MOST_TOKENS = 40


def plot_picture_attention(
    path: Path,
    picture: NDArray[Any],
    attention: NDArray[np.float32],
    pieces: Sequence[str],
    title: str,
) -> None:
    """Draw a picture in a row for each output token, coloured where the model attends.

    Args:
        path: ends in .png or .svg.
        picture: (H, W), 0 white and 1 black.
        attention: (T, S) weights; vector s is the columns from s · W / S on, a last vector for the
            end of the source may follow.
        pieces: T output tokens.
        title: above it.

    Raises:
        UsageError: for another ending.
        DataError: if the file cannot be written.
    """
    check_format(path)
    count = min(len(pieces), _MOST_TOKENS)
    height, width = picture.shape
    figure = new_figure(7.0, 0.7 + count * max(0.28, 6.0 * height / width), title)
    rows = figure.subplots(count, 1, squeeze=False)[:, 0]
    for axes, weights, piece in zip(rows, attention, pieces, strict=False):
        axes.imshow(picture, cmap="gray_r", vmin=-0.3, vmax=1.3, aspect="auto")
        columns = width / max(len(weights) - 1, 1)
        places = np.arange(len(weights) + 1) * columns - 0.5
        top = weights.max() or 1.0
        for begin, end, weight in zip(places[:-1], places[1:], weights, strict=True):
            axes.axvspan(begin, end, color=ORANGE, alpha=0.65 * float(weight / top), linewidth=0)
        axes.set_xlim(-0.5, width - 0.5 + columns)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_ylabel(piece, rotation=0, ha="right", va="center", parse_math=False)
        for spine in axes.spines.values():
            spine.set_color(FAINT)
    save(figure, path)
