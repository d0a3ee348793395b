"""The contract of a kind of model: one row of the table of tasks.

``textgen train``, recipes, checkpoints, loading, progress and logs know a kind of model by its row
alone. The built-in rows are in ``textgen.tasks``; an installed package offers another one as an
entry point of the group ``textgen.tasks``. A row imports what it needs inside its functions, so
that listing the table costs nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from textgen.components import TASKS
from textgen.errors import PluginError

if TYPE_CHECKING:
    from torch import nn

    from textgen.data.batching import Batches
    from textgen.data.tokenizers import TextTokenizer
    from textgen.loading import LoadedModel
    from textgen.training.objective import Objective

    Vocabularies: TypeAlias = Mapping[str, TextTokenizer]
    """Tokenizers by the side that they belong to: ``text``, or ``source`` and ``target``."""

Validate = Callable[["nn.Module"], Mapping[str, float]]
"""Metrics of a model in evaluation mode."""


class Metrics(Protocol):
    """What a test came to; ``str`` of it is one line for people."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data by name."""


@dataclass(frozen=True)
class Prepared:
    """Data made ready for a training.

    Attributes:
        batches: to train on.
        objective: what is minimised.
        validate: metrics of the model, ``loss`` among them; None without validation data.
        facts: by which the training data are known again, as JSON; names that end with ``digest``
            are digests of its parts. Saved with the model.
        valid_digest: of the validation data.
        notes: what people should know of the data.
        criterion: the metric that must fall, or with a "-" before it must rise.
        initialise: is called with the new model.
    """

    batches: Batches[Any]
    objective: Objective[Any]
    validate: Validate | None
    facts: Mapping[str, Any]
    valid_digest: str = ""
    notes: tuple[str, ...] = ()
    criterion: str = "loss"
    initialise: Callable[[Any], object] = field(default=lambda _: None)


@dataclass(frozen=True)
class Part:
    """A part of a model that the weights of another kind of model fit.

    Attributes:
        kind: the task of the other model.
        side: the vocabulary that comes with it.
        their_side: that vocabulary's side in the other model.
        rename: gives a weight's name here for its name there; None where it has no place.
        adapt: makes a recipe of the other one's, so that the weights fit.
    """

    kind: str
    side: str
    their_side: str
    rename: Callable[[str], str | None]
    adapt: Callable[[Any, Any], Any]


def adapt_whole(recipe: Any, other: Any) -> Any:
    """A recipe with the tokenizers and the model of another one of its kind."""
    taken = {
        field.name: getattr(other, field.name)
        for field in fields(recipe)
        if field.name not in {"data", "training"}
    }
    return replace(recipe, **taken)


@dataclass(frozen=True)
class Task:
    """A kind of model: how it is configured, made, trained and used.

    Attributes:
        name: the word in config.json and in recipes.
        command: the word after ``textgen train``.
        about: one sentence.
        examples: command lines that train one.
        reads: what its data are: a ``TextSource``, or a ``ParallelSource`` of sentence pairs or of
            texts and their labels (the recipe's ``data`` then has a ``separator``), or of words and
            their tags (``textgen.data.tagged``).
        default_recipe: name of the recipe where none is named.
        recipe: ``module:name`` of the dataclass of its configuration, which has at least
            ``tokenizer``, ``data`` with ``valid_share``, ``model`` and ``training``.
        vocabularies: names of the files beside the weights, by side, of a recipe; sides with one
            name share one vocabulary.
        check: refuses a recipe whose options exclude each other with a ``ConfigError``.
        hold_out: cuts data into a training and a validation part.
        learn: vocabularies of the training data.
        prepare: batches and what belongs to them, of training and validation data.
        build: a model with fresh weights.
        display: gives what shows a mean loss to people (``perplexity 3.2``), of a recipe.
        parts: by name, what can be begun with weights of another kind of model.
        adapt: makes a recipe whose model the weights of another of this kind fit.
        measure: metrics of test data; None takes those of ``prepare``'s validation.
        loaded: ``module:name`` of the class of loaded models, a ``textgen.loaded.UsableModel`` with
            the verbs that users have.
    """

    name: str
    command: str
    about: str
    examples: tuple[str, ...]
    reads: Literal["text", "pairs", "labelled", "tagged"]
    default_recipe: str
    recipe: str
    vocabularies: Callable[[Any], Mapping[str, str]]
    check: Callable[[Any], None]
    hold_out: Callable[[Any, Any], tuple[Any, Any]]
    learn: Callable[[Any, Any], Vocabularies]
    prepare: Callable[[Any, Vocabularies, Any, Any], Prepared]
    build: Callable[[Any, Vocabularies], nn.Module]
    display: Callable[[Any], Callable[[float], str]]
    loaded: str = "textgen.loaded.base:UsableModel"
    measure: Callable[[LoadedModel, Any], Metrics] | None = None
    parts: Mapping[str, Part] = field(default_factory=dict)
    adapt: Callable[[Any, Any], Any] = adapt_whole

    @property
    def recipe_class(self) -> type[Any]:
        """The dataclass of its configuration."""
        found: type[Any] = _attribute(self.recipe)
        return found

    @property
    def loaded_class(self) -> type[Any]:
        """The class of loaded models."""
        found: type[Any] = _attribute(self.loaded)
        return found


def late(target: str) -> Callable[..., Any]:
    """A function ``module:name`` that is imported when it is called."""

    def call(*arguments: Any, **options: Any) -> Any:
        return _attribute(target)(*arguments, **options)

    return call


def _attribute(target: str) -> Any:
    """What ``module:name`` names."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def find_task(name: str) -> Task:
    """A row of the table.

    Raises:
        PluginError: if there is none of that name, or it cannot be loaded.
    """
    task = TASKS.load(name)
    if not isinstance(task, Task):
        origin = TASKS.entry(name).origin
        raise PluginError(f"The task {name!r} of {origin} is no textgen.task.Task.")
    return task


def task_names() -> list[str]:
    """Names of all rows, the built-in ones first."""
    return sorted(TASKS.names(), key=lambda name: name not in TASKS.builtin)


def save_vocabularies(files: Mapping[str, str], vocabularies: Vocabularies, folder: Path) -> None:
    """Write vocabularies into a folder, each file once.

    Args:
        files: names by side, of ``Task.vocabularies``.
        vocabularies: by side.
        folder: exists.
    """
    from textgen.data.tokenizers import save_tokenizer

    for name, side in {name: side for side, name in files.items()}.items():
        save_tokenizer(vocabularies[side], folder, name)


def load_vocabularies(files: Mapping[str, str], folder: Path) -> Vocabularies:
    """Read what ``save_vocabularies`` wrote; sides with one file share one object.

    Raises:
        CheckpointError: if a file is missing or damaged.
    """
    from textgen.data.tokenizers import load_tokenizer

    loaded = {name: load_tokenizer(folder, name) for name in dict.fromkeys(files.values())}
    return {side: loaded[name] for side, name in files.items()}


def fingerprints(vocabularies: Vocabularies) -> dict[str, str]:
    """Fingerprints by side, by which weights know the vocabularies that they belong to."""
    return {side: each.fingerprint() for side, each in vocabularies.items()}
