"""Measures that drawn and written pages of attention share, in inches."""

from __future__ import annotations

from collections.abc import Sequence

POINTS = 72.0


def cell_size(tokens: int) -> float:
    """Side of a cell; cells shrink from 20 to 60 tokens, so that long sentences stay on a page."""
    share = min(max((tokens - 20) / 40, 0.0), 1.0)
    return 0.36 - 0.16 * share


def label_size(cell: float) -> float:
    """Height of the letters beside cells of a size."""
    return min(11.0 / POINTS, 0.5 * cell)


def slanted(widths: Sequence[float], cell: float) -> list[bool]:
    """Which column labels are slanted: none that fit where most fit (characters), else all.

    Args:
        widths: of the labels.
        cell: width of a column.
    """
    wide = [width > 0.9 * cell for width in widths]
    return wide if sum(wide) <= 0.4 * len(wide) else [True] * len(wide)
