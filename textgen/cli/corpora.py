"""``textgen corpora``: the texts that can be named after --corpus."""

from __future__ import annotations

import click

from textgen.cli.lazy import examples
from textgen.cli.output import json_lines_option


@click.command("corpora", epilog=examples("textgen corpora", "textgen corpora python-reference"))
@click.argument("name", required=False)
@json_lines_option
def command(name: str | None, as_json: bool) -> None:
    """List the corpora that have a name.

    With NAME: its card and its first lines.
    """
    raise NotImplementedError
