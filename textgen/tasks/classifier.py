"""Classifiers: p(label | text) of labelled texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from textgen.task import Task, late

if TYPE_CHECKING:
    from textgen.data.parallel import ParallelSource
    from textgen.data.tokenizers import TextTokenizer
    from textgen.evaluation.classification import ClassificationReport
    from textgen.loading import LoadedModel
    from textgen.models.classifier import Classifier
    from textgen.recipes.recipe import ClassifierRecipe


def _vocabularies(recipe: ClassifierRecipe) -> dict[str, str]:
    files = {"text": "tokenizer", "labels": "labels"}
    return files | ({} if recipe.model.characters == "none" else {"characters": "characters"})


def _build(recipe: ClassifierRecipe, vocabularies: Mapping[str, TextTokenizer]) -> Classifier:
    from textgen.models.classifier import Classifier

    text, labels = vocabularies["text"], vocabularies["labels"]
    characters = vocabularies["characters"].size if "characters" in vocabularies else 0
    return Classifier(
        recipe.model,
        text.size,
        labels.size,
        characters=characters,
        vectors=text.kind == "vectors",
    )


def _display(recipe: Any) -> Callable[[float], str]:
    del recipe
    return lambda nats: f"loss {nats:.4f}"


def _measure(loaded: LoadedModel, test: ParallelSource) -> ClassificationReport:
    from textgen.evaluation.classification import evaluate_classifier

    return evaluate_classifier(loaded, test)


TASK = Task(
    name="classifier",
    command="classifier",
    about="Train a classifier on your own labelled texts.",
    examples=(
        "textgen train classifier --train reviews.csv --out checkpoints/reviews",
        "textgen train classifier --train mail.jsonl --text body --label kind --out mail",
        "textgen train classifier --train x.txt y.txt --recipe classifier-convolution --out y",
        "textgen train classifier --train news/ --test test/ --out news",
        "textgen train classifier --train tagged.csv --set model.output=sigmoid --out tagged",
    ),
    reads="labelled",
    default_recipe="classifier-small",
    recipe="textgen.recipes.recipe:ClassifierRecipe",
    vocabularies=_vocabularies,
    check=late("textgen.tasks.labels:check"),
    hold_out=late("textgen.tasks.labels:hold_out"),
    learn=late("textgen.tasks.labels:learn"),
    prepare=late("textgen.tasks.labels:prepare"),
    build=_build,
    display=_display,
    measure=_measure,
    loaded="textgen.loaded.classifier:LoadedClassifier",
)
