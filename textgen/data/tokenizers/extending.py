"""Tokenizers with more tokens: those of another text after those that a model knows already."""

from __future__ import annotations

from textgen.data.tokenizers.base import TextTokenizer
from textgen.data.tokenizers.characters import CharacterTokenizer
from textgen.data.tokenizers.labels import LabelTokenizer
from textgen.data.tokenizers.words import WordTokenizer


def can_grow(tokenizer: TextTokenizer) -> bool:
    """Whether tokens can be added: bytes know all texts, and subwords are one whole."""
    return isinstance(tokenizer, CharacterTokenizer | WordTokenizer | LabelTokenizer)


def extended(tokenizer: TextTokenizer, other: TextTokenizer) -> TextTokenizer:
    """A tokenizer with the tokens of another one of its kind after its own.

    Args:
        tokenizer: whose tokens keep their numbers.
        other: with tokens to add.

    Returns:
        The tokenizer itself where nothing can be added, or is to be.
    """
    if isinstance(tokenizer, CharacterTokenizer) and isinstance(other, CharacterTokenizer):
        known = set(tokenizer.characters)
        new = "".join(each for each in other.characters if each not in known)
        return CharacterTokenizer(tokenizer.characters + new, tokenizer.normalisation)
    if isinstance(tokenizer, WordTokenizer) and isinstance(other, WordTokenizer):
        words = dict.fromkeys((*tokenizer.words, *other.words))
        return WordTokenizer(list(words), tokenizer.normalisation)
    if isinstance(tokenizer, LabelTokenizer) and isinstance(other, LabelTokenizer):
        return LabelTokenizer(list(dict.fromkeys((*tokenizer.labels, *other.labels))))
    return tokenizer
