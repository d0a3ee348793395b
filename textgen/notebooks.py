"""HTML for notebooks: small pieces that need nothing else, with all text escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_TOKENS = 60
"""Rows and columns of a heat map; more would be unreadable."""
SURPRISING = 8.0
"""Nats from which a token is coloured in full."""

_TEXT = "white-space:pre-wrap;overflow-wrap:anywhere;font-family:monospace"
_SIZE = 480, 220, 44
"""Width, height and margin of a plot, in pixels."""
_COLOURS = "#4477aa", "#ee6677", "#228833", "#ccbb44"


@dataclass(frozen=True)
class Curve:
    """Points (x, y) of a line, with its name."""

    name: str
    points: Sequence[tuple[float, float]]


def surprise_html(prompt: str, pieces: Sequence[str], log_probs: Sequence[float], note: str) -> str:
    """A text whose pieces are the redder the less likely they were.

    Args:
        prompt: that it continues.
        pieces: of the text.
        log_probs: of each, nats.
        note: stands below.
    """
    spans = [
        f'<span style="background:rgba(214,72,61,{min(-each / SURPRISING, 1.0):.2f})" '
        f'title="{-each:.2f} nats">{_escaped(piece)}</span>'
        for piece, each in zip(pieces, log_probs, strict=True)
        if piece
    ]
    begin = f'<span style="opacity:0.6">{_escaped(prompt)}</span>'
    return f'<div style="{_TEXT}">{begin}{"".join(spans)}</div>{_note(note)}'


def attention_html(
    source: Sequence[str], target: Sequence[str], weights: Sequence[Sequence[float]]
) -> str:
    """A table of attention: a row for each target token, a column for each source token.

    Args:
        source: S tokens.
        target: T tokens.
        weights: (T, S), 0 to 1.
    """
    columns = [_escaped(each) for each in source[:MAX_TOKENS]]
    turned = "writing-mode:vertical-rl;transform:rotate(180deg);text-align:left;padding:2px"
    head = "".join(f'<th style="{turned}">{each}</th>' for each in columns)
    rows = []
    for token, row in zip(target[:MAX_TOKENS], weights, strict=False):
        cells = "".join(
            f'<td style="background:rgba(68,119,170,{each:.3f});min-width:14px" '
            f'title="{each:.3f}"></td>'
            for each in row[:MAX_TOKENS]
        )
        rows.append(f'<tr><th style="text-align:right">{_escaped(token)}</th>{cells}</tr>')
    cut = len(source) > MAX_TOKENS or len(target) > MAX_TOKENS
    note = _note(f"The first {MAX_TOKENS} tokens of each side.") if cut else ""
    return (
        f'<table style="border-collapse:collapse;font-family:monospace"><tr><th></th>{head}</tr>'
        f"{''.join(rows)}</table>{note}"
    )


def table_html(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts."""
    lines = [_row("th", head), *(_row("td", row) for row in rows)]
    return f"<table>{''.join(lines)}</table>"


def curves_html(curves: Sequence[Curve], title: str, note: str) -> str:
    """Lines in one plot, as SVG."""
    width, height, margin = _SIZE
    points = [point for curve in curves for point in curve.points if all(map(math.isfinite, point))]
    if not points:
        return _note(note)
    xs, ys = [x for x, _ in points], [y for _, y in points]
    left, right, low, high = min(xs), max(xs), min(ys), max(ys)

    def place(x: float, y: float) -> str:
        across = (x - left) / ((right - left) or 1) * (width - 2 * margin)
        up = (y - low) / ((high - low) or 1) * (height - 2 * margin)
        return f"{margin + across:.1f},{height - margin - up:.1f}"

    drawn = []
    for number, (curve, colour) in enumerate(zip(curves, _COLOURS, strict=False)):
        finite = [place(x, y) for x, y in curve.points if math.isfinite(x) and math.isfinite(y)]
        special = "".join(
            f'<circle cx="{each.split(",")[0]}" cy="{each.split(",")[1]}" r="2" fill="{colour}"/>'
            for each in finite
        )
        line = f'<polyline fill="none" stroke="{colour}" points="{" ".join(finite)}"/>'
        name = _svg_text(width - margin, 14 + 14 * number, curve.name, "end", colour)
        drawn.append(f"{line}{special if len(finite) < 50 else ''}{name}")
    base, edge = height - margin, width - margin
    axes = f'<path d="M{margin},{margin} V{base} H{edge}" fill="none" stroke="currentColor"/>'
    labels = [
        _svg_text(margin, 14, title, "start"),
        _svg_text(margin - 4, margin + 4, f"{high:.3g}", "end"),
        _svg_text(margin - 4, base, f"{low:.3g}", "end"),
        _svg_text(margin, base + 16, f"{left:,.0f}", "start"),
        _svg_text(edge, base + 16, f"{right:,.0f}", "end"),
    ]
    return (
        f'<svg width="{width}" height="{height}" style="font:11px sans-serif">{axes}'
        f"{''.join(labels)}{''.join(drawn)}</svg>{_note(note)}"
    )


def _svg_text(x: float, y: float, text: str, anchor: str, colour: str = "currentColor") -> str:
    place = f'x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}"'
    return f"<text {place}>{_escaped(text)}</text>"


def _row(cell: str, texts: Sequence[str]) -> str:
    cells = "".join(
        f'<{cell} style="text-align:left;{_TEXT}">{_escaped(text)}</{cell}>' for text in texts
    )
    return f"<tr>{cells}</tr>"


def _note(text: str) -> str:
    return f'<div style="opacity:0.7;font-size:90%">{_escaped(text)}</div>'


def _escaped(text: str) -> str:
    """A text that no browser takes for markup; control characters become visible."""
    shown = "".join(
        each if each.isprintable() or each in "\n\t" else "\N{REPLACEMENT CHARACTER}"
        for each in text
    )
    return html.escape(shown)
