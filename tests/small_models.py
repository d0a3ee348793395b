"""Small real models with random weights, saved as folders, for tests that need one."""

from __future__ import annotations

from pathlib import Path

import torch

from textgen.checkpoint import save_config, save_weights
from textgen.config import as_dict
from textgen.data.tokenizers import TokenizerConfig, save_tokenizer, train_tokenizer
from textgen.models.config import LanguageModelConfig
from textgen.models.language_model import LanguageModel
from textgen.recipes.recipe import LANGUAGE_MODEL, DataConfig, LanguageModelRecipe

TEXT = (
    "To be, or not to be, that is the question:\n"
    "Whether 'tis nobler in the mind to suffer\n"
    "The slings and arrows of outrageous fortune.\n"
)


def save_language_model(
    folder: Path,
    *,
    kind: str = "characters",
    text: str = TEXT,
    unit: str = "stream",
    sharpness: float = 4.0,
    minimum_count: int = 1,
) -> Path:
    """A language model of ``text``'s tokens with random weights, spread enough to have opinions."""
    recipe = LanguageModelRecipe(
        tokenizer=TokenizerConfig(kind=kind, minimum_count=minimum_count),  # type: ignore[arg-type]
        data=DataConfig(unit=unit),  # type: ignore[arg-type]
        model=LanguageModelConfig(hidden=16, embedding=8),
    )
    tokenizer = train_tokenizer(recipe.tokenizer, [text])
    torch.manual_seed(7)
    model = LanguageModel(recipe.model, tokenizer.size)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(sharpness)
        model.projection.bias[tokenizer.marks.eos] = -30  # one document never ends
    save_config(folder, LANGUAGE_MODEL, as_dict(recipe))
    save_tokenizer(tokenizer, folder)
    save_weights(folder, model, {})
    return folder
