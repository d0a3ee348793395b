"""Parallel corpora that are made up as they are read, with train, valid and test kept apart.

What a pair is about (a date, a number) is called its key. A hash of the key alone decides whether
it is trained on, judged by or tested on, so no key is ever in two parts, whatever the seed. Where
there are too many keys to number them, the source text itself is the key.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from hashlib import blake2b
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from textgen.data.documents import digest
from textgen.data.parallel import Pair, ParallelSource
from textgen.errors import DataError

Split = Literal["train", "valid", "test"]

SPLITS: tuple[Split, ...] = ("train", "valid", "test")
VALID_SIZE, TEST_SIZE = 500, 1000
_MAX_MISSES = 2000
"""Draws in a row that may belong to other parts: by chance so many do once in 10⁴⁴ times."""


class GeneratedPairs(ParallelSource):
    """Pairs made up from a seed; each epoch of the part to train on has its own.

    Args:
        name: of the corpus.
        split: the part.
        size: pairs of an epoch.
        seed: of the random numbers.
    """

    def __init__(self, name: str, split: Split, size: int, seed: int) -> None:
        self._name = f"{name} ({split})"
        self.split: Split = split
        self.size, self.seed = size, seed

    @property
    def name(self) -> str:
        """What the pairs are called in messages."""
        return self._name

    @property
    def endless(self) -> bool:
        """Whether each epoch has pairs of its own: only what is trained on."""
        return self.split == "train"

    def generator(self, epoch: int) -> np.random.Generator:
        """The random numbers of an epoch."""
        number = epoch if self.endless else 0
        return np.random.default_rng([self.seed, SPLITS.index(self.split), number])

    @abstractmethod
    def settings(self) -> str:
        """All that the pairs depend on beside split, size and seed."""

    def fingerprint(self) -> str:
        """A digest of name, size, seed and settings."""
        return digest([self.name, str(self.size), str(self.seed), self.settings()])


class EndlessPairs(GeneratedPairs):
    """Pairs that are written from a key."""

    @abstractmethod
    def propose(self, random: np.random.Generator, count: int) -> NDArray[np.int64]:
        """``count`` random keys (count,) int64 of any part."""

    @abstractmethod
    def write(self, key: int, random: np.random.Generator) -> Pair:
        """The pair of a key."""

    def keys(self, random: np.random.Generator) -> Iterator[int]:
        """``size`` random keys of this part."""
        left = self.size
        while left > 0:
            proposed = self.propose(random, max(4 * left, 64))
            chosen = proposed[split_numbers(proposed) == SPLITS.index(self.split)][:left]
            left -= len(chosen)
            yield from chosen.tolist()

    def pairs(self, epoch: int = 0) -> Iterator[Pair]:
        """The pairs of an epoch; valid and test have the same in each."""
        random = self.generator(epoch)
        for key in self.keys(random):
            yield self.write(key, random)


class DrawnPairs(GeneratedPairs):
    """Pairs whose source text is drawn at random and decides by its hash to which part it belongs.

    Raises:
        DataError: while pairs are read, if there are too few different sources for three parts.
    """

    @abstractmethod
    def draw(self, random: np.random.Generator) -> Pair:
        """A random pair of any part."""

    def pairs(self, epoch: int = 0) -> Iterator[Pair]:
        """The pairs of an epoch; valid and test have the same in each."""
        random = self.generator(epoch)
        left, misses = self.size, 0
        while left > 0:
            pair = self.draw(random)
            if split_of_text(pair.source) == self.split:
                left, misses = left - 1, 0
                yield pair
                continue
            misses += 1
            if misses == _MAX_MISSES:
                raise DataError(
                    f"{self.name}: {misses:,} random sources in a row belong to another part: "
                    "there are too few different ones. Longer sequences or more symbols give more."
                )


def split_of_text(text: str) -> Split:
    """The part of a source text, by its hash: 90 % train, 5 % valid, 5 % test."""
    residue = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") % 20
    return "test" if residue == 0 else "valid" if residue == 1 else "train"


def split_numbers(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """The part of each key as its number in ``SPLITS``: 90 % train, 5 % valid, 5 % test.

    The hash is the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
    """
    mixed = keys.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    residue = (mixed ^ (mixed >> np.uint64(31))) % np.uint64(20)
    return np.select([residue == 0, residue == 1], [2, 1], 0).astype(np.int64)
