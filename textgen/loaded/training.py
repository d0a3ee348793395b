"""Training from Python: one call to its end, or event by event."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, overload

from textgen.checkpoint import TRAINING
from textgen.config import as_dict, structure
from textgen.data.documents import TextSource
from textgen.data.encodings import RAW, UTF8
from textgen.data.labelled import open_labelled
from textgen.data.parallel import PairFiles, ParallelSource
from textgen.data.tagged import open_tagged, usual_column
from textgen.data.vectors import VectorPairs, is_vector_file
from textgen.errors import UsageError
from textgen.loaded.base import UsableModel
from textgen.loaded.classifier import LoadedClassifier
from textgen.loaded.history import TrainingHistory
from textgen.loaded.inputs import opened
from textgen.loaded.language_model import LoadedLanguageModel
from textgen.loaded.tagger import LoadedTagger
from textgen.loaded.translator import LoadedTranslator
from textgen.loading import load_model
from textgen.progress import training_progress
from textgen.recipes import (
    ClassifierRecipe,
    LanguageModelRecipe,
    TaggerRecipe,
    TranslatorRecipe,
    load_any_recipe,
    read_recipe,
    with_settings,
)
from textgen.task import Task, find_task, task_names
from textgen.training import run
from textgen.training.events import Event
from textgen.training.initial import initial_recipe, load_initial

Text: TypeAlias = str | Path | TextSource | list[str | Path]
"""A file or folder, several of them, or a source of text."""
Pairs: TypeAlias = tuple[str | Path, str | Path] | ParallelSource
"""Two files whose lines belong together, or a source of pairs."""
Recipe: TypeAlias = LanguageModelRecipe | TranslatorRecipe | ClassifierRecipe | TaggerRecipe


@overload
def train(  # type: ignore[overload-overlap]  # other names of recipes are not known here
    recipe: Literal["classifier-small", "classifier-convolution"] | ClassifierRecipe,
    data: str | Path | Pairs,
    *,
    out: str | Path,
    valid: str | Path | Pairs | None = None,
    settings: Mapping[str, object] | None = None,
    init_from: str | Path | Sequence[str | Path] = (),
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> LoadedClassifier: ...
@overload
def train(  # type: ignore[overload-overlap]
    recipe: Literal["tagger-small"] | TaggerRecipe,
    data: str | Path | Pairs,
    *,
    out: str | Path,
    valid: str | Path | Pairs | None = None,
    settings: Mapping[str, object] | None = None,
    init_from: str | Path | Sequence[str | Path] = (),
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> LoadedTagger: ...
@overload
def train(
    recipe: str | Path | LanguageModelRecipe,
    data: Text,
    *,
    out: str | Path,
    valid: Text | None = None,
    settings: Mapping[str, object] | None = None,
    init_from: str | Path | Sequence[str | Path] = (),
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> LoadedLanguageModel: ...
@overload
def train(
    recipe: str | Path | TranslatorRecipe,
    data: Pairs,
    *,
    out: str | Path,
    valid: Pairs | None = None,
    settings: Mapping[str, object] | None = None,
    init_from: str | Path | Sequence[str | Path] = (),
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> LoadedTranslator: ...
def train(
    recipe: str | Path | Recipe,
    data: Text | Pairs,
    *,
    out: str | Path,
    valid: Text | Pairs | None = None,
    settings: Mapping[str, object] | None = None,
    init_from: str | Path | Sequence[str | Path] = (),
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> UsableModel:
    """Train a model to its end.

    Ctrl-C saves after the current step and is raised again; ``resume`` goes on from there, as if
    nothing had happened. Seeds torch's generators.

    Args:
        recipe: the name of a recipe (``textgen recipes``), the path of a TOML file, or a recipe.
        data: a text for a language model: a file or folder, a list of them, or a source such as
            ``textgen.Texts([...])``; for a translator a tuple of two files whose lines belong
            together, or a source of pairs; for a classifier a table with the columns text and
            label, a folder, or ``textgen.open_labelled(...)``; for a tagger a file of tagged
            sentences, or ``textgen.open_tagged(...)``.
        out: folder for the model.
        valid: to judge by while it trains, of the same kind as ``data``; None holds out a part.
        settings: options of the recipe to change, such as ``{"training.minutes": 5}``.
        init_from: a model whose weights and vocabulary to begin with (its sizes and tokenizer
            replace the recipe's), or parts of a translator: ``["decoder=MODEL", "encoder=MODEL"]``
            with language models.
        resume: go on with the training in ``out``.
        overwrite: replace the model in ``out`` at the first save.
        progress: show how far it is: a bar on a terminal or in a notebook, else lines on stderr.

    Returns:
        The trained model, loaded; its ``history`` holds the curves of this training.

    Raises:
        UsageError: if ``out`` holds a model and neither resume nor overwrite is given, or the
            data does not suit the recipe.
        ConfigError: if there is no such recipe, or its options are wrong.
        DataError: if the data cannot be used.
        CheckpointError: if files cannot be written, or those to resume from cannot be read.
        TrainingError: if the loss is no longer finite; what was saved before is kept.
    """
    task, made, events = _begun(recipe, data, valid, settings, init_from)
    history = TrainingHistory()
    with training_progress(task.display(made)) if progress else contextlib.nullcontext() as show:
        try:
            for event in events(Path(out), resume=resume, overwrite=overwrite):
                history.listen(event)
                if show is not None:
                    show(event)
        except KeyboardInterrupt as stop:
            if (Path(out) / TRAINING).is_file():
                stop.add_note(f"Saved in {out}: the same call with resume=True goes on from there.")
            raise
    model: UsableModel = task.loaded_class.of(load_model(str(out)), (out,), history=history)
    return model


def training_events(
    recipe: str | Path | Recipe,
    data: Text | Pairs,
    *,
    out: str | Path,
    valid: Text | Pairs | None = None,
    settings: Mapping[str, object] | None = None,
    init_from: str | Path | Sequence[str | Path] = (),
    resume: bool = False,
    overwrite: bool = False,
) -> Iterator[Event]:
    """Train a model, event by event: iterating makes the training go on.

    Args:
        recipe: this and the rest are as for ``train``.
        data: to learn.
        out: folder for the model.
        valid: to judge by.
        settings: of the recipe.
        init_from: models to begin with.
        resume: go on with the training in ``out``.
        overwrite: replace the model in ``out``.

    Returns:
        The events of ``textgen.training.events``: Note, Step, Validated, Improved, Snapshot,
        Stopped.

    Raises:
        UsageError: this and the rest are as for ``train``.
    """
    _, _, events = _begun(recipe, data, valid, settings, init_from)
    return events(Path(out), resume=resume, overwrite=overwrite)


def _begun(
    recipe: str | Path | Recipe,
    data: Text | Pairs,
    valid: Text | Pairs | None,
    settings: Mapping[str, object] | None,
    init_from: str | Path | Sequence[str | Path],
) -> tuple[Task, Any, Callable[..., Iterator[Event]]]:
    """The kind of model, its recipe, and ``training.run.train`` up to its folder."""
    task, made = task_and_recipe(recipe, settings)
    names = [init_from] if isinstance(init_from, str | Path) else init_from
    initial = load_initial(task, [str(name) for name in names])
    if initial:
        made = initial_recipe(task, made, settings or {}, initial)
    read = READERS[task.reads]
    train, judged = read(data, made), None if valid is None else read(valid, made)
    return task, made, functools.partial(run.train, task, made, train, judged, initial=initial)


def task_and_recipe(
    recipe: str | Path | Recipe, settings: Mapping[str, object] | None
) -> tuple[Task, Any]:
    """The recipe that is named or given with settings on top, and the kind of model it makes."""
    if isinstance(recipe, str | Path):
        task = find_task(read_recipe(str(recipe)).kind)
        return task, load_any_recipe(task.name, str(recipe), settings or {})
    for task in map(find_task, task_names()):
        if isinstance(recipe, task.recipe_class):
            changed = with_settings(as_dict(recipe), settings or {})
            return task, structure(task.recipe_class, changed, where="recipe")
    raise UsageError(f"Expected a recipe or its name, not {type(recipe).__name__}.")


def _text(given: Text | Pairs, recipe: Any) -> TextSource:
    """A text to learn.

    Raises:
        UsageError: if it is pairs.
    """
    if isinstance(given, tuple) or hasattr(given, "pairs"):
        raise UsageError(
            "This recipe learns a text, not pairs. Several files are a list: ['a.txt', 'b.txt']."
        )
    return opened(given, encoding=RAW if recipe.tokenizer.kind == "bytes" else UTF8)


def _pairs(given: Text | Pairs, recipe: Any) -> ParallelSource:
    """Pairs to learn.

    Raises:
        UsageError: if it is a text.
    """
    del recipe
    if isinstance(given, tuple) and len(given) == 2:
        return VectorPairs(*given) if is_vector_file(given[0]) else PairFiles(*given)
    if not hasattr(given, "pairs"):
        raise UsageError(
            "This recipe learns pairs: ('source.txt', 'target.txt'), or a source such as "
            "textgen.PairTexts([(source, target)])."
        )
    return given  # type: ignore[return-value]


def _labelled(given: Text | Pairs, recipe: Any) -> ParallelSource:
    """Labelled texts to learn.

    Raises:
        UsageError: if it is something else.
    """
    if isinstance(given, str | Path):
        return open_labelled([given], separator=recipe.data.separator)
    if isinstance(given, tuple):
        return open_labelled(given)
    if isinstance(given, list) or not hasattr(given, "pairs"):
        raise UsageError(
            "A classifier learns labelled texts: a table, a folder with one folder for each label, "
            "a tuple of two files (texts, labels), or textgen.open_labelled(...)."
        )
    return cast("ParallelSource", given)


def _tagged(given: Text | Pairs, recipe: Any) -> ParallelSource:
    """Tagged sentences to learn.

    Raises:
        UsageError: if it is something else.
    """
    if isinstance(given, str | Path):
        return open_tagged([given], column=usual_column(given, recipe.data.column))
    if isinstance(given, tuple):
        return open_tagged(given)
    if isinstance(given, list) or not hasattr(given, "pairs"):
        raise UsageError(
            "A tagger learns tagged sentences: a CoNLL-U or column file, a table, a tuple of two "
            "files (words, tags), or textgen.open_tagged(...)."
        )
    return cast("ParallelSource", given)


READERS: Mapping[str, Callable[[Any, Any], Any]] = {
    "text": _text,
    "pairs": _pairs,
    "labelled": _labelled,
    "tagged": _tagged,
}
"""What makes the data of ``Task.reads`` of what callers give."""
