"""``textgen corpora``: the texts that can be named after --corpus."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.failures import complain
from textgen.cli.lazy import examples
from textgen.cli.output import json_lines_option, print_json, print_table
from textgen.errors import DataError

if TYPE_CHECKING:
    from textgen.data.corpora import Card

OFFLINE_VARIABLE = "HF_HUB_OFFLINE"
FIRST_LINES = 5
LONGEST = 100
"""Lines shown of a corpus, and characters of each."""


@click.command("corpora", epilog=examples("textgen corpora", "textgen corpora python-reference"))
@click.argument("name", required=False)
@click.option("--fetch", is_flag=True, help="Fetch it now, if it is not here yet.")
@json_lines_option
def command(*, name: str | None, fetch: bool, as_json: bool) -> None:
    """List the known corpora.

    With NAME: its card and its first lines. Built-in corpora need no download; the others are
    fetched through Hugging Face's `datasets` when they are first used.
    """
    from textgen.data.corpora import card, cards

    if not fetch:
        os.environ[OFFLINE_VARIABLE] = "1"  # read by datasets when it is imported
    if name is None:
        _list(cards(), as_json=as_json)
    else:
        _show(card(name), as_json=as_json)


def _list(cards: list[Card], *, as_json: bool) -> None:
    """One line for each corpus, the built-in ones first."""
    ordered = sorted(cards, key=lambda card: (card.hub is not None, card.name))
    rows = [(card.name, card.kind, card.origin, card.title) for card in ordered]
    if as_json:
        for row in rows:
            print_json(dict(zip(("name", "kind", "origin", "title"), row, strict=True)))
    else:
        print_table([("NAME", "KIND", "ORIGIN", "WHAT"), *rows])


def _show(card: Card, *, as_json: bool) -> None:
    """A card, and the first lines if the text can be had."""
    facts = {key: value for key, value in dataclasses.asdict(card).items() if value}
    lines = _first_lines(card)
    if as_json:
        print_json({**facts, "first_lines": lines})
        return
    print_table([(key, str(value)) for key, value in _flat(facts)])
    if lines:
        click.echo("\nIt begins:")
        for line in lines:
            click.echo(f"  {line}")


def _first_lines(card: Card) -> list[str]:
    """The first lines or pairs of the training part; none and a reason if it is not at hand."""
    if card.kind != "text" and card.hub is not None:
        return []
    try:
        return [line[:LONGEST] for line in itertools.islice(_lines(card), FIRST_LINES)]
    except DataError as error:
        offline = card.hub is not None and os.environ.get(OFFLINE_VARIABLE) == "1"
        complain(
            f"{card.name} is not here yet: --fetch fetches it and shows its first lines."
            if offline
            else f"Its first lines cannot be shown: {error}"
        )
        return []


def _lines(card: Card) -> Iterator[str]:
    from textgen.data.documents import Lines

    if card.kind == "parallel":
        return (" → ".join(pair) for pair in card.open_pairs().train.pairs())
    return Lines(card.open().train).documents()


def _flat(facts: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The facts with those of the hub as ``hub.name``."""
    for key, value in facts.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{name}", inner) for name, inner in value.items() if inner)
        else:
            yield key, value
