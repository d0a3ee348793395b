"""Language models: p(token | all tokens before it) of a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textgen.task import Task, late

if TYPE_CHECKING:
    from textgen.data.documents import TextSource
    from textgen.data.tokenizers import TextTokenizer
    from textgen.evaluation.perplexity import Perplexity
    from textgen.loading import LoadedModel
    from textgen.models.language_model import LanguageModel
    from textgen.recipes.recipe import LanguageModelRecipe
    from textgen.training.events import Event
    from textgen.training.group import ProcessGroup


def train_language_model(
    recipe: LanguageModelRecipe,
    train: TextSource,
    valid: TextSource | None,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    group: ProcessGroup | None = None,
) -> Iterator[Event]:
    """Train a language model and save it: ``textgen.training.run.train`` of this task."""
    from textgen.training import run

    return run.train(
        TASK, recipe, train, valid, out, resume=resume, overwrite=overwrite, group=group
    )


def _build(recipe: LanguageModelRecipe, vocabularies: Mapping[str, TextTokenizer]) -> LanguageModel:
    from textgen.models.language_model import LanguageModel

    return LanguageModel(recipe.model, vocabularies["text"].size)


def _display(recipe: Any) -> Callable[[float], str]:
    from textgen.progress import figure_for

    return figure_for(recipe.tokenizer.kind)


def _measure(loaded: LoadedModel, test: TextSource) -> Perplexity:
    from textgen.evaluation.perplexity import perplexity

    return perplexity(loaded, test)


TASK = Task(
    name="language-model",
    command="lm",
    about="Train a language model on your own text.",
    examples=(
        "textgen train lm --corpus python-reference --minutes 1 --out checkpoints/py",
        "textgen train lm --train novel.txt --out checkpoints/novel --set model.hidden=512",
        "textgen train lm --train novel.txt --out checkpoints/novel --resume",
        "textgen train lm --train a.txt b.txt --valid c.txt --out words --recipe word-small",
        "textgen train lm --train posts.csv --column text --minutes 5 --out checkpoints/posts",
    ),
    reads="text",
    default_recipe="char-small",
    recipe="textgen.recipes.recipe:LanguageModelRecipe",
    vocabularies=lambda _: {"text": "tokenizer"},
    check=late("textgen.tasks.texts:check"),
    hold_out=late("textgen.tasks.texts:hold_out"),
    learn=late("textgen.tasks.texts:learn"),
    prepare=late("textgen.tasks.texts:prepare"),
    build=_build,
    display=_display,
    measure=_measure,
    loaded="textgen.loaded.language_model:LoadedLanguageModel",
)
