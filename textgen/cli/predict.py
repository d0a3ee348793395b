"""``textgen predict``: one text a line in, its label and probability out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from textgen.cli.failures import complain
from textgen.cli.input_lines import input_lines
from textgen.cli.lazy import examples
from textgen.cli.options import (
    Number,
    PathOf,
    collected,
    device_option,
    model_option,
    whole_number,
)
from textgen.cli.output import json_lines_option, print_json
from textgen.cli.predict_tags import TagFile, print_tags, tag_file

if TYPE_CHECKING:
    from textgen.classification import Prediction
    from textgen.loading import LoadedModel


@click.command(
    "predict",
    epilog=examples(
        "textgen predict --model checkpoints/reviews < texts.txt",
        "textgen predict --model checkpoints/reviews texts.txt --top 3",
        "textgen predict --model checkpoints/reviews texts.txt --json",
        "textgen predict --model checkpoints/pos sentences.txt",
        "textgen predict --model checkpoints/pos test.conllu",
    ),
)
@model_option
@click.argument("file", required=False, type=PathOf(path_type=Path, dir_okay=False))
@click.option(
    "--top",
    type=click.IntRange(min=1),
    metavar="K",
    help="The K likeliest labels of each text, in one line, or tag sequences of each sentence.",
)
@click.option(
    "--threshold",
    type=Number(0, 1),
    default=0.5,
    show_default=True,
    help="Least probability of a predicted label, where a text may have several.",
)
@tag_file
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
    """Predict the labels of texts, or the tags of words, from FILE or stdin.

    A classifier gives for each line one line: label TAB probability, and more such pairs with
    --top or where several labels are predicted. A tagger gives for each line of words a line of as
    many tags; a FILE in CoNLL-U or with columns comes back with the tags in their column, and
    --top K gives the K likeliest sequences as log-probability TAB tags. A blank line gives a blank
    line.
    """
    from textgen.loading import load_model
    from textgen.recipes.recipe import TAGGER

    loaded = load_model(model, device)
    if file is None and sys.stdin.isatty():
        complain("Texts, one a line; Ctrl-D ends them.")
        batch_size = 1
    if loaded.kind == TAGGER:
        print_tags(loaded, file, collected(TagFile), top, batch_size, as_json=as_json)
    else:
        _print_labels(loaded, file, top, threshold, batch_size, as_json=as_json)


def _print_labels(
    loaded: LoadedModel,
    file: Path | None,
    top: int | None,
    threshold: float,
    batch_size: int,
    *,
    as_json: bool,
) -> None:
    """What a classifier finds."""
    from textgen.classification import classify, labels_of
    from textgen.data.vectors import is_vector_file, vector_lines

    labels_of(loaded)
    cut = 0
    lines = vector_lines(file) if file is not None and is_vector_file(file) else input_lines(file)
    for each in classify(loaded, lines, batch_size=batch_size, threshold=threshold):
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
