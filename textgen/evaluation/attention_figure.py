"""Pages of attention as .png and .svg, drawn with Matplotlib's figure objects (no pyplot)."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from textgen.evaluation.attention_picture import AttentionPicture, readable
from textgen.evaluation.attention_sheet import (
    BOLD,
    MARGIN,
    PAD,
    SLANT,
    Ruler,
    Sheet,
    measure,
    place,
    resolution,
)
from textgen.evaluation.attention_theme import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# DejaVu Sans comes with Matplotlib and has Latin, Greek, Cyrillic, Hebrew and Arabic; the others
# are used for what it lacks, where they are installed
_FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Noto Sans Devanagari",
    "Arial Unicode MS",
)


def render_figure(
    pictures: Sequence[AttentionPicture], theme: Theme, title: str, kind: str
) -> bytes:
    """Draw all pictures on one page.

    Args:
        pictures: in reading order.
        theme: the colours.
        title: of the page, or empty.
        kind: "png" or "svg".

    Returns:
        The file's bytes, the same ones each time.

    Raises:
        UsageError: if the page would be too large for a picture.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    settings: Any = {"svg.hashsalt": "textgen", "svg.fonttype": "path", "text.usetex": False}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # a script without a font shows boxes; that is no reason to fill the terminal
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(facecolor=theme.page)
        families = _families()
        ruler = Ruler(figure, families)
        sheets = [measure(picture, ruler) for picture in pictures]
        width, height = place(sheets, head=0.45 if title else 0.0)
        dots = resolution(width, height, len(sheets))
        figure.set_size_inches(width, height)
        pen = _Pen(figure, theme, families)
        if title:
            title = readable(title, 200)
            needed = BOLD * ruler.width(title, 13.0)
            size = 13.0 * min(1.0, (width - 2 * MARGIN) / max(needed, 1e-9))
            pen.write(MARGIN, MARGIN, title, size=size, color=theme.text, bold=True)
        for sheet in sheets:
            pen.draw(sheet)
        pen.legend(gold=any(picture.gold.possible for picture in pictures))
        buffer = io.BytesIO()
        metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(buffer, format=kind, dpi=dots, metadata=metadata)
        return buffer.getvalue()


def _families() -> list[str]:
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return [name for name in _FONTS if name in installed]


class _Pen:
    """Draws sheets on the page."""

    def __init__(self, figure: Figure, theme: Theme, families: Sequence[str]) -> None:
        from matplotlib.colors import LinearSegmentedColormap

        self.figure = figure
        self.theme = theme
        self.families = list(families)
        self.width, self.height = (float(side) for side in figure.get_size_inches())
        self.colours = LinearSegmentedColormap.from_list("attention", theme.ramp)

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes at a place of the page, without frame and ticks."""
        bounds = (
            x / self.width,
            1 - (y + height) / self.height,
            width / self.width,
            height / self.height,
        )
        axes = self.figure.add_axes(bounds)
        axes.set_axis_off()
        return axes

    def write(
        self, x: float, y: float, text: str, *, size: float, color: str, bold: bool = False
    ) -> None:
        """Write a text whose top left corner lies at a place of the page."""
        self.figure.text(
            x / self.width,
            1 - y / self.height,
            text,
            size=size,
            color=color,
            weight="bold" if bold else "normal",
            family=self.families,
            ha="left",
            va="top",
            parse_math=False,
        )

    def draw(self, sheet: Sheet) -> None:
        """Title, cells, labels."""
        rows, columns = sheet.picture.weights.shape
        if sheet.title:
            self.write(sheet.x, sheet.y, sheet.title, size=10.5, color=self.theme.text, bold=True)
        if not rows or not columns:
            self.write(
                sheet.x, sheet.y + sheet.top, "(an empty sentence)", color=self.theme.faint, size=10
            )
            return
        axes = self.axes(
            sheet.x + sheet.left, sheet.y + sheet.top, columns * sheet.cell, rows * sheet.cell
        )
        axes.set_xlim(0, columns)
        axes.set_ylim(rows, 0)
        self._cells(axes, sheet)
        self._labels(axes, sheet)
        self._outline(axes, sheet)

    def _cells(self, axes: Axes, sheet: Sheet) -> None:
        weights = sheet.picture.weights
        axes.pcolormesh(
            weights,
            cmap=self.colours,
            vmin=0.0,
            vmax=1.0,
            edgecolors=self.theme.page,
            linewidth=min(1.2, 3.2 * sheet.cell),
            rasterized=weights.size > 20_000,
        )

    def _labels(self, axes: Axes, sheet: Sheet) -> None:
        gap = PAD / sheet.cell
        style: dict[str, Any] = {
            "size": sheet.points,
            "color": self.theme.text,
            "family": self.families,
            "parse_math": False,
            "clip_on": False,
        }
        upright = {"ha": "center", "va": "baseline"}
        slant = {
            "ha": "left",
            "va": "center",
            "rotation": math.degrees(SLANT),
            "rotation_mode": "anchor",
        }
        for column, (label, tilt) in enumerate(zip(sheet.source, sheet.slants, strict=True)):
            axes.text(column + 0.5, -gap, label, **style, **(slant if tilt else upright))
        for row, label in enumerate(sheet.target):
            axes.text(-gap, row + 0.5, label, ha="right", va="center_baseline", **style)

    def _outline(self, axes: Axes, sheet: Sheet) -> None:
        """Frames around gold links."""
        from matplotlib.patches import Rectangle

        rows, columns = sheet.picture.weights.shape
        gold = sheet.picture.gold
        for link in sorted(gold.possible):
            if link.source < columns and link.target < rows:
                frame = Rectangle(
                    (link.source + 0.08, link.target + 0.08),
                    0.84,
                    0.84,
                    fill=False,
                    edgecolor=self.theme.mark,
                    linewidth=1.4,
                    linestyle="-" if link in gold.sure else (0, (2, 1.5)),
                )
                axes.add_patch(frame)

    def legend(self, *, gold: bool) -> None:
        """The scale of the colours at the foot of the page."""
        import numpy as np

        y = self.height - MARGIN - 0.16
        axes = self.axes(MARGIN + 0.14, y, 1.5, 0.13)
        axes.pcolormesh(np.linspace(0, 1, 64)[None], cmap=self.colours, vmin=0, vmax=1)
        self.write(MARGIN, y, "0", size=8, color=self.theme.faint)
        frames = "; frames: gold links, broken where only possible" if gold else ""
        label = f"1   weight of attention{frames}"
        self.write(MARGIN + 1.7, y, label, size=8, color=self.theme.faint)
