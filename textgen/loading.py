"""A model folder, loaded and ready to use."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch

from textgen.arguments import texts
from textgen.checkpoint import CONFIG, find_model, load_weights, read_config
from textgen.config import structure
from textgen.data.tokenizers import TextTokenizer
from textgen.decoding.binding import Binder
from textgen.errors import CheckpointError, ConfigError, PluginError, UsageError
from textgen.models.ensemble import Average, Ensemble
from textgen.models.float32 import take_fast_float32
from textgen.models.products import NUMBERS, Precision
from textgen.recipes.recipe import TRANSLATOR
from textgen.task import find_task, fingerprints, load_vocabularies


@dataclass(frozen=True)
class LoadedModel:
    """A model with all that belongs to it.

    Attributes:
        name: by which it was asked for.
        folder: its checkpoint.
        kind: ``language-model``, ``translator``, or another task's name.
        model: in evaluation mode, on ``device``.
        tokenizer: of the target (the only one of a language model).
        recipe: what it was trained with.
        device: where it is.
        source_tokenizer: of the source; None for a language model.
        target_ratio: target tokens for each source token in the training pairs.
        precision: of its weights: ``float32``, ``bfloat16`` or ``int8``.
        facts: about the texts that it was made from: ``train`` and ``valid``, each with ``name``
            and ``digest``; nothing of models of format 1.
        vocabularies: all tokenizers, by the side that they belong to.
    """

    name: str
    folder: Path
    kind: str
    model: Any
    tokenizer: TextTokenizer
    recipe: Any
    device: torch.device
    source_tokenizer: TextTokenizer | None = None
    target_ratio: float = 1.0
    precision: str = "float32"
    facts: Mapping[str, Any] = field(default_factory=dict)
    vocabularies: Mapping[str, TextTokenizer] = field(default_factory=dict)

    def __repr__(self) -> str:
        size = sum(each.numel() for each in self.model.parameters())
        return (
            f"{type(self).__name__}({self.name!r}, {self.kind}, {size:,} parameters, "
            f"{self.precision} on {self.device})"
        )

    @property
    def attends(self) -> bool:
        """Whether the model, or one of an ensemble's, attends to the source."""
        members = getattr(self.model, "models", [self.model])
        return any(
            getattr(member, "attention", None) is not None and not member.shortens
            for member in members
        )

    def require_source(self) -> TextTokenizer:
        """The tokenizer of the source.

        Raises:
            UsageError: if the model has no source: it is no translator.
        """
        if self.kind != TRANSLATOR or self.source_tokenizer is None:
            raise UsageError(
                f"{self.name} is a {self.kind}, but a translator is needed. For a language model "
                "there is `textgen generate`."
            )
        return self.source_tokenizer

    def binder(self) -> Binder:
        """What makes chains ready for the model; plugins that ask for models find them by name."""
        return Binder(
            self.tokenizer,
            functools.partial(load_model, device=str(self.device), precision=self.precision),
        )


