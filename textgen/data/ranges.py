"""Ranges of whole numbers in the options of corpora: ``5``, or ``1-20`` with both ends."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from textgen.errors import ConfigError

LARGEST = 10_000
_FORM = re.compile(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?")


class Range(NamedTuple):
    """The whole numbers from ``lowest`` to ``highest``, both included."""

    lowest: int
    highest: int

    def draw(self, random: np.random.Generator) -> int:
        """One of them, each with the same probability."""
        return int(random.integers(self.lowest, self.highest + 1))


def parse_range(text: str, smallest: int = 1) -> Range:
    """Read ``5`` or ``1-20``.

    Raises:
        ValueError: if it is no range, is reversed, or leaves ``smallest`` to ``LARGEST``; a
            sentence without the option's name.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"expected a whole number or a range, such as 5 or 1-20, got {text!r}.")
    lowest, highest = int(found[1]), int(found[2] or found[1])
    if lowest > highest:
        raise ValueError(
            f"{text}: the minimum is larger than the maximum; write {highest}-{lowest}."
        )
    if lowest < smallest or highest > LARGEST:
        raise ValueError(f"{text} is out of range: from {smallest} to {LARGEST:,}.")
    return Range(lowest, highest)


def parse_ranges(
    config: Any, where: str, smallest: Mapping[str, int], *, optional: Iterable[str] = ()
) -> dict[str, Range]:
    """Read several fields of a configuration, all errors at once.

    Args:
        config: a dataclass whose fields hold the ranges as text.
        where: what the options belong to, for the message ("corpus copy").
        smallest: the fields, and the smallest number that each allows.
        optional: of these, fields ``test_NAME``: empty text means the range of ``NAME``.

    Raises:
        ConfigError: with one sentence for each wrong range.
    """
    ranges: dict[str, Range] = {}
    problems: list[str] = []
    for name, least in smallest.items():
        text = getattr(config, name)
        if name in optional and not text:
            text = getattr(config, name.removeprefix("test_"))
        try:
            ranges[name] = parse_range(text, least)
        except ValueError as error:
            problems.append(f"{where}: {name}: {error}")
    if problems:
        raise ConfigError(problems)
    return ranges
