"""Data that are made up but look like real ones: Zipf's law, lengths of captions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from textgen.checkpoint import save_config, save_weights
from textgen.config import as_dict
from textgen.data.tokenizers import CharacterTokenizer, TextTokenizer, WordTokenizer, save_tokenizer
from textgen.models.language_model import LanguageModel
from textgen.models.translator import Translator
from textgen.recipes import LANGUAGE_MODEL, TRANSLATOR, LanguageModelRecipe, TranslatorRecipe

MEAN, DEVIATION = 14.0, 4.0
"""Words of a sentence, as of Multi30k."""
SPECIAL = 5
"""Tokens of a word tokenizer that are no words."""


def word_tokenizer(size: int) -> WordTokenizer:
    """A tokenizer of ``size`` tokens: w0, w1, … from the commonest on."""
    return WordTokenizer([f"w{number}" for number in range(size - SPECIAL)])


def character_tokenizer(size: int = 80) -> CharacterTokenizer:
    """A tokenizer of ``size`` characters, marks included."""
    return CharacterTokenizer("\n" + "".join(map(chr, range(32, 32 + size - 5))))


def zipf(count: int, kinds: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Numbers below ``kinds`` (count,), number r as often as 1 / (r + 2.7) (Mandelbrot)."""
    weights = 1 / (np.arange(kinds) + 2.7)
    borders = np.cumsum(weights / weights.sum())
    return np.searchsorted(borders, generator.random(count)).clip(0, kinds - 1)


def sentences(count: int, words: int, seed: int = 0) -> list[str]:
    """Sentences of words w0 … , 3 to 40 of them."""
    generator = np.random.default_rng(seed)
    lengths = np.rint(generator.normal(MEAN, DEVIATION, count)).astype(int).clip(3, 40)
    numbers = zipf(int(lengths.sum()), words, generator)
    cuts = np.split(numbers, np.cumsum(lengths)[:-1])
    return [" ".join(f"w{number}" for number in each) for each in cuts]


def pairs(count: int, words: int, seed: int = 0) -> list[tuple[str, str]]:
    """A sentence and its translation: the same words, every tenth of them written twice."""
    return [(each, translated(each)) for each in sentences(count, words, seed)]


def translated(sentence: str) -> str:
    """The words of a sentence, those whose number ends in 7 twice."""
    return " ".join(f"{word} {word}" if word.endswith("7") else word for word in sentence.split())


def save_language_model(
    folder: Path, recipe: LanguageModelRecipe, tokenizer: TextTokenizer
) -> None:
    """A folder with a model of seeded random weights that never ends a text."""
    torch.manual_seed(0)
    model = LanguageModel(recipe.model, tokenizer.size)
    _endless(model)
    save_config(folder, LANGUAGE_MODEL, as_dict(recipe))
    save_tokenizer(tokenizer, folder)
    save_weights(folder, model, {})


def save_translator(folder: Path, recipe: TranslatorRecipe, tokenizer: TextTokenizer) -> None:
    """A folder with a translator of seeded random weights that never ends by itself."""
    torch.manual_seed(0)
    model = Translator(recipe.model, tokenizer.size, tokenizer.size)
    _endless(model)
    save_config(folder, TRANSLATOR, as_dict(recipe), {"target_ratio": 1.0})
    save_tokenizer(tokenizer, folder)
    save_weights(folder, model, {})


def _endless(model: LanguageModel | Translator) -> None:
    """Make eos, token 2, as good as impossible."""
    model.projection.bias.data[2] = -1e4
