"""``textgen evaluate perplexity``: how well a language model foretells a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from textgen.cli.failures import complain
from textgen.cli.lazy import examples
from textgen.cli.many_cores import Cores, scoring_cores
from textgen.cli.options import collected, device_options, model_option
from textgen.cli.output import json_option, print_json, print_table
from textgen.cli.texts import OneText, one_text
from textgen.cli.threads import set_threads
from textgen.progress import counting

if TYPE_CHECKING:
    from textgen.evaluation.perplexity import Perplexity


@click.command(
    "perplexity",
    epilog=examples(
        "textgen evaluate perplexity --model checkpoints/py valid.txt",
        "textgen evaluate perplexity --model checkpoints/py valid.txt --json",
        "textgen evaluate perplexity --model checkpoints/py --corpus python-reference",
        "textgen evaluate perplexity --model checkpoints/novel novel.txt --held-out",
    ),
)
@model_option
@one_text
@click.option(
    "--held-out", is_flag=True, help="Evaluate only the part of the text that training held out."
)
@device_options()
@scoring_cores
@json_option
def command(
    *,
    model: str,
    held_out: bool,
    device: str,
    precision: str,
    as_json: bool,
) -> None:
    """Measure the perplexity of a text under a language model.

    The whole text is read from its beginning with the state carried on, each token predicted once
    from all before it; documents end with an end mark that counts as a token. A model of lines
    begins each line afresh: only this can be shared out over --processes.
    """
    from textgen.evaluation.perplexity import is_trained_on, perplexity
    from textgen.inference import load_model

    source = collected(OneText).open(raw=_reads_bytes(model))
    cores = collected(Cores)
    set_threads(cores.threads)
    with cores.line_scorers(model, device, precision) as pool, counting("tokens") as progress:
        loaded = load_model(model, device, precision)
        result = perplexity(loaded, source, held_out=held_out, progress=progress, pool=pool)
    if held_out and "train" not in loaded.facts:
        complain(f"Warning: {model} does not know its training text: check that this is it.")
    elif is_trained_on(loaded, result.digest):
        complain(f"Warning: this is the text that {model} was trained on.")
    if as_json:
        print_json(result.as_dict())
    else:
        _print(result, source.name)


def _reads_bytes(model: str) -> bool:
    """Whether a model's tokens are bytes, of whatever kind."""
    from textgen.checkpoint import find_model, read_config

    tokenizer = read_config(find_model(model)).config.get("tokenizer") or {}
    return bool(tokenizer.get("kind") == "bytes")


def _print(result: Perplexity, name: str) -> None:
    """The figures for people."""
    rows = [
        ("text", name),
        ("tokens", f"{result.tokens:,} ({result.eos_rule})"),
        ("words", f"{result.words:,}"),
        ("characters", f"{result.characters:,}"),
        ("bytes", f"{result.bytes:,}"),
        ("nll", f"{result.nll:,.2f} nats"),
        ("perplexity", f"{_readable(result.perplexity)} per token"),
        ("", f"{_readable(result.word_perplexity)} per word"),
        ("nats", f"{result.nats_per_character:.4f} per character"),
        ("bits", f"{result.bits_per_character:.4f} per character"),
        ("", f"{result.bits_per_byte:.4f} per byte"),
        ("unknown", f"{result.unknown:,} tokens ({result.unknown / result.tokens:.2%})"),
        ("altered", f"{result.altered:,} lines"),
    ]
    print_table(rows)
    if result.unknown:
        click.echo(
            "Not comparable with a model of an open vocabulary: unknown tokens hide their text."
        )
    if result.altered:
        click.echo(
            f"Not comparable with a model that keeps every character: {result.altered:,} lines do "
            "not come back from the tokens as they are. Figures are of the text that does."
        )


def _readable(value: float) -> str:
    """With four decimals, or as a power of ten where nobody would count the digits."""
    return f"{value:,.4f}" if value < 1e6 else f"{value:.4g}"
