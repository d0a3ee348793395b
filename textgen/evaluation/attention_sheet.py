"""How large the parts of a drawn page of attention are, and where they go.

Lengths are inches, places count from the top left corner of the page.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from textgen.errors import UsageError
from textgen.evaluation.attention_layout import POINTS, cell_size, label_size, slanted
from textgen.evaluation.attention_picture import AttentionPicture, readable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARGIN, PAD = 0.3, 0.07
SLANT = math.radians(50)
BOLD = 1.12  # a bold text is about so much wider than the ruler says
_GAP, _PAGE_WIDTH, _LEGEND = 0.45, 14.0, 0.5
_MOST_PIXELS, _LONGEST_SIDE = 120_000_000, 32_000
_RESOLUTIONS = (160, 120, 90, 60)


@dataclass
class Sheet:
    """A picture with all its measures, before it is placed.

    Attributes:
        cell: side of a cell.
        points: size of the labels.
        left: room for the target labels.
        top: room for the source labels and the title.
        width: of all.
        height: of all.
        slants: for each source label whether it is written slantwise.
        x: from the page's left side.
        y: from the page's top.
    """

    picture: AttentionPicture
    source: list[str]
    target: list[str]
    title: str
    cell: float
    points: float
    left: float
    top: float
    width: float
    height: float
    slants: list[bool]
    x: float = field(default=0.0)
    y: float = field(default=0.0)


class Ruler:
    """How large a text will be."""

    def __init__(self, figure: Figure, families: Sequence[str]) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas: Any = FigureCanvasAgg(figure)
        self._renderer = canvas.get_renderer()
        self._dpi = figure.dpi
        self._families = list(families)

    def width(self, text: str, points: float) -> float:
        """Width of one line."""
        from matplotlib.font_manager import FontProperties

        font = FontProperties(family=self._families, size=points)
        width, _, _ = self._renderer.get_text_width_height_descent(text, font, ismath=False)
        return float(width) / self._dpi

    def widest(self, texts: Sequence[str], points: float) -> float:
        """Width of the widest of several labels, 0 for none."""
        return max((self.width(text, points) for text in texts), default=0.0)


def measure(picture: AttentionPicture, ruler: Ruler) -> Sheet:
    """Take the measures of one picture."""
    rows, columns = picture.weights.shape
    cell = cell_size(max(rows, columns))
    points = label_size(cell) * POINTS
    source = [readable(token) for token in picture.source]
    target = [readable(token) for token in picture.target]
    line = 1.25 * points / POINTS
    left = ruler.widest(target, points) + 2 * PAD
    widths = [ruler.width(label, points) for label in source]
    slants = slanted(widths, cell)
    above, right = line + PAD, max(columns * cell, 2.2)
    for column, (width, slant) in enumerate(zip(widths, slants, strict=True)):
        if slant:
            above = max(above, width * math.sin(SLANT) + line * math.cos(SLANT) + PAD)
            end = (column + 0.5) * cell + width * math.cos(SLANT) + line * math.sin(SLANT)
            right = max(right, end)
    width = left + right
    title = _wrap(picture.title, width, ruler)
    top = above + (0.2 * (title.count("\n") + 1) + 0.08 if title else 0.0)
    height = top + max(rows, 1) * cell
    return Sheet(picture, source, target, title, cell, points, left, top, width, height, slants)


def _wrap(title: str, width: float, ruler: Ruler) -> str:
    if not title:
        return ""
    title = readable(title, 400)
    letter = BOLD * ruler.width(title, 10.5) / len(title)
    return "\n".join(textwrap.wrap(title, max(int(width / letter), 12)))


def place(sheets: Sequence[Sheet], head: float) -> tuple[float, float]:
    """Set the sheets in lines from left to right; returns the page's width and height."""
    room = max([_PAGE_WIDTH - 2 * MARGIN, *(sheet.width for sheet in sheets)])
    x, y, tallest, widest = 0.0, MARGIN + head, 0.0, 0.0
    for sheet in sheets:
        if x and x + sheet.width > room:
            x, y, tallest = 0.0, y + tallest + _GAP, 0.0
        sheet.x, sheet.y = MARGIN + x, y
        x += sheet.width + _GAP
        tallest = max(tallest, sheet.height)
        widest = max(widest, x - _GAP)
    return widest + 2 * MARGIN, y + tallest + _LEGEND + MARGIN


def resolution(width: float, height: float, pictures: int) -> int:
    """Dots an inch: the finest at which the page is a reasonable file."""
    for dots in _RESOLUTIONS:
        sides = (width * dots, height * dots)
        if max(sides) <= _LONGEST_SIDE and sides[0] * sides[1] <= _MOST_PIXELS:
            return dots
    raise UsageError(
        f"A page of {pictures} attention pictures would be {width:.0f} × {height:.0f} inches, too "
        "large for .png or .svg: draw fewer or shorter sentences, or write .html."
    )