def resolve_device(name: str) -> torch.device:
    """``auto`` is a CUDA device where there is one, else the CPU.

    Raises:
        UsageError: if the device is unknown or absent.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(
            f"There is no device {name!r}. Allowed: auto, cpu, cuda, cuda:N."
        ) from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError("There is no CUDA device here: use --device cpu or auto.")
    return device


def resolve_precision(name: str) -> Precision:
    """The type of weights: float32, bfloat16 or int8.

    Raises:
        UsageError: if there is no such precision.
    """
    if name not in NUMBERS:
        raise UsageError(f"There is no precision {name!r}. Allowed: {', '.join(NUMBERS)}.")
    return cast("Precision", name)


def load_model(name: str, device: str = "auto", precision: str = "float32") -> LoadedModel:
    """Load a model by its folder, or by the name of a bundled or trained one.

    Args:
        name: of the model.
        device: auto, cpu, cuda.
        precision: of weights and states. bfloat16 is faster where the hardware has it, and keeps
            8 bits of each number: log-probabilities are then right to about two digits. int8
            has weights of 8 bits for single steps; it is faster still where one text is made.
            float32 on a CPU lets torch take faster products where they are as exact, from then
            on in this process (``torch.set_float32_matmul_precision``).

    Raises:
        CheckpointError: if it is missing or damaged; says which file and what is wrong.
        UsageError: if the device is absent, or the precision unknown or not for this kind of model.
    """
    place, weights = resolve_device(device), resolve_precision(precision)
    folder = find_model(name)
    saved = read_config(folder)
    try:
        task = find_task(saved.kind)
        recipe = structure(task.recipe_class, saved.config, where=str(folder / CONFIG))
    except PluginError as error:
        message = f"{folder}: models of kind {saved.kind!r} cannot be loaded here: {error}"
        raise CheckpointError(message) from None
    except ConfigError as error:
        raise CheckpointError(str(error)) from None
    vocabularies = load_vocabularies(task.vocabularies(recipe), folder)
    model: Any = task.build(recipe, vocabularies)
    facts = load_weights(folder, model)
    _require_its_tokenizers(folder, facts, vocabularies)
    if place.type == "cpu":
        take_fast_float32()
    model = model.to(place)
    if weights != "float32" and not hasattr(model, "for_decoding"):
        raise UsageError(f"{name} is a {saved.kind}, which is computed in float32 alone.")
    return LoadedModel(
        name=name,
        folder=folder,
        kind=saved.kind,
        model=model.for_decoding(weights) if hasattr(model, "for_decoding") else model.eval(),
        tokenizer=vocabularies.get("target") or next(iter(vocabularies.values())),
        recipe=recipe,
        device=place,
        source_tokenizer=vocabularies.get("source"),
        vocabularies=vocabularies,
        target_ratio=float(saved.facts.get("target_ratio", 1.0)),
        precision=precision,
        facts=saved.facts,
    )


def _require_its_tokenizers(
    folder: Path,
    facts: Mapping[str, Any],
    vocabularies: Mapping[str, TextTokenizer],
) -> None:
    """Weights fit the very tokenizers that they were trained with; those of format 1 tell none.

    Raises:
        CheckpointError: if a tokenizer is another one.
    """
    known = facts.get("tokenizers") or {}
    for side, own in fingerprints(vocabularies).items():
        if known.get(side, own) != own:
            raise CheckpointError(
                f"{folder}: the {side} tokenizer is not the one that the weights were trained "
                "with: its file was changed, or comes from another model."
            )


def load_ensemble(
    names: Sequence[str],
    device: str = "auto",
    average: Average = "probabilities",
    precision: str = "float32",
) -> LoadedModel:
    """Load one model, or several that decode as one.

    Args:
        names: folders or names, as for ``load_model``.
        device: for all of them.
        average: what is averaged at each step.
        precision: as for ``load_model``.

    Raises:
        CheckpointError: if one is missing or damaged.
        UsageError: if they do not fit together: kinds or tokenizers differ.
    """
    names = list(texts(names))
    if not names:
        raise UsageError("There is no model to load: name one.")
    first, *others = members = [load_model(name, device, precision) for name in names]
    if not others:
        return first
    for other in others:
        _require_alike(first, other)
    if not hasattr(first.model, "features"):
        raise UsageError(f"{first.name} is a {first.kind}: these do not make an ensemble.")
    return dataclasses.replace(
        first,
        name=" + ".join(names),
        model=Ensemble([member.model for member in members], average).to(first.device).eval(),
        target_ratio=sum(member.target_ratio for member in members) / len(members),
    )


def _require_alike(first: LoadedModel, other: LoadedModel) -> None:
    """Members of an ensemble read and write the same tokens."""
    if first.kind != other.kind:
        raise UsageError(
            f"An ensemble needs models of one kind: {first.name} is a {first.kind}, "
            f"{other.name} a {other.kind}."
        )
    sides = {
        "source": (first.source_tokenizer, other.source_tokenizer),
        "target": (first.tokenizer, other.tokenizer),
    }
    for side, (mine, theirs) in sides.items():
        if mine is not None and theirs is not None and mine.fingerprint() != theirs.fingerprint():
            raise UsageError(
                f"An ensemble needs models with the same tokenizers, but those of the {side} "
                f"differ between {first.name} ({mine.kind}, {mine.size:,} tokens) and "
                f"{other.name} ({theirs.kind}, {theirs.size:,} tokens). Train them on the same "
                "pairs with the same tokenizer options, and another training.seed."
            )
