"""A page of attention as one .html that needs nothing else: no network, no other file."""

from __future__ import annotations

import html
import importlib.resources
import string
import unicodedata
from collections.abc import Sequence

from textgen.evaluation.attention_layout import cell_size, label_size, slanted
from textgen.evaluation.attention_picture import AttentionPicture, readable
from textgen.evaluation.attention_theme import DARK, LIGHT, Theme, colour

_LEVELS = 100
_PIXELS = 72.0  # of an inch of a drawn page
_TITLE = "Attention"


def render_page(pictures: Sequence[AttentionPicture], theme: str, title: str) -> bytes:
    """Write all pictures into one page.

    Args:
        pictures: in reading order.
        theme: "auto" (the reader's own), "light" or "dark"; a button changes it.
        title: of the page, or empty.
    """
    gold = any(picture.gold.possible for picture in pictures)
    values = {
        "theme": theme,
        "title": html.escape(readable(title, 200) if title else _TITLE),
        "light": _variables(LIGHT),
        "dark": _variables(DARK),
        "classes": "\n".join(
            f".w{level} {{ background: var(--c{level}); }}" for level in range(_LEVELS + 1)
        ),
        "gold": '<span class="gold">frames: gold links, broken where only possible</span>'
        if gold
        else "",
        "figures": "\n".join(
            _figure(picture, number if len(pictures) > 1 else None)
            for number, picture in enumerate(pictures, start=1)
        ),
    }
    template = importlib.resources.files("textgen.evaluation").joinpath("attention_page.html")
    page = string.Template(template.read_text(encoding="utf-8")).substitute(values)
    return page.encode("utf-8", "replace")


def _variables(theme: Theme) -> str:
    """The theme as CSS variables."""
    ramp = ", ".join(theme.ramp)
    names = {
        "page": theme.page,
        "cell": theme.cell,
        "text": theme.text,
        "faint": theme.faint,
        "mark": theme.mark,
        "ramp": f"linear-gradient(90deg, {ramp})",
    }
    names |= {f"c{level}": colour(theme.ramp, level / _LEVELS) for level in range(_LEVELS + 1)}
    return " ".join(f"--{name}: {value};" for name, value in names.items())


def _figure(picture: AttentionPicture, number: int | None) -> str:
    rows, columns = picture.weights.shape
    caption = html.escape(readable(picture.title, 400)) if picture.title else ""
    if number is not None:
        caption = f"<small>{number}</small>{caption}"
    head = f"<figcaption>{caption}</figcaption>" if caption else ""
    if not rows or not columns:
        return f'<figure>{head}<p class="empty">(an empty sentence)</p></figure>'
    cell = cell_size(max(rows, columns))
    source = [readable(token) for token in picture.source]
    # a letter is about 0.6 of its height wide, a Chinese one as wide as high
    widths = [_letters(label) * 0.6 * label_size(cell) for label in source]
    tilted = slanted(widths, cell)
    tilts = zip(source, tilted, strict=True)
    longest = max([1.0, *(_letters(label) for label, tilt in tilts if tilt)])
    style = (
        f"--side: {cell * _PIXELS:.1f}px; --size: {max(label_size(cell) * _PIXELS, 10.5):.1f}px; "
        f"--head: {0.46 * longest + 1.4:.1f}em; padding-right: {0.39 * longest + 1:.1f}em"
    )
    heads = "".join(map(_column, picture.source, source, tilted))
    lines = "\n".join(_row(picture, row) for row in range(rows))
    return (
        f'<figure>{head}<div class="scroll"><div style="{style}">\n<table>'
        f"<thead><tr><td></td>{heads}</tr></thead>\n<tbody>\n{lines}\n</tbody></table>\n"
        "</div></div></figure>"
    )


def _letters(label: str) -> float:
    """Width of a label in ordinary letters."""
    return sum(1.7 if unicodedata.east_asian_width(each) in "WF" else 1.0 for each in label)


def _column(token: str, label: str, tilt: bool) -> str:
    kind = "" if tilt else ' class="upright"'
    return f'<th scope="col"{kind}{_full(token, label)}><span>{_safe(label)}</span></th>'


def _row(picture: AttentionPicture, row: int) -> str:
    token, weights = picture.target[row], picture.weights[row]
    label = readable(token)
    numbers = " ".join(f"{weight:.3f}" for weight in weights)
    cells = "".join(
        f'<td class="{_classes(picture, column, row)}"></td>' for column in range(len(weights))
    )
    head = f'<th scope="row"{_full(token, label)}>{_safe(label)}</th>'
    return f'<tr data-weights="{numbers}">{head}{cells}</tr>'


def _classes(picture: AttentionPicture, column: int, row: int) -> str:
    level = round(min(max(float(picture.weights[row, column]), 0.0), 1.0) * _LEVELS)
    link = (column, row)
    if link in picture.gold.sure:
        return f"w{level} sure"
    return f"w{level} possible" if link in picture.gold.possible else f"w{level}"


def _full(token: str, label: str) -> str:
    """The whole token as a title where its label is shortened."""
    whole = readable(token, 2000)
    return "" if whole == label else f' title="{html.escape(whole)}"'


def _safe(label: str) -> str:
    # bdi keeps a right-to-left word from turning its neighbours round
    return f"<bdi>{html.escape(label)}</bdi>"
