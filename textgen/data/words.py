"""Sentences of words as numbers: a token for each word, and its characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textgen.data.batching import pad_rows
from textgen.data.tokenizers import TextTokenizer, WordTokenizer

LONGEST_WORD = 24
"""Characters of a word that are read."""


class EncodedWords(NamedTuple):
    """The words of a sentence as numbers.

    Attributes:
        tokens: (S,) int32 of the words, or of a text's tokens; (S, D) float32 of vectors.
        spellings: (S, C) int32 of their characters, padded with 0; C is 0 without characters.
    """

    tokens: NDArray[Any]
    spellings: NDArray[np.int32]

    def cut(self, length: int) -> EncodedWords:
        """The first words."""
        return EncodedWords(self.tokens[:length], self.spellings[:length])


def without_spellings(tokens: NDArray[Any]) -> EncodedWords:
    """Tokens whose characters are not read."""
    return EncodedWords(tokens, np.zeros((len(tokens), 0), dtype=np.int32))


class WordEncoder:
    """Words to numbers.

    Args:
        words: of the word vectors.
        characters: of the spellings; None leaves them away.
        lower: look words up without case.
    """

    def __init__(
        self, words: WordTokenizer, characters: TextTokenizer | None, *, lower: bool
    ) -> None:
        self.words, self.characters, self.lower = words, characters, lower

    def encode(self, sentence: Sequence[str]) -> EncodedWords:
        """Tokens and spellings of a sentence's words."""
        cased = [word.lower() for word in sentence] if self.lower else sentence
        tokens = np.array([self.words.number(word) for word in cased], dtype=np.int32)
        if self.characters is None:
            return without_spellings(tokens)
        rows = [self.characters.encode_array(word)[:LONGEST_WORD] for word in sentence]
        spellings = np.zeros((len(rows), max(map(len, rows), default=0)), dtype=np.int32)
        for row, spelling in zip(spellings, rows, strict=True):
            row[: len(spelling)] = spelling
        return EncodedWords(tokens, spellings)

    def knows(self, word: str) -> bool:
        """Whether a word has a vector of its own."""
        number = self.words.number(word.lower() if self.lower else word)
        return number != self.words.special.unknown


def pad_words(sentences: Sequence[EncodedWords]) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens (B, S), spellings (B, S, C) and lengths (B,) int64 of sentences, right-padded."""
    tokens = pad_rows([each.tokens for each in sentences], 0)
    longest = max(each.spellings.shape[1] for each in sentences)
    spellings = torch.zeros(*tokens.shape[:2], longest, dtype=torch.int64)
    for row, (_, own) in enumerate(sentences):
        spellings[row, : own.shape[0], : own.shape[1]] = torch.from_numpy(own)
    return tokens, spellings, torch.tensor([len(each.tokens) for each in sentences])
