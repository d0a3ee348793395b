"""Batches of tagged sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from textgen.data.batching import pad_rows
from textgen.data.pooling import plan_batches
from textgen.data.tensor_batch import TensorBatch
from textgen.data.words import EncodedWords, pad_words
from textgen.errors import DataError


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
