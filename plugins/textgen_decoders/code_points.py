"""Sets of characters, and the bytes of UTF-8 that spell them."""

from __future__ import annotations

import functools
import re
import sys
from typing import TypeAlias

import numpy as np

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Code points from … to …, both included, in ascending order."""

END = -1
_FORMS = (  # bytes after the first; the first at code point 0; code points
    (1, 0xC0, ((0x80, 0x7FF),)),
    (2, 0xE0, ((0x800, 0xD7FF), (0xE000, 0xFFFF))),  # no surrogates
    (3, 0xF0, ((0x10000, 0x10FFFF),)),
)


@functools.lru_cache(maxsize=256)
def members(atom: str, flags: int) -> Ranges:
    """The characters that match an atom, a piece of a regular expression that matches just one.

    Python's own ``re`` is asked, so that classes, escapes and flags mean what they mean there.
    """
    found = re.finditer(f"{atom}+", _everything(), flags)
    return tuple((each.start(), each.end() - 1) for each in found)


@functools.cache
def _everything() -> str:
    """All code points in their order."""
    return np.arange(sys.maxunicode + 1, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")


class Spellings:
    """Tries of bytes, one for each set of characters; equal branches are kept once.

    Attributes:
        nodes: byte to the node after it, or to ``END`` where a character is complete.
    """

    def __init__(self) -> None:
        self.nodes: list[dict[int, int]] = []
        self._roots: dict[Ranges, int] = {}
        self._inner: dict[tuple[int, Ranges], int] = {}

    def root(self, ranges: Ranges) -> int:
        """The node at which the characters of a set begin."""
        if ranges not in self._roots:
            edges = dict.fromkeys(_numbers(_cut(ranges, 0, 0x7F)), END)
            for rest, lead, possible in _FORMS:
                inside = tuple(part for low, high in possible for part in _cut(ranges, low, high))
                edges |= self._branches(rest, lead, inside)
            self._roots[ranges] = self._new(edges)
        return self._roots[ranges]

    def _branches(self, rest: int, lead: int, ranges: Ranges) -> dict[int, int]:
        """A byte for each 64^rest code points; ``rest`` bytes follow it."""
        if rest == 0:
            return {lead + number: END for number in _numbers(ranges)}
        span = 64**rest
        edges = {}
        starts = dict.fromkeys(
            block for low, high in ranges for block in range(low // span, high // span + 1)
        )
        for block in starts:
            inside = _cut(ranges, block * span, (block + 1) * span - 1)
            own = tuple((low - block * span, high - block * span) for low, high in inside)
            edges[lead + block] = self._node(rest, own)
        return edges

    def _node(self, rest: int, ranges: Ranges) -> int:
        key = (rest, ranges)
        if key not in self._inner:
            self._inner[key] = self._new(self._branches(rest - 1, 0x80, ranges))
        return self._inner[key]

    def _new(self, edges: dict[int, int]) -> int:
        self.nodes.append(edges)
        return len(self.nodes) - 1


def _cut(ranges: Ranges, low: int, high: int) -> Ranges:
    """What of the ranges lies between two code points."""
    return tuple(
        (max(first, low), min(last, high))
        for first, last in ranges
        if first <= high and last >= low
    )


def _numbers(ranges: Ranges) -> list[int]:
    return [number for low, high in ranges for number in range(low, high + 1)]
