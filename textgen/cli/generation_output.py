"""How continuations are written: text under a line that says whose it is, and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from textgen.cli.decoding_options import in_words

if TYPE_CHECKING:
    from textgen.decoding.chain import Chain
    from textgen.inference import Generation


def print_generation(generation: Generation) -> None:
    """A text with a line above it that says whose it is."""
    click.echo(f"--- prompt {generation.index + 1}, sample {generation.sample + 1} ---")
    click.echo(generation.prompt + generation.text)


def generation_as_dict(generation: Generation, chain: Chain, seed: int) -> dict[str, Any]:
    """What --json tells of one text."""
    return {
        "index": generation.index,
        "sample": generation.sample,
        "prompt": generation.prompt,
        "text": generation.text,
        "tokens": len(generation.tokens),
        "log_prob": generation.log_prob,
        "finished": generation.finished,
        "decode": in_words(chain),
        "seed": seed,
    }
