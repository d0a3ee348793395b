"""Heat maps of attention: which source token each target token looked at.

Source words stand above the columns, target words beside the rows, as in Bahdanau, Cho and Bengio
2015. Colours run from weight 0 to weight 1 in every picture, so that pictures compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textgen import atomic
from textgen.errors import DataError, UsageError, nearest
from textgen.evaluation.attention_picture import AttentionPicture
from textgen.evaluation.attention_theme import theme_named

FORMATS = (".html", ".png", ".svg")


def write_attention(
    path: Path,
    pictures: Sequence[AttentionPicture],
    *,
    theme: str = "auto",
    title: str = "",
) -> None:
    """Draw attention into a file.

    A .png or .svg is one page with all pictures; an .html needs no network, shows each weight
    under the pointer, and can be switched between light and dark.

    Args:
        path: ends in .png, .svg or .html.
        pictures: one or more sentences.
        theme: "light", "dark" or "auto": light when drawn, the reader's own setting in .html.
        title: of the page.

    Raises:
        UsageError: for another ending, an unknown theme, or a page too large for a picture.
        DataError: if there is nothing to draw or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(
            f"{path}: attention is drawn as {', '.join(FORMATS)}.{nearest(suffix, FORMATS)}"
        )
    colours = theme_named("light" if theme == "auto" else theme)
    if not pictures:
        raise DataError("There is no attention to draw.")
    if suffix == ".html":
        from textgen.evaluation.attention_page import render_page

        data = render_page(pictures, theme, title)
    else:
        from textgen.evaluation.attention_figure import render_figure

        data = render_figure(pictures, colours, title, suffix.removeprefix("."))
    atomic.write_bytes(path, data)
