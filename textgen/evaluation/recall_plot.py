"""A plot of recalls of a Hopfield network: energy over the steps, pictures of drawn patterns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from textgen.evaluation.plot_page import CURVES, TEXT, check_format, frame, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from textgen.models.hopfield import Hopfield, RecalledText

MAX_PICTURES = 8
"""Recalls whose pictures are drawn: the first ones."""
MAX_NAMES = 10
"""Curves up to which a legend names each."""


def plot_recalls(
    path: Path, memory: Hopfield, recalls: Mapping[str, RecalledText], title: str
) -> None:
    """Draw the energy of each recall over its steps; of drawn patterns also cue and last state.

    Args:
        path: ends in .png or .svg.
        memory: that recalled.
        recalls: by the name of the cue; at least one.
        title: above it.

    Raises:
        UsageError: for another ending.
        DataError: if the file cannot be written.
    """
    check_format(path)
    if not memory.drawn:
        figure = new_figure(7.0, 4.2, title)
        _energies(figure.subplots(), recalls)
        save(figure, path)
        return
    shown = list(recalls.items())[:MAX_PICTURES]
    figure = new_figure(max(7.0, 1.2 * len(shown)), 7.0, title)
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(3, 4))[:, 0]
    _energies(upper.subplots(), recalls)
    grid = lower.subplots(2, len(shown), squeeze=False)
    for column, (name, each) in enumerate(shown):
        for row, state in enumerate((each.cue, each.recall.state)):
            axes = grid[row, column]
            axes.imshow(memory.code.picture(state), cmap="Greys", vmin=-1, vmax=1)
            axes.set_xticks([])
            axes.set_yticks([])
        grid[0, column].set_title(name, fontsize=9, color=TEXT, parse_math=False)
        grid[1, column].set_xlabel(each.kind, fontsize=8, color=TEXT)
    grid[0, 0].set_ylabel("cue", color=TEXT)
    grid[1, 0].set_ylabel("recalled", color=TEXT)
    save(figure, path)


def _energies(axes: Axes, recalls: Mapping[str, RecalledText]) -> None:
    """One curve for each recall."""
    frame(axes)
    for number, (name, each) in enumerate(recalls.items()):
        energies = each.recall.energies
        label = name.replace("$", r"\$") if len(recalls) <= MAX_NAMES else None
        marker = "o" if len(energies) < 20 else None
        colour = CURVES[number % len(CURVES)]
        label = label and f"{label} ({each.kind})"
        axes.plot(energies, color=colour, marker=marker, markersize=4, linewidth=1.2, label=label)
    axes.set_xlabel("step")
    axes.set_ylabel("energy")
    if len(recalls) <= MAX_NAMES:
        axes.legend(frameon=False, fontsize=8)
