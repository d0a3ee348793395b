"""``textgen predict``: one text a line in, its label and probability out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
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
from textgen.errors import UsageError

if TYPE_CHECKING:
    from textgen.classification import Prediction
    from textgen.loading import LoadedModel


@click.command(
    "predict",
    epilog=examples(
        "textgen predict --model checkpoints/reviews < texts.txt",
        "textgen predict --model checkpoints/reviews texts.txt --top 3",
        "textgen predict --model checkpoints/reviews texts.txt --json",
        "textgen predict --model checkpoints/reviews texts.txt --evidence 5",
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
@click.option(
    "--evidence",
    type=click.IntRange(min=1),
    metavar="K",
    help="Classifiers: add the K tokens that spoke most for the likeliest label, each with its "
    "weight: of the attention pooling, or of the filters' maxima.",
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
    evidence: int | None,
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
    tagger = collected(TagFile)
    if loaded.kind == TAGGER and evidence is not None:
        raise UsageError("--evidence: is for classifiers.")
    if loaded.kind != TAGGER and (tagger.column is not None or tagger.form != "auto"):
        raise UsageError("--column and --format: are for taggers.")
    if loaded.kind == TAGGER:
        print_tags(loaded, file, tagger, top, batch_size, as_json=as_json)
    else:
        found = _predictions(loaded, file, threshold, batch_size)
        _print_labels(loaded, found, top, evidence, as_json=as_json)


def _predictions(
    loaded: LoadedModel, file: Path | None, threshold: float, batch_size: int
) -> Iterator[Prediction]:
    """What a classifier finds in the lines, or the vectors, of a file or of stdin."""
    from textgen.classification import classify, labels_of
    from textgen.data.vectors import is_vector_file, vector_lines

    labels_of(loaded)
    lines = vector_lines(file) if file is not None and is_vector_file(file) else input_lines(file)
    cut = 0
    for each in classify(loaded, lines, batch_size=batch_size, threshold=threshold):
        cut += each.cut
        yield each
        if batch_size == 1:
            sys.stdout.flush()
    if cut:
        complain(f"Warning: {cut:,} texts were cut after {loaded.recipe.data.max_length:,} tokens.")


def _print_labels(
    loaded: LoadedModel,
    found: Iterator[Prediction],
    top: int | None,
    count: int | None,
    *,
    as_json: bool,
) -> None:
    """Print predictions, with the tokens that decided where ``count`` of them are wanted."""
    from textgen.evidence import evidence

    for each in found:
        decided: list[tuple[str, float]] = []
        if count is not None and each.probabilities:
            decided = evidence(loaded, each.text, each.probabilities[0][0]).strongest(count)
        if as_json:
            extra = {} if count is None else {"evidence": decided}
            print_json({**prediction_as_dict(each, top), **extra})
        else:
            parts = [f"{name}\t{share:.4f}" for name, share in _shown(each, top)]
            click.echo("\t".join([*parts, *(f"{piece} {weight:.3f}" for piece, weight in decided)]))


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
