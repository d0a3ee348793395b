"""``textgen evaluate tagging``: predicted tags against known ones."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from textgen.cli.failures import complain
from textgen.cli.lazy import SeveralCommand, examples
from textgen.cli.options import PathOf, collected, device_option, model_option, whole_number
from textgen.cli.output import json_option, print_json, print_table
from textgen.cli.tagged import TagColumns, tag_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textgen.evaluation.classification import ClassScores
    from textgen.evaluation.tagging import TaggingReport


@click.command(
    "tagging",
    cls=SeveralCommand,
    epilog=examples(
        "textgen evaluate tagging --model checkpoints/pos test.conllu",
        "textgen evaluate tagging --model checkpoints/xpos test.conllu --column xpos",
        "textgen evaluate tagging --model checkpoints/names test.conll --json",
    ),
)
@model_option
@click.argument("files", nargs=-1, required=True, type=PathOf(path_type=Path))
@tag_columns
@whole_number("--batch-size", 64, "Sentences per batch.")
@device_option()
@json_option
def command(
    *, model: str, files: tuple[Path, ...], batch_size: int, device: str, as_json: bool
) -> None:
    """Tag sentences whose tags are known, and score what is found.

    FILES are CoNLL-U, a file with columns, a table, or two files WORDS TAGS. Tags of BIO or IOBES
    are scored as spans too, as conlleval and seqeval count them. Intervals hold 95 % of 1,000
    bootstrap resamples of the sentences.
    """
    from textgen.evaluation.tagging import evaluate_tagger
    from textgen.loading import load_model
    from textgen.tagging import tags_of

    loaded = load_model(model, device)
    tags_of(loaded)
    report = evaluate_tagger(
        loaded, collected(TagColumns).open(files, loaded.recipe.data.column), batch_size=batch_size
    )
    if report.strange:
        complain(
            f"Warning: {report.strange:,} words have a tag that does not occur in the training "
            "data; they count as errors."
        )
    if as_json:
        print_json(report.as_dict())
    else:
        _print(model, report)


def _print(model: str, report: TaggingReport) -> None:
    click.echo(f"{model}: {len(report.predictions):,} sentences, {report.words:,} words")
    rows = [
        ("accuracy", f"{report.accuracy:.4f}", _interval(report.accuracy_interval)),
        ("of sentences", f"{report.sentence_accuracy:.4f}", ""),
    ]
    if not math.isnan(report.unknown_accuracy):
        unknown = f"of {report.unknown:,} unknown words"
        rows.append((unknown, f"{report.unknown_accuracy:.4f}", ""))
    if report.spans is not None:
        rows += [
            ("span precision", f"{report.spans.precision:.4f}", ""),
            ("span recall", f"{report.spans.recall:.4f}", ""),
            ("span F1", f"{report.spans.f1:.4f}", _interval(report.spans.f1_interval)),
        ]
    print_table([("METRIC", "VALUE", "95 % INTERVAL"), *rows])
    click.echo()
    if report.spans is None:
        _print_classes("TAG", "WORDS", report.tags)
    else:
        _print_classes("CLASS", "SPANS", report.spans.classes)
    if report.errors:
        click.echo()
        print_table(
            [
                ("TRUE", "PREDICTED", "WORDS"),
                *((true, own, f"{count:,}") for true, own, count in report.errors),
            ]
        )


def _print_classes(name: str, support: str, classes: Sequence[ClassScores]) -> None:
    print_table(
        [
            (name, "PRECISION", "RECALL", "F1", support),
            *(
                (
                    each.label,
                    f"{each.precision:.4f}",
                    f"{each.recall:.4f}",
                    f"{each.f1:.4f}",
                    f"{each.support:,}",
                )
                for each in classes
            ),
        ]
    )


def _interval(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:.4f} to {bounds[1]:.4f}"
