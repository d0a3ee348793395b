"""``textgen evaluate translation``: translate a text and score what comes out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import click

from textgen import atomic
from textgen.cli.decoding_options import chosen_chain, decoding_options
from textgen.cli.failures import complain
from textgen.cli.known_pairs import FILE, KnownPairs, corpus_options, source_option
from textgen.cli.lazy import Several, SeveralCommand, examples
from textgen.cli.many_cores import Cores, translating_cores
from textgen.cli.options import chosen
from textgen.cli.output import json_option, print_json, print_table
from textgen.cli.translating import (
    DEFAULT_DECODE,
    Models,
    Report,
    Translating,
    models_option,
    translate_and_score,
    translating_options,
)


@click.command(
    "translation",
    cls=SeveralCommand,
    epilog=examples(
        "textgen evaluate translation --model checkpoints/dates --corpus dates",
        "textgen evaluate translation --model checkpoints/dates --source dates.txt "
        "--reference iso.txt --json",
        "textgen evaluate translation --model checkpoints/dates --corpus dates --decode greedy",
    ),
)
@models_option
@source_option
@click.option(
    "--reference",
    "references",
    cls=Several,
    multiple=True,
    type=FILE,
    metavar="FILE...",
    help="Right translations, line by line; several files are several references.",
)
@corpus_options
@decoding_options
@translating_options
@translating_cores
@click.option("--output", type=FILE, metavar="FILE", help="Write the translations there.")
@json_option
def command(*, references: tuple[Path, ...], output: Path | None, as_json: bool) -> None:
    """Translate a text and score it with BLEU, chrF and TER.

    The computation is sacreBLEU's on plain text; quote the signature with the score. "exact" is
    the share of the lines that equal a reference.
    """
    lines, known = chosen(KnownPairs).texts(references)
    chain = chosen_chain(DEFAULT_DECODE)
    cores = chosen(Cores)
    options = replace(chosen(Translating).options(), workers=cores.workers)
    with _written(output) as write, cores.translators(options) as crew:
        loaded = chosen(Models).load()
        report = translate_and_score(loaded, lines, known, chain, options, crew=crew)
        write(report.translations)
    for warning in report.scores.warnings:
        complain(f"Warning: {warning}")
    complain(
        f"{len(lines):,} lines in {report.seconds:.1f} s: {report.speed:,.1f} sentences a second."
    )
    if as_json:
        print_json(report.as_dict())
    else:
        _print(report)


@contextlib.contextmanager
def _written(output: Path | None) -> Iterator[Callable[[Iterable[str]], None]]:
    """What writes the translations; a file that cannot be written is told before the work."""
    if output is None:
        yield lambda _: None
        return
    with atomic.open_text(output) as file:
        yield lambda lines: file.writelines(f"{line}\n" for line in lines)


def _print(report: Report) -> None:
    """A table, then what else there is to quote."""
    rows = [
        (score.name, f"{score.score:.2f}", score.signature)
        for score in report.scores.scores.values()
    ]
    print_table([("METRIC", "SCORE", "SIGNATURE"), *rows])
    click.echo(f"\nexact  {report.exact:.2%} of {report.scores.lines:,} lines")
    click.echo(f"decode {' | '.join(report.decode)}")
