"""``textgen evaluate classification``: predicted labels against known ones."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from textgen.cli.failures import complain
from textgen.cli.labelled import Columns, columns
from textgen.cli.lazy import SeveralCommand, examples
from textgen.cli.options import PathOf, collected, device_option, whole_number
from textgen.cli.output import json_option, print_json, print_table
from textgen.errors import UsageError

if TYPE_CHECKING:
    from textgen.evaluation.classification import ClassificationReport

_MOST_LABELS = 20
"""Labels up to which the confusion matrix is printed."""


@click.command(
    "classification",
    cls=SeveralCommand,
    epilog=examples(
        "textgen evaluate classification --model checkpoints/reviews test.csv",
        "textgen evaluate classification --model checkpoints/reviews test.csv --plot confusion.png",
        "textgen evaluate classification --model checkpoints/a --model checkpoints/b test.csv",
        "textgen evaluate classification --model checkpoints/reviews texts.txt labels.txt --json",
    ),
)
@click.option(
    "--model",
    "models",
    required=True,
    multiple=True,
    metavar="DIR|NAME",
    help="A model's folder, or a name of `models`; two are compared by McNemar's test.",
)
@click.argument("files", nargs=-1, required=True, type=PathOf(path_type=Path))
@columns
@click.option(
    "--plot",
    type=PathOf(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw the confusion matrix (.png or .svg).",
)
@whole_number("--batch-size", 64, "Texts per batch.")
@device_option()
@json_option
def command(
    *,
    models: tuple[str, ...],
    files: tuple[Path, ...],
    plot: Path | None,
    batch_size: int,
    device: str,
    as_json: bool,
) -> None:
    """Predict the labels of texts whose labels are known, and score the predictions.

    FILES are a table, a folder with one folder for each label, or two files TEXTS LABELS. Accuracy
    and macro F1 come with the interval that holds 95 % of 1,000 bootstrap resamples.
    """
    from textgen.classification import labels_of
    from textgen.evaluation.classification import evaluate_classifier, mcnemar
    from textgen.evaluation.plot_page import check_format
    from textgen.loading import load_model

    if len(models) > 2 or (len(models) > 1 and plot is not None):
        raise UsageError("--model: two models are compared, and --plot draws one.")
    if plot is not None:
        check_format(plot)
    reports = []
    for loaded in [load_model(model, device) for model in models]:
        labels_of(loaded)
        source = collected(Columns).open(files, loaded.recipe.data.separator)
        reports.append(evaluate_classifier(loaded, source, batch_size=batch_size))
    p = mcnemar(reports[0].right, reports[1].right) if len(reports) == 2 else math.nan
    if plot is not None:
        _plot(plot, reports[0], models[0])
    if as_json:
        data = {model: each.as_dict() for model, each in zip(models, reports, strict=True)}
        print_json(reports[0].as_dict() if len(reports) == 1 else {"models": data, "mcnemar_p": p})
        return
    for model, report in zip(models, reports, strict=True):
        _print(model, report)
    if len(reports) == 2:
        click.echo(f"McNemar's exact test: p = {p:.4f}")


def _plot(path: Path, report: ClassificationReport, model: str) -> None:
    from textgen.evaluation.confusion_plot import plot_confusion

    if report.confusion is None:
        raise UsageError("--plot: with several labels for each text there is no confusion matrix.")
    title = f"{model}: accuracy {report.accuracy:.2%}"
    plot_confusion(path, report.confusion, [each.label for each in report.classes], title)
    complain(f"{path}: confusion matrix.")


def _print(model: str, report: ClassificationReport) -> None:
    """Tables of a report."""
    click.echo(f"{model}: {len(report.predictions):,} texts")
    rows = [
        ("accuracy", f"{report.accuracy:.4f}", _interval(report.accuracy_interval)),
        ("macro F1", f"{report.macro_f1:.4f}", _interval(report.macro_f1_interval)),
        ("weighted F1", f"{report.weighted_f1:.4f}", ""),
        ("nats per text", f"{report.nll:.4f}", ""),
    ]
    if not math.isnan(report.calibration_error):
        rows.append(("calibration error", f"{report.calibration_error:.4f}", ""))
    print_table([("METRIC", "VALUE", "95 % INTERVAL"), *rows])
    click.echo()
    print_table(
        [
            ("LABEL", "PRECISION", "RECALL", "F1", "TEXTS"),
            *(
                (
                    each.label,
                    f"{each.precision:.4f}",
                    f"{each.recall:.4f}",
                    f"{each.f1:.4f}",
                    f"{each.support:,}",
                )
                for each in report.classes
            ),
        ]
    )
    if report.confusion is not None and len(report.classes) <= _MOST_LABELS:
        names = [each.label for each in report.classes]
        counts = [[f"{count:,}" for count in row] for row in report.confusion]
        click.echo()
        print_table(
            [
                ("TRUE \\ PREDICTED", *names),
                *((name, *row) for name, row in zip(names, counts, strict=True)),
            ]
        )
    click.echo()


def _interval(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:.4f} to {bounds[1]:.4f}"
