"""Whether a translation depends on its batch: the same lines in other batches, threads, processes.

    python -m benchmarks.independence --model DIR --source FILE [--lines 10000] [--json]

Runs ``textgen translate`` with each number of source tokens at once, threads and processes, in
each precision, and counts the lines whose text, and whose tokens' log-probabilities, are other ones
than in batches of 1,024 tokens on one thread. Numbers are compared to the last digit.
``TEXTGEN_NATIVE`` (0, or a kind of kernels) and ``ONEDNN_MAX_CPU_ISA`` pretend other processors.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import click

PRECISIONS = ("float32", "bfloat16", "int8")


class Way(NamedTuple):
    """How the lines are shared out."""

    batch_tokens: int
    threads: int
    processes: int

    def __str__(self) -> str:
        """For the table."""
        return f"{self.batch_tokens:,} tokens, {self.threads} threads, {self.processes} processes"


FIRST = Way(1024, 1, 1)


@click.command()
@click.option("--model", required=True, help="A translator.")
@click.option("--source", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--lines", default=10_000, show_default=True, help="The first ones of the source.")
@click.option("--decode", default="beam:width=5", show_default=True)
@click.option("--precision", "precisions", multiple=True, type=click.Choice(PRECISIONS))
@click.option("--batch-tokens", multiple=True, type=int, default=(1, 64, 1024), show_default=True)
@click.option("--threads", multiple=True, type=int, default=(1, 2), show_default=True)
@click.option("--processes", multiple=True, type=int, default=(1, 2), show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(
    model: str,
    source: Path,
    lines: int,
    decode: str,
    precisions: tuple[str, ...],
    batch_tokens: tuple[int, ...],
    threads: tuple[int, ...],
    processes: tuple[int, ...],
    as_json: bool,
) -> None:
    """Translate in every way and count what differs."""
    text = b"".join(source.read_bytes().splitlines(keepends=True)[:lines])
    ways = [Way(*each) for each in itertools.product(batch_tokens, threads, processes)]
    if not as_json:
        click.echo(
            f"{'precision':10} {'':42} {'lines':>7} {'other texts':>12} {'other numbers':>14}"
        )
    for precision in precisions or PRECISIONS:
        expected = _translated(text, model, decode, precision, FIRST)
        for way in ways:
            if way == FIRST:
                continue
            found = _translated(text, model, decode, precision, way)
            texts = sum(a[0] != b[0] for a, b in zip(found, expected, strict=True))
            numbers = sum(a[1] != b[1] for a, b in zip(found, expected, strict=True))
            if as_json:
                row = {"precision": precision, **way._asdict(), "lines": len(found)}
                click.echo(json.dumps(row | {"texts": texts, "numbers": numbers}))
            else:
                click.echo(f"{precision:10} {way!s:42} {len(found):7,} {texts:12,} {numbers:14,}")


def _translated(
    text: bytes, model: str, decode: str, precision: str, way: Way
) -> list[tuple[str, Any]]:
    """Text and log-probabilities of each line."""
    command = [sys.executable, "-m", "textgen", "translate", "--model", model, "--json"]
    command += ["--decode", decode, "--precision", precision]
    command += ["--batch-tokens", str(way.batch_tokens), "--threads", str(way.threads)]
    if way.processes > 1:
        command += ["--processes", str(way.processes)]
    done = subprocess.run(command, input=text, capture_output=True, check=True)
    found = (json.loads(line) for line in done.stdout.splitlines())
    return [(each["translation"], each["token_log_probs"]) for each in found]


if __name__ == "__main__":
    main()
