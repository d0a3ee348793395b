"""How continuations are written: text under a line that says whose it is, and JSON."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import click

from textgen.data.encodings import without_surrogates

if TYPE_CHECKING:
    from textgen.decoding.chain import Chain
    from textgen.inference import Generation


def print_generation(generation: Generation) -> None:
    """A text with a line above it that says whose it is."""
    click.echo(f"--- prompt {generation.index + 1}, sample {generation.sample + 1} ---")
    click.echo(generation.prompt + generation.raw.decode("utf-8", "surrogateescape"))


def generation_as_dict(generation: Generation, chain: Chain, seed: int) -> dict[str, Any]:
    """What --json tells of one text; of bytes that are no UTF-8 in base64 too."""
    prompt, text, raw = generation.prompt, generation.text, generation.raw
    own = {} if text.encode() == raw else {"bytes": b64encode(raw).decode()}
    return {
        "index": generation.index,
        "sample": generation.sample,
        "prompt": without_surrogates(prompt),
        "text": text,
        **own,
        "tokens": len(generation.tokens),
        "log_prob": generation.log_prob,
        "finished": generation.finished,
        "decode": str(chain),
        "seed": seed,
    }
