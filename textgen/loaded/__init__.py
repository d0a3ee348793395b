"""Loaded models with their verbs: what a Python user meets first."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias, TypeVar, overload

from textgen.errors import UsageError
from textgen.loaded.base import UsableModel
from textgen.loaded.classifier import LoadedClassifier
from textgen.loaded.language_model import LoadedLanguageModel
from textgen.loaded.tagger import LoadedTagger
from textgen.loaded.translator import LoadedTranslator
from textgen.loading import load_ensemble
from textgen.models.ensemble import Average
from textgen.models.products import Precision
from textgen.task import find_task

__all__ = [
    "LoadedClassifier",
    "LoadedLanguageModel",
    "LoadedTagger",
    "LoadedTranslator",
    "UsableModel",
    "load",
]

M = TypeVar("M", bound=UsableModel)
AnyModel: TypeAlias = LoadedLanguageModel | LoadedTranslator | LoadedClassifier | LoadedTagger


@overload
def load(
    name: Literal["shakespeare"],
    /,
    *,
    device: str = "auto",
    precision: Precision = "float32",
) -> LoadedLanguageModel: ...
@overload
def load(
    name: Literal["dates"],
    /,
    *,
    device: str = "auto",
    precision: Precision = "float32",
) -> LoadedTranslator: ...
@overload
def load(
    *names: str | Path,
    kind: type[M],
    device: str = "auto",
    precision: Precision = "float32",
    average: Average = "probabilities",
) -> M: ...
@overload
def load(
    *names: str | Path,
    kind: None = None,
    device: str = "auto",
    precision: Precision = "float32",
    average: Average = "probabilities",
) -> AnyModel: ...
def load(
    *names: str | Path,
    kind: type[UsableModel] | None = None,
    device: str = "auto",
    precision: Precision = "float32",
    average: Average = "probabilities",
) -> UsableModel:
    """Load a model, or several that decode as one, with methods to use it.

    Args:
        names: a folder, or the name of a bundled or trained model; several are an ensemble.
        kind: the class that is expected, such as ``textgen.LoadedTranslator``: for type checkers,
            and for an early error.
        device: auto, cpu, cuda, cuda:N.
        precision: of the weights; see ``textgen.load_model``.
        average: what is averaged over the members of an ensemble at each step.

    Returns:
        A ``LoadedLanguageModel``, a ``LoadedTranslator``, a ``LoadedClassifier``, or what another
        task's row names.

    Raises:
        CheckpointError: if a model is missing or damaged.
        UsageError: if it is of another kind than expected, or several do not fit together.
    """
    for name in names:
        if not isinstance(name, str | Path):
            raise UsageError(
                f"A model is named by a text or a path, not by {type(name).__name__}. Several "
                "models are one argument each: textgen.load('a', 'b')."
            )
    loaded = load_ensemble(list(map(str, names)), device, average, precision)
    cls: type[UsableModel] = find_task(loaded.kind).loaded_class
    if kind is not None and not issubclass(cls, kind):
        raise UsageError(f"{loaded.name} is a {loaded.kind}, which {kind.__name__} is not.")
    return cls.of(loaded, names, average)
