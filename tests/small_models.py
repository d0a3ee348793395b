"""Small real models with random weights, saved as folders, for tests that need one."""

from __future__ import annotations

from pathlib import Path

import torch

from textgen.checkpoint import SOURCE_TOKENIZER, save_config, save_weights
from textgen.config import as_dict
from textgen.data.tokenizers import TokenizerConfig, save_tokenizer, train_tokenizer
from textgen.models.config import LanguageModelConfig, TranslatorConfig
from textgen.models.language_model import LanguageModel
from textgen.models.translator import Translator
from textgen.recipes.recipe import (
    LANGUAGE_MODEL,
    TRANSLATOR,
    DataConfig,
    LanguageModelRecipe,
    PairConfig,
    TranslatorRecipe,
)

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
        model.projection.bias[tokenizer.special.eos] = -30  # one document never ends
    save_config(folder, LANGUAGE_MODEL, as_dict(recipe))
    save_tokenizer(tokenizer, folder)
    save_weights(folder, model, {})
    return folder


def save_translator(
    folder: Path,
    *,
    kind: str = "words",
    source_kind: str | None = None,
    attention: str = "additive",
    seed: int = 7,
    sharpness: float = 4.0,
    texts: tuple[str, str] = (TEXT, TEXT.upper()),
) -> Path:
    """A translator between two texts' tokens with random weights: what it says is nonsense."""
    recipe = TranslatorRecipe(
        tokenizer=TokenizerConfig(kind=kind),  # type: ignore[arg-type]
        source_tokenizer=TokenizerConfig(kind=source_kind or kind),  # type: ignore[arg-type]
        data=PairConfig(joint=False),
        model=TranslatorConfig(hidden=16, embedding=8, attention=attention, tied="none"),  # type: ignore[arg-type]
    )
    assert recipe.source_tokenizer is not None
    source = train_tokenizer(recipe.source_tokenizer, [texts[0]])
    target = train_tokenizer(recipe.tokenizer, [texts[1]])
    torch.manual_seed(seed)
    model = Translator(recipe.model, source.size, target.size)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(sharpness)
        model.projection.bias[target.special.eos] = 0.5
        model.projection.bias[3:5] = -30.0  # neither unknown words nor line ends
    save_config(folder, TRANSLATOR, as_dict(recipe), {"target_ratio": 1.0})
    save_tokenizer(target, folder)
    save_tokenizer(source, folder, SOURCE_TOKENIZER)
    save_weights(folder, model, {})
    return folder
