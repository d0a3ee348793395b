"""Tagged sentences as numbers, and batches of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textgen.data.batching import pad_rows
from textgen.data.pooling import plan_batches
from textgen.data.tensor_batch import TensorBatch
from textgen.data.tokenizers import TextTokenizer, WordTokenizer
from textgen.errors import DataError

LONGEST_WORD = 24
"""Characters of a word that are read."""


class EncodedWords(NamedTuple):
    """The words of a sentence as numbers.

    Attributes:
        tokens: (S,) int32 of the words.
        spellings: (S, C) int32 of their characters, padded with 0; C is 0 without characters.
    """

    tokens: NDArray[np.int32]
    spellings: NDArray[np.int32]


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
            return EncodedWords(tokens, np.zeros((len(tokens), 0), dtype=np.int32))
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
    spellings = torch.zeros(*tokens.shape, longest, dtype=torch.int64)
    for row, (_, own) in enumerate(sentences):
        spellings[row, : own.shape[0], : own.shape[1]] = torch.from_numpy(own)
    return tokens, spellings, torch.tensor([len(each.tokens) for each in sentences])


@dataclass(frozen=True)
class TaggedBatch(TensorBatch):
    """B sentences with a tag for each word.

    Attributes:
        tokens: (B, S) int64, right-padded.
        spellings: (B, S, C) int64 characters of the words, padded with 0; C may be 0.
        lengths: (B,) int64 ≥ 1.
        tags: (B, S) int64; 0 after a row's length.
    """

    tokens: Tensor
    spellings: Tensor
    lengths: Tensor
    tags: Tensor

    @property
    def count(self) -> int:
        """One prediction for each word."""
        return int(self.lengths.sum())


class TaggedBatches:
    """Batches of sentences of like length.

    Args:
        sentences: of at least one word each.
        tags: numbers of the tags of each.
        size: B.
        seed: of the order; None keeps the order given.

    Raises:
        DataError: if there is no sentence.
    """

    def __init__(
        self,
        sentences: Sequence[EncodedWords],
        tags: Sequence[NDArray[np.int32]],
        *,
        size: int,
        seed: int | None,
    ) -> None:
        if not sentences:
            raise DataError("There is no sentence to make batches of.")
        self.sentences, self.tags, self.size, self.seed = sentences, tags, size, seed
        self._lengths = np.array([len(each.tokens) for each in sentences])

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return math.ceil(len(self.sentences) / self.size)

    def iterate(self, epoch: int, start: int = 0) -> Iterator[TaggedBatch]:
        """The batches of an epoch from number ``start`` on."""
        for chosen in plan_batches(self._lengths, self.size, self.seed, epoch)[start:]:
            padded = pad_words([self.sentences[int(each)] for each in chosen])
            yield TaggedBatch(*padded, pad_rows([self.tags[int(each)] for each in chosen], 0))
