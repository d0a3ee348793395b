"""The built-in corpora ``copy`` and ``repeat-copy``: random symbols, once or several times again.

The tasks are those of Graves, Wayne and Danihelka, "Neural Turing Machines" (2014), sections 4.1
and 4.2, with letters in place of binary vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le
from typing_extensions import override

from textgen.data.endless import TEST_SIZE, VALID_SIZE, DrawnPairs, Split
from textgen.data.parallel import Pair, PairSplits
from textgen.data.ranges import Range, parse_ranges


@dataclass(frozen=True)
class CopyConfig:
    """Which sequences are copied."""

    length: Annotated[str, "symbols of a source, a number or a range"] = "1-20"
    symbols: Annotated[int, Ge(2), Le(26), "different symbols, from the letter a on"] = 10
    test_length: Annotated[str, "length in the test part; empty: that of the others"] = ""
    size: Annotated[int, Ge(1), "pairs of an epoch"] = 20_000
    seed: Annotated[int, Ge(0), "of the random numbers"] = 0


@dataclass(frozen=True)
class RepeatCopyConfig:
    """Which sequences are repeated, and how often."""

    length: Annotated[str, "symbols of a sequence, a number or a range"] = "1-10"
    repeats: Annotated[str, "repetitions, a number or a range"] = "1-10"
    symbols: Annotated[int, Ge(2), Le(26), "different symbols, from the letter a on"] = 10
    test_length: Annotated[str, "length in the test part; empty: that of the others"] = ""
    test_repeats: Annotated[str, "repetitions in the test part; empty: as in the others"] = ""
    size: Annotated[int, Ge(1), "pairs of an epoch"] = 20_000
    seed: Annotated[int, Ge(0), "of the random numbers"] = 0


def open_copy(config: CopyConfig) -> PairSplits:
    """The corpus; no source of valid or test is ever trained on.

    Raises:
        ConfigError: if a range is wrong.
    """
    smallest = {"length": 1, "test_length": 1}
    ranges = parse_ranges(config, "corpus copy", smallest, optional=["test_length"])
    return PairSplits(
        CopyPairs(config, ranges["length"], "train", config.size),
        CopyPairs(config, ranges["length"], "valid", VALID_SIZE),
        CopyPairs(config, ranges["test_length"], "test", TEST_SIZE),
    )


def open_repeat_copy(config: RepeatCopyConfig) -> PairSplits:
    """The corpus; no source of valid or test is ever trained on.

    Raises:
        ConfigError: if a range is wrong.
    """
    smallest = dict.fromkeys(("length", "repeats", "test_length", "test_repeats"), 1)
    optional = ["test_length", "test_repeats"]
    ranges = parse_ranges(config, "corpus repeat-copy", smallest, optional=optional)
    usual = ranges["length"], ranges["repeats"]
    return PairSplits(
        RepeatCopyPairs(config, *usual, "train", config.size),
        RepeatCopyPairs(config, *usual, "valid", VALID_SIZE),
        RepeatCopyPairs(config, ranges["test_length"], ranges["test_repeats"], "test", TEST_SIZE),
    )


class CopyPairs(DrawnPairs):
    """``abcab`` → ``abcab``."""

    def __init__(self, config: CopyConfig, length: Range, split: Split, size: int) -> None:
        super().__init__("copy", split, size, config.seed)
        self.config, self.length = config, length

    @override
    def draw(self, random: np.random.Generator) -> Pair:
        text = draw_letters(random, self.length.draw(random), self.config.symbols)
        return Pair(text, text)

    @override
    def settings(self) -> str:
        return repr((self.config, self.length))


class RepeatCopyPairs(DrawnPairs):
    """``abc 3`` → ``abcabcabc``."""

    def __init__(
        self, config: RepeatCopyConfig, length: Range, repeats: Range, split: Split, size: int
    ) -> None:
        super().__init__("repeat-copy", split, size, config.seed)
        self.config, self.length, self.repeats = config, length, repeats

    @override
    def draw(self, random: np.random.Generator) -> Pair:
        text = draw_letters(random, self.length.draw(random), self.config.symbols)
        count = self.repeats.draw(random)
        return Pair(f"{text} {count}", text * count)

    @override
    def settings(self) -> str:
        return repr((self.config, self.length, self.repeats))


def draw_letters(random: np.random.Generator, length: int, symbols: int) -> str:
    """``length`` letters, each one of the first ``symbols`` of the alphabet."""
    numbers = random.integers(symbols, size=length, dtype=np.uint8)
    return (numbers + np.uint8(ord("a"))).tobytes().decode("ascii")
