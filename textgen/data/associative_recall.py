"""The built-in corpus ``associative-recall``: a list of items and a query → the item after it.

The task is that of Graves, Wayne and Danihelka, "Neural Turing Machines" (2014), section 4.3, with
letters in place of binary vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le
from typing_extensions import override

from textgen.data.copying import draw_letters
from textgen.data.endless import TEST_SIZE, VALID_SIZE, DrawnPairs, Split
from textgen.data.parallel import Pair, PairSplits
from textgen.data.ranges import Range, parse_ranges
from textgen.errors import ConfigError

QUERY = "?"


@dataclass(frozen=True)
class RecallConfig:
    """How many items, and of what."""

    items: Annotated[str, "items of a source, a number or a range"] = "2-6"
    item_length: Annotated[int, Ge(1), Le(100), "symbols of an item"] = 3
    symbols: Annotated[int, Ge(2), Le(26), "different symbols, from the letter a on"] = 10
    test_items: Annotated[str, "items in the test part; empty: as in the others"] = ""
    size: Annotated[int, Ge(1), "pairs of an epoch"] = 20_000
    seed: Annotated[int, Ge(0), "of the random numbers"] = 0


def open_associative_recall(config: RecallConfig) -> PairSplits:
    """The corpus; no source of valid or test is ever trained on.

    Raises:
        ConfigError: if a range is wrong, or there are fewer different items than a source needs.
    """
    where = "corpus associative-recall"
    smallest = {"items": 2, "test_items": 2}
    ranges = parse_ranges(config, where, smallest, optional=["test_items"])
    available = config.symbols**config.item_length
    problems = [
        f"{where}: {name}: {each.highest:,} different items are needed, but {config.symbols} "
        f"symbols and item_length={config.item_length} give {available:,}: raise one of them."
        for name, each in ranges.items()
        if each.highest > available
    ]
    if problems:
        raise ConfigError(problems)
    return PairSplits(
        RecallPairs(config, ranges["items"], "train", config.size),
        RecallPairs(config, ranges["items"], "valid", VALID_SIZE),
        RecallPairs(config, ranges["test_items"], "test", TEST_SIZE),
    )


class RecallPairs(DrawnPairs):
    """``abc dea bcd ? dea`` → ``bcd``; the items of a source differ from each other."""

    def __init__(self, config: RecallConfig, items: Range, split: Split, size: int) -> None:
        super().__init__("associative-recall", split, size, config.seed)
        self.config, self.items = config, items

    @override
    def draw(self, random: np.random.Generator) -> Pair:
        items = self._items(random, self.items.draw(random))
        place = int(random.integers(len(items) - 1))  # the last item has none after it
        return Pair(f"{' '.join(items)} {QUERY} {items[place]}", items[place + 1])

    def _items(self, random: np.random.Generator, count: int) -> list[str]:
        """``count`` different items: those drawn twice are drawn again."""
        length = self.config.item_length
        found: dict[str, None] = {}
        while len(found) < count:
            letters = draw_letters(random, length * (count - len(found)), self.config.symbols)
            drawn = (letters[at : at + length] for at in range(0, len(letters), length))
            found.update(dict.fromkeys(drawn))
        return list(found)

    @override
    def settings(self) -> str:
        return repr((self.config, self.items))
