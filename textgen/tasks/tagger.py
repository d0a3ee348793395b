"""Taggers: p(tags | words) of tagged sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from textgen.task import Task, late

if TYPE_CHECKING:
    from textgen.data.parallel import ParallelSource
    from textgen.data.tokenizers import TextTokenizer
    from textgen.evaluation.tagging import TaggingReport
    from textgen.loading import LoadedModel
    from textgen.models.tagger import Tagger
    from textgen.recipes.recipe import TaggerRecipe


def _vocabularies(recipe: TaggerRecipe) -> dict[str, str]:
    files = {"text": "tokenizer", "labels": "labels"}
    return files | ({} if recipe.model.characters == "none" else {"characters": "characters"})


def _build(recipe: TaggerRecipe, vocabularies: Mapping[str, TextTokenizer]) -> Tagger:
    from textgen.models.tagger import Tagger
    from textgen.tasks.tags import allowed_moves

    labels: Any = vocabularies["labels"]
    characters = vocabularies["characters"].size if "characters" in vocabularies else 0
    return Tagger(
        recipe.model,
        vocabularies["text"].size,
        characters,
        labels.size,
        allowed_moves(labels.labels),
    )


def _display(recipe: Any) -> Callable[[float], str]:
    del recipe
    return lambda nats: f"loss {nats:.4f}"


def _measure(loaded: LoadedModel, test: ParallelSource) -> TaggingReport:
    from textgen.evaluation.tagging import evaluate_tagger

    return evaluate_tagger(loaded, test)


TASK = Task(
    name="tagger",
    command="tagger",
    about="Train a tagger on your own tagged sentences.",
    examples=(
        "textgen train tagger --train train.conllu --valid dev.conllu --out checkpoints/pos",
        "textgen train tagger --train train.conllu --column xpos --out checkpoints/xpos",
        "textgen train tagger --train train.conll --set model.output=crf --out names",
        "textgen train tagger --train train.jsonl --words tokens --column ner_tags --out ner",
        "textgen train tagger --train words.txt tags.txt --out tagger",
    ),
    reads="tagged",
    default_recipe="tagger-small",
    recipe="textgen.recipes.recipe:TaggerRecipe",
    vocabularies=_vocabularies,
    check=late("textgen.tasks.tags:check"),
    hold_out=late("textgen.tasks.tags:hold_out"),
    learn=late("textgen.tasks.tags:learn"),
    prepare=late("textgen.tasks.tags:prepare"),
    build=_build,
    display=_display,
    measure=_measure,
    loaded="textgen.loaded.tagger:LoadedTagger",
)
