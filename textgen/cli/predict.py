"""``textgen predict``: one text a line in, its label and probability out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from textgen.cli.failures import complain
from textgen.cli.lazy import examples
from textgen.cli.options import Number, PathOf, device_option, model_option, whole_number
from textgen.cli.output import json_lines_option, print_json
from textgen.errors import DataError

if TYPE_CHECKING:
    from textgen.classification import Prediction


@click.command(
    "predict",
    epilog=examples(
        "textgen predict --model checkpoints/reviews < texts.txt",
        "textgen predict --model checkpoints/reviews texts.txt --top 3",
        "textgen predict --model checkpoints/reviews texts.txt --json",
    ),
)
@model_option
@click.argument("file", required=False, type=PathOf(path_type=Path, dir_okay=False))
@click.option(
    "--top",
    type=click.IntRange(min=1),
    metavar="K",
    help="The K likeliest labels of each text, in one line.  [default: what is predicted]",
)
@click.option(
    "--threshold",
    type=Number(0, 1),
    default=0.5,
    show_default=True,
    help="Least probability of a predicted label, where a text may have several.",
)
@whole_number("--batch-size", 64, "Texts per batch.")
@device_option()
@json_lines_option
def command(
    *,
    model: str,
    file: Path | None,
    top: int | None,
    threshold: float,
    batch_size: int,
    device: str,
    as_json: bool,
) -> None:
    """Predict the labels of texts, one a line, from FILE or stdin.

    Each line gives one line: label TAB probability, and more such pairs with --top or where
    several labels are predicted. A blank line gives a blank line.
    """
    from textgen.classification import classify, labels_of
    from textgen.loading import load_model

    loaded = load_model(model, device)
    labels_of(loaded)
    if file is None and sys.stdin.isatty():
        complain("Texts, one a line; Ctrl-D ends them.")
        batch_size = 1
    cut = 0
    for each in classify(loaded, _lines(file), batch_size=batch_size, threshold=threshold):
        cut += each.cut
        if as_json:
            print_json(prediction_as_dict(each, top))
        else:
            click.echo("\t".join(f"{name}\t{share:.4f}" for name, share in _shown(each, top)))
        if batch_size == 1:
            sys.stdout.flush()
    if cut:
        complain(f"Warning: {cut:,} texts were cut after {loaded.recipe.data.max_length:,} tokens.")


def prediction_as_dict(prediction: Prediction, top: int | None) -> dict[str, object]:
    """Plain data of a prediction; probabilities of all labels, or of the ``top`` likeliest."""
    return {
        "text": prediction.text,
        "labels": list(prediction.labels),
        "probabilities": dict(prediction.probabilities[:top]),
    }


def _shown(prediction: Prediction, top: int | None) -> list[tuple[str, float]]:
    """Labels and probabilities of a line of output."""
    if top is not None:
        return list(prediction.probabilities[:top])
    return [pair for pair in prediction.probabilities if pair[0] in prediction.labels]


def _lines(file: Path | None) -> Iterator[str]:
    """Lines of a file or of stdin; bytes that are no UTF-8 are told and become U+FFFD."""
    try:
        opened = nullcontext(sys.stdin.buffer) if file is None else file.open("rb")
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}.") from None
    with opened as stream:
        for number, line in enumerate(stream, start=1):
            raw = line.rstrip(b"\r\n")
            try:
                yield raw.decode("utf-8")
            except UnicodeDecodeError as error:
                complain(
                    f"line {number}: byte {error.start + 1} is not UTF-8 text; read as \ufffd."
                )
                yield raw.decode("utf-8", "replace")
