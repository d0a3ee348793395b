"""What commands print: text, tables and JSON lines on stdout."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
json_lines_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object a line."
)
jsonl_option = click.option(
    "--jsonl",
    is_flag=True,
    help="Read requests from stdin, one JSON object a line, each with options of its own; "
    "print as many answers, in order.",
)


def print_json(item: Mapping[str, Any]) -> None:
    """One JSON object on a line of its own; numbers that JSON has no word for become null."""
    click.echo(json.dumps(_plain(item), ensure_ascii=False))


def print_table(rows: Iterable[Sequence[str]], *, gap: int = 2) -> None:
    """Columns aligned to the left, the last one free."""
    table = [tuple(row) for row in rows]
    if not table:
        return
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo((" " * gap).join(cells).rstrip())


def _plain(value: Any) -> Any:
    """Plain data with None where a number is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
