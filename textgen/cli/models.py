"""``textgen models``: the models that can be named after --model."""

from __future__ import annotations

import click

from textgen.cli.lazy import examples
from textgen.cli.output import json_lines_option


@click.command("models", epilog=examples("textgen models", "textgen models checkpoints/py"))
@click.argument("name", required=False)
@json_lines_option
def command(name: str | None, as_json: bool) -> None:
    """List the models at hand.

    With NAME: how it was made.
    """
    raise NotImplementedError
