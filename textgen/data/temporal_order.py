"""The built-in corpus ``temporal-order``: which of X and Y came first, far apart among distractors.

The tasks are 6a and 6b of Hochreiter and Schmidhuber, "Long Short-Term Memory" (1997), section 5.6.
A source begins with E and ends with B. Between them stand random letters, and at two (6a) or three
(6b) places X or Y; their order is the class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le
from typing_extensions import override

from textgen.data.copying import draw_letters
from textgen.data.endless import TEST_SIZE, VALID_SIZE, DrawnPairs, Split
from textgen.data.parallel import Pair, PairSplits
from textgen.data.ranges import Range, parse_ranges

SHORTEST = 10
CLASSES: dict[str, str] = {
    "XX": "Q",
    "XY": "R",
    "YX": "S",
    "YY": "U",
    "XXX": "Q",
    "XXY": "R",
    "XYX": "S",
    "XYY": "U",
    "YXX": "V",
    "YXY": "A",
    "YYX": "B",
    "YYY": "C",
}
"""The paper's names of the classes, by the relevant symbols in their order."""

_PLACES = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}
"""Where each relevant symbol stands, in hundredths of the shortest length: both ends included."""


@dataclass(frozen=True)
class TemporalOrderConfig:
    """How long the sequences are, and how much there is to remember."""

    length: Annotated[str, "symbols of a source with E and B, a number or a range"] = "100-110"
    relevant: Annotated[Literal[2, 3], "relevant symbols: 2 (4 classes) or 3 (8 classes)"] = 2
    distractors: Annotated[int, Ge(1), Le(26), "different other symbols, from the letter a on"] = 4
    test_length: Annotated[str, "length in the test part; empty: that of the others"] = ""
    size: Annotated[int, Ge(1), "pairs of an epoch"] = 10_000
    seed: Annotated[int, Ge(0), "of the random numbers"] = 0


def open_temporal_order(config: TemporalOrderConfig) -> PairSplits:
    """The corpus; no source of valid or test is ever trained on.

    Raises:
        ConfigError: if a range is wrong.
    """
    smallest = {"length": SHORTEST, "test_length": SHORTEST}
    ranges = parse_ranges(config, "corpus temporal-order", smallest, optional=["test_length"])
    return PairSplits(
        TemporalOrderPairs(config, ranges["length"], "train", config.size),
        TemporalOrderPairs(config, ranges["length"], "valid", VALID_SIZE),
        TemporalOrderPairs(config, ranges["test_length"], "test", TEST_SIZE),
    )


class TemporalOrderPairs(DrawnPairs):
    """``E a X d b c Y a a B`` → ``R``: symbols are words, so that every tokenizer keeps them."""

    def __init__(self, config: TemporalOrderConfig, length: Range, split: Split, size: int) -> None:
        super().__init__("temporal-order", split, size, config.seed)
        self.config, self.length = config, length
        self.places = relevant_places(length.lowest, config.relevant)

    @override
    def draw(self, random: np.random.Generator) -> Pair:
        inner = self.length.draw(random) - 2
        symbols = ["E", *draw_letters(random, inner, self.config.distractors), "B"]
        order = ""
        for places in self.places:
            order += "XY"[int(random.integers(2))]
            symbols[places.draw(random)] = order[-1]
        return Pair(" ".join(symbols), CLASSES[order])

    @override
    def settings(self) -> str:
        return repr((self.config, self.length))


def relevant_places(shortest: int, relevant: int) -> list[Range]:
    """Places of each relevant symbol, counted from 0 (E); the paper's for a length of 100.

    Args:
        shortest: smallest length of a source, at least ``SHORTEST``, so that places do not overlap.
        relevant: 2 or 3.
    """
    return [Range(low * shortest // 100, high * shortest // 100) for low, high in _PLACES[relevant]]
