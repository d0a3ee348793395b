"""Translators: p(target token | the source, all target tokens before it) of sentence pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textgen.task import Part, Task, late

if TYPE_CHECKING:
    from textgen.data.parallel import ParallelSource
    from textgen.data.tokenizers import TextTokenizer
    from textgen.evaluation.report import TranslationReport
    from textgen.loading import LoadedModel
    from textgen.models.translator import Translator
    from textgen.recipes.recipe import TranslatorRecipe
    from textgen.training.events import Event
    from textgen.training.group import ProcessGroup


def train_translator(
    recipe: TranslatorRecipe,
    train: ParallelSource,
    valid: ParallelSource | None,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    group: ProcessGroup | None = None,
) -> Iterator[Event]:
    """Train a translator and save it: ``textgen.training.run.train`` of this task."""
    from textgen.training import run

    return run.train(
        TASK, recipe, train, valid, out, resume=resume, overwrite=overwrite, group=group
    )


def _vocabularies(recipe: TranslatorRecipe) -> dict[str, str]:
    source = "tokenizer" if recipe.data.joint else "source_tokenizer"
    return {"source": source, "target": "tokenizer"}


def _build(recipe: TranslatorRecipe, vocabularies: Mapping[str, TextTokenizer]) -> Translator:
    from textgen.models.translator import Translator

    source, target = vocabularies["source"], vocabularies["target"]
    return Translator(recipe.model, source.size, target.size, vectors=source.kind == "vectors")


def _display(recipe: Any) -> Callable[[float], str]:
    from textgen.progress import figure_for

    return figure_for(recipe.tokenizer.kind)


def _measure(loaded: LoadedModel, test: ParallelSource) -> TranslationReport:
    from textgen.evaluation.report import measure_translator
    from textgen.progress import counting

    with counting("lines") as progress:
        return measure_translator(loaded, test, progress)


TASK = Task(
    name="translator",
    command="translator",
    about="Train a translator on your own sentence pairs.",
    examples=(
        "textgen train translator --corpus dates --recipe dates-small --out checkpoints/dates",
        "textgen train translator --train train.en train.de --valid val.en val.de --out en-de",
        "textgen train translator --corpus dates --out checkpoints/dates --resume",
        "textgen train translator --train pairs.tsv --source en --target fr --out en-fr",
        "textgen train translator --corpus numbers --out numbers --set tokenizer.kind=characters",
    ),
    reads="pairs",
    default_recipe="translator-small",
    recipe="textgen.recipes.recipe:TranslatorRecipe",
    vocabularies=_vocabularies,
    check=late("textgen.tasks.pairs:check"),
    hold_out=late("textgen.tasks.pairs:hold_out"),
    learn=late("textgen.tasks.pairs:learn"),
    prepare=late("textgen.tasks.pairs:prepare"),
    build=_build,
    display=_display,
    measure=_measure,
    parts={
        "decoder": Part(
            kind="language-model",
            side="target",
            their_side="text",
            rename=late("textgen.tasks.pairs:decoder_name"),
            adapt=late("textgen.tasks.pairs:adapt_decoder"),
        ),
        "encoder": Part(
            kind="language-model",
            side="source",
            their_side="text",
            rename=late("textgen.tasks.pairs:encoder_name"),
            adapt=late("textgen.tasks.pairs:adapt_encoder"),
        ),
    },
    loaded="textgen.loaded.translator:LoadedTranslator",
)
