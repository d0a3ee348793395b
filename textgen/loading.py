"""A model folder, loaded and ready to use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from textgen.checkpoint import CONFIG, find_model, load_weights, read_config
from textgen.config import structure
from textgen.data.tokenizers import TextTokenizer, load_tokenizer
from textgen.errors import CheckpointError, ConfigError, UsageError
from textgen.models.language_model import LanguageModel
from textgen.models.translator import Translator
from textgen.training.recipe import (
    LANGUAGE_MODEL,
    TRANSLATOR,
    LanguageModelRecipe,
    TranslatorRecipe,
)

SOURCE_TOKENIZER = "source_tokenizer"
"""Name of the source's tokenizer in a folder, where it is not the target's."""

_RECIPES: dict[str, type[Any]] = {
    LANGUAGE_MODEL: LanguageModelRecipe,
    TRANSLATOR: TranslatorRecipe,
}


@dataclass(frozen=True)
class LoadedModel:
    """A model with all that belongs to it.

    Attributes:
        name: by which it was asked for.
        folder: its checkpoint.
        kind: ``language-model`` or ``translator``.
        model: in evaluation mode, on ``device``.
        tokenizer: of the target (the only one of a language model).
        recipe: what it was trained with.
        device: where it is.
        source_tokenizer: of the source; None for a language model.
        target_ratio: target tokens for each source token in the training pairs.
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


def load_model(name: str, device: str = "auto") -> LoadedModel:
    """Load a model by its folder, or by the name of a bundled or trained one.

    Raises:
        CheckpointError: if it is missing or damaged; says which file and what is wrong.
        UsageError: if the device is absent.
    """
    place = resolve_device(device)
    folder = find_model(name)
    saved = read_config(folder)
    if saved.kind not in _RECIPES:
        raise CheckpointError(f"{folder}: models of kind {saved.kind!r} are unknown here.")
    try:
        recipe = structure(_RECIPES[saved.kind], saved.config, where=str(folder / CONFIG))
    except ConfigError as error:
        raise CheckpointError(str(error)) from None
    tokenizer = load_tokenizer(folder)
    source, model = _model(folder, recipe, tokenizer)
    load_weights(folder, model)
    return LoadedModel(
        name=name,
        folder=folder,
        kind=saved.kind,
        model=model.to(place).eval(),
        tokenizer=tokenizer,
        recipe=recipe,
        device=place,
        source_tokenizer=source,
        target_ratio=float(saved.facts.get("target_ratio", 1.0)),
    )


def _model(
    folder: Path, recipe: Any, tokenizer: TextTokenizer
) -> tuple[TextTokenizer | None, nn.Module]:
    """The source's tokenizer, if there is a source, and a model with fresh weights."""
    if isinstance(recipe, LanguageModelRecipe):
        return None, LanguageModel(recipe.model, tokenizer.size)
    source = tokenizer if recipe.data.joint else load_tokenizer(folder, SOURCE_TOKENIZER)
    return source, Translator(recipe.model, source.size, tokenizer.size)
