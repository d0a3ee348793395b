"""The built-in parallel corpus ``numbers``: numbers in words, in digits, in another language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from textgen.data.endless import TEST_SIZE, VALID_SIZE, EndlessPairs, Split
from textgen.data.parallel import Pair, PairSplits
from textgen.errors import DataError, nearest

DIGITS = "digits"


@dataclass(frozen=True)
class NumbersConfig:
    """Which numbers, and how they are written."""

    source: Annotated[str, "a language of num2words, or digits"] = "en"
    target: Annotated[str, "a language of num2words, or digits"] = DIGITS
    maximum: Annotated[int, Ge(99), Le(10**15), "largest number"] = 999_999
    size: Annotated[int, Ge(1), "pairs of an epoch"] = 20_000
    seed: Annotated[int, Ge(0), "of the random numbers"] = 0


def open_numbers(config: NumbersConfig) -> PairSplits:
    """The corpus; no number of valid or test is ever trained on.

    Raises:
        DataError: if num2words does not know a language.
    """
    for language in (config.source, config.target):
        _check(language)
    return PairSplits(
        NumberPairs(config, "train", config.size),
        NumberPairs(config, "valid", VALID_SIZE),
        NumberPairs(config, "test", TEST_SIZE),
    )


class NumberPairs(EndlessPairs):
    """Numbers from 0 to a maximum: half of them uniform, half of them with a uniform logarithm."""

    def __init__(self, config: NumbersConfig, split: Split, size: int) -> None:
        super().__init__("numbers", split, size, config.seed)
        self.config = config

    def propose(self, random: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Random numbers of any part."""
        most = self.config.maximum
        uniform = random.integers(0, most + 1, count)
        logarithmic = np.exp(random.uniform(0, np.log(most + 1), count)).astype(np.int64)
        chosen = np.where(random.random(count) < 0.5, uniform, logarithmic)
        return np.minimum(chosen, most)

    def write(self, key: int, random: np.random.Generator) -> Pair:  # noqa: ARG002 - one way only
        """The number as the source and the target write it."""
        return Pair(in_words(key, self.config.source), in_words(key, self.config.target))

    def settings(self) -> str:
        """Languages and range."""
        return repr(self.config)


def in_words(number: int, language: str) -> str:
    """A number as a language writes it; as digits for "digits"."""
    if language == DIGITS:
        return str(number)
    from num2words import num2words

    return " ".join(str(num2words(number, lang=language)).split())


def _check(language: str) -> None:
    from num2words import CONVERTER_CLASSES

    if language != DIGITS and language not in CONVERTER_CLASSES:
        hint = nearest(language, [DIGITS, *CONVERTER_CLASSES])
        raise DataError(f"num2words does not know the language {language!r}.{hint}")
