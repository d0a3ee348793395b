"""Ways to decode compared on a translator: rows, table, plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.comparing import Wanted, attempt, figure, tell_failures, title
from textgen.cli.output import print_json, print_table
from textgen.progress import counting

if TYPE_CHECKING:
    from textgen.evaluation.beam_plot import TranslationPoint
    from textgen.evaluation.report import TranslationReport
    from textgen.loading import LoadedModel


WARM_UP = 64
"""Lines that each strategy translates before it is timed."""


@dataclass(frozen=True)
class TranslationRow:
    """What came of one way to translate.

    Attributes:
        name: as it was asked for.
        decode: the resolved chain.
        report: None if it failed.
        error: why it failed.
    """

    name: str
    decode: str
    report: TranslationReport | None = None
    error: str | None = None

    @property
    def length_ratio(self) -> float:
        """Tokens of the translations over those of the references, as BLEU counts them."""
        if self.report is None:
            return math.nan
        details = self.report.scores.scores["bleu"].details
        return float(details["hypothesis_length"]) / max(int(details["reference_length"]), 1)

    @property
    def log_prob(self) -> float:
        """Mean log-probability of a translation under the model, nats."""
        if self.report is None:
            return math.nan
        return self.report.log_prob / len(self.report.translations)

    @property
    def nats_per_token(self) -> float:
        """Negative log-likelihood over all tokens, eos counted."""
        if self.report is None or not self.report.tokens:
            return math.nan
        return -self.report.log_prob / self.report.tokens

    def as_dict(self) -> dict[str, Any]:
        """Plain data for --json."""
        told: dict[str, Any] = {"name": self.name, "decode": self.decode, "error": self.error}
        if self.report is None:
            return told
        scores = self.report.scores.scores
        return {
            **told,
            "bleu": scores["bleu"].as_dict(),
            "chrf": scores["chrf"].as_dict(),
            "exact": self.report.exact,
            "length_ratio": self.length_ratio,
            "log_prob": self.log_prob,
            "nats_per_token": self.nats_per_token,
            "seconds": self.report.seconds,
            "sentences_per_second": self.report.speed,
        }


def _point(each: Wanted, report: TranslationReport) -> TranslationPoint:
    """Where a strategy stands in the plot; beams that differ in their width alone are one curve."""
    from textgen.evaluation.beam_plot import TranslationPoint
    from textgen.registry import parse_spec

    bleu = report.scores.scores["bleu"].score
    spec = parse_spec(each.chain.description[-1])
    width = spec.options.pop("width", None)
    if spec.name != "beam" or not isinstance(width, int):
        return TranslationPoint(each.name, bleu, report.speed)
    curve = " | ".join([*each.chain.description[:-1], str(spec)])
    return TranslationPoint(each.name, bleu, report.speed, curve, width)


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
            points.append(_point(each, result))
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
