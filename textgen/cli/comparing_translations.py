"""Ways to decode compared on a translator: table and plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from textgen.cli.comparing import Wanted, attempt, figure, tell_failures, title
from textgen.cli.output import print_json, print_table
from textgen.progress import counting

if TYPE_CHECKING:
    from textgen.evaluation.compare_translations import TranslationRow
    from textgen.evaluation.report import TranslationReport
    from textgen.loading import LoadedModel


WARM_UP = 64
"""Lines that each strategy translates before it is timed."""


def compare_translations(
    loaded: LoadedModel,
    ways: Sequence[Wanted],
    lines: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    seed: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Compare, and tell the figures.

    Raises:
        DataError: if the plot cannot be written.
        TextgenError: at the end, if a way failed.
    """
    from textgen.evaluation.compare_translations import TranslationRow, point_of
    from textgen.evaluation.report import translate_and_score
    from textgen.translation import TranslationOptions, translate

    options = TranslationOptions(seed=seed)

    def work(each: Wanted) -> TranslationReport:
        for _ in translate(loaded, lines[:WARM_UP], each.chain, options):
            pass  # what is compiled for a shape when it is first seen is not timed
        with counting("lines") as progress:
            return translate_and_score(
                loaded, lines, references, each.chain, options, progress=progress
            )

    rows, points = [], []
    for each, result in zip(ways, attempt(ways, work), strict=True):
        if isinstance(result, str):
            rows.append(TranslationRow(each.name, each.decode, error=result))
        else:
            rows.append(TranslationRow(each.name, each.decode, result))
            points.append(point_of(each.name, each.chain, result))
    if as_json:
        told = [row.as_dict() for row in rows]
        facts = {"model": loaded.name, "kind": loaded.kind, "lines": len(lines), "seed": seed}
        print_json({**facts, "strategies": told})
    else:
        _print(rows)
    if plot is not None and points:
        from textgen.evaluation.beam_plot import plot_translations

        plot_translations(plot, points, title(loaded, f"{len(lines):,} sentences"))
    tell_failures(rows, as_json=as_json)


_HEAD = ("DECODING", "BLEU", "CHRF", "LENGTH", "LOG-PROB", "NATS/TOKEN", "SENTENCES/S")


def _print(rows: Sequence[TranslationRow]) -> None:
    """A table with a row for each, and what is to be quoted with it."""
    print_table([_HEAD, *map(_cells, rows)])
    for row in rows:
        if row.report is not None:
            scores = row.report.scores.scores
            click.echo(f"\nBLEU {scores['bleu'].signature}")
            click.echo(f"{scores['chrf'].name} {scores['chrf'].signature}")
            break


def _cells(row: TranslationRow) -> tuple[str, ...]:
    if row.report is None:
        return (row.name, "failed", *("-" * (len(_HEAD) - 2)))
    scores = row.report.scores.scores
    return (
        row.name,
        figure(scores["bleu"].score),
        figure(scores["chrf"].score),
        figure(row.length_ratio, 3),
        figure(row.log_prob, 3),
        figure(row.nats_per_token, 3),
        figure(row.report.speed, 1),
    )
