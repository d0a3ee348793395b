"""``textgen evaluate bleu``: BLEU, chrF and TER of translations, with signatures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from textgen.cli.failures import complain
from textgen.cli.lazy import Several, SeveralCommand, examples
from textgen.cli.options import PathOf
from textgen.cli.output import json_lines_option, print_json, print_table
from textgen.errors import UsageError
from textgen.evaluation.lines import read_lines, split_lines
from textgen.evaluation.translation_metrics import (
    DEFAULT_SAMPLES,
    METRICS,
    PAIRED_TESTS,
    MetricOptions,
    MetricScore,
    Paired,
    SystemScores,
    score_translations,
)

SIGNIFICANT = 0.05


@click.command(
    "bleu",
    cls=SeveralCommand,
    epilog=examples(
        "textgen evaluate bleu hypothesis.txt --reference reference.txt",
        "textgen evaluate bleu hypothesis.txt --reference a.txt b.txt --confidence --json",
        "textgen evaluate bleu base.txt new.txt --reference reference.txt --paired bootstrap",
    ),
)
@click.argument("hypotheses", nargs=-1, metavar="HYPOTHESIS...")
@click.option(
    "--reference",
    "references",
    cls=Several,
    multiple=True,
    required=True,
    type=PathOf(path_type=Path),
    metavar="FILE...",
    help="Reference translations, line by line; several files are several references.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    type=click.Choice(METRICS),
    help="Only this metric; may be repeated.  [default: all]",
)
@click.option(
    "--tokenizer",
    default="13a",
    show_default=True,
    metavar="NAME",
    help="BLEU's tokenizer: 13a, intl, char, zh, none, ...",
)
@click.option(
    "--lowercase", is_flag=True, help="Disregard case in BLEU and chrF (TER always does)."
)
@click.option(
    "--chrf-words", default=0, type=click.IntRange(0), help="Word n-grams in chrF; 2: chrF++."
)
@click.option("--confidence", is_flag=True, help="Report 95 % confidence intervals by bootstrap.")
@click.option(
    "--paired",
    type=click.Choice(PAIRED_TESTS),
    help="Test whether each system differs from the first.",
)
@click.option(
    "--samples",
    type=click.IntRange(2),
    help="Samples of the test or the interval.  [default: 1000; randomisation: 10000]",
)
@json_lines_option
def command(
    *,
    hypotheses: tuple[str, ...],
    references: tuple[Path, ...],
    metrics: tuple[str, ...],
    tokenizer: str,
    lowercase: bool,
    chrf_words: int,
    confidence: bool,
    paired: Paired | None,
    samples: int | None,
    as_json: bool,
) -> None:
    """Score translations with BLEU, chrF and TER.

    Each HYPOTHESIS is a file of translations, one a line, of one system; - reads them from stdin.
    Several systems make a table, the first is the baseline of --paired. The computation is
    sacreBLEU's; quote the signature with the score. Texts are plain, neither tokenised nor
    lower-cased.
    """
    if not hypotheses:
        raise UsageError(
            "There is no HYPOTHESIS. All files after --reference are references: name the "
            "hypothesis before it, or put -- between: --reference reference.txt -- hypothesis.txt."
        )
    bootstrap = DEFAULT_SAMPLES["bootstrap"]
    options = MetricOptions(
        metrics=tuple(name for name in METRICS if not metrics or name in metrics),
        tokenizer=tokenizer,
        lowercase=lowercase,
        chrf_word_order=chrf_words,
        confidence=(bootstrap if paired else samples or bootstrap) if confidence else 0,
        paired=paired,
        samples=samples or 0,
    )
    scores = score_translations(
        _read(hypotheses), _read([str(path) for path in references]), options
    )
    for warning in dict.fromkeys(text for each in scores for text in each.warnings):
        complain(f"Warning: {warning}")
    if as_json:
        for each in scores:
            print_json(each.as_dict())
    else:
        _print(scores, options)


def _read(names: Sequence[str]) -> dict[str, list[str]]:
    """The lines of each file by its name."""
    texts: dict[str, list[str]] = {}
    for name in names:
        if name in texts:
            raise UsageError(f"{name} is given twice.")
        if name == "-":
            texts[name] = split_lines(sys.stdin.buffer.read(), "stdin")
        else:
            texts[name] = read_lines(Path(name))
    return texts


def _print(systems: Sequence[SystemScores], options: MetricOptions) -> None:
    """A table, then the signatures."""
    first = systems[0]
    heads = [score.name for score in first.scores.values()]
    rows = [(each.system, *map(_cell, each.scores.values())) for each in systems]
    print_table([("SYSTEM", *heads), *rows])
    click.echo()
    if options.paired:
        samples = options.samples or DEFAULT_SAMPLES[options.paired]
        click.echo(
            f"* differs from {first.system} with p < {SIGNIFICANT} "
            f"(paired {options.paired}, {samples} samples)"
        )
    print_table([(score.name, score.signature) for score in first.scores.values()])


def _cell(score: MetricScore) -> str:
    """``34.31 (34.29 ± 1.02) p=0.012*``, as much as is known."""
    text = f"{score.score:.2f}"
    if score.mean is not None and score.interval is not None:
        text += f" ({score.mean:.2f} ± {score.interval:.2f})"
    if score.p_value is not None:
        text += f" p={score.p_value:.4f}{'*' if score.p_value < SIGNIFICANT else ''}"
    return text
