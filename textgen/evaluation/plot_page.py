"""What plots of figures share: page, frame, file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textgen import atomic
from textgen.errors import UsageError, nearest
from textgen.evaluation.attention_theme import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg")
BLUE, ORANGE = "#2166b0", LIGHT.mark
CURVES = (BLUE, "#0f8b6d", "#8a4fbf", "#8a6a00", "#5b6675")
TEXT, FAINT, PAGE = LIGHT.text, LIGHT.faint, LIGHT.page


def check_format(path: Path) -> None:
    """See that a picture can be drawn into a file of that name.

    Raises:
        UsageError: if it ends neither in .png nor in .svg.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(f"{path}: a plot is a .png or an .svg.{nearest(suffix, FORMATS)}")


def new_figure(width: float, height: float, title: str) -> Figure:
    """An empty page, width × height in inches, with a canvas to measure texts on."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=150, layout="constrained", facecolor=PAGE)
    FigureCanvasAgg(figure)
    figure.suptitle(title, color=TEXT, fontsize=11, parse_math=False)
    return figure


def frame(axes: Axes) -> None:
    """A quiet frame: two sides, a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=FAINT, labelcolor=TEXT, labelsize=9)
    axes.xaxis.label.set_color(TEXT)
    axes.yaxis.label.set_color(TEXT)
    axes.grid(visible=True, color=FAINT, alpha=0.18, linewidth=0.8)
    axes.set_axisbelow(True)


def save(figure: Figure, path: Path) -> None:
    """Write a figure; the same figures give the same bytes.

    Raises:
        DataError: if the file cannot be written.
    """
    import matplotlib as mpl

    kind = path.suffix.lower().removeprefix(".")
    settings: Any = {"svg.hashsalt": "textgen", "svg.fonttype": "path"}
    metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {"Software": None}
    buffer = io.BytesIO()
    with mpl.rc_context(settings):
        figure.savefig(buffer, format=kind, metadata=metadata)
    atomic.write_bytes(path, buffer.getvalue())
