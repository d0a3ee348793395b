"""What callers give, seen to be what is meant.

One text is a list of one, and never its characters; what is no text, no pair or no whole number is
refused where it is given, and not where it first fails.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from textgen.errors import UsageError

T = TypeVar("T")

HALVES = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Halves of surrogate pairs that stand for no byte."""


def texts(given: Iterable[str] | str) -> Iterable[str]:
    """Texts; one alone is a list of one."""
    return [given] if isinstance(given, str) else given


def listed(given: Iterable[str] | str, what: str) -> Iterator[str]:
    """Texts as they come, each seen to be one; one alone is a list of one.

    Raises:
        UsageError: if they cannot be iterated, or one is no text.
    """
    if not isinstance(given, Iterable) or isinstance(given, bytes | bytearray | Mapping):
        raise UsageError(f"{what}: expected a text or texts, not {type(given).__name__}.")
    return (
        text_of(each, f"{what}: number {number}") for number, each in enumerate(texts(given), 1)
    )


def text_of(given: str, what: str) -> str:
    """A text, seen to be one that a file could hold.

    Bytes that stand for themselves (``surrogateescape``) may be in it.

    Raises:
        UsageError: if it is none, or has half of a surrogate pair.
    """
    if not isinstance(given, str):
        raise UsageError(f"{what} is no text, but {type(given).__name__}.")
    if not given.isascii() and HALVES.search(given) is not None:
        raise UsageError(f"{what} has half of a surrogate pair: that is no character.")
    return given


def whole_number(given: int, what: str, least: int = 0, most: int = (1 << 63) - 1) -> int:
    """A whole number, seen to be one and in its range.

    Raises:
        UsageError: if it is neither.
    """
    try:
        number = None if isinstance(given, bool) else operator.index(given)
    except TypeError:
        number = None
    if number is None:
        raise UsageError(f"{what}: expected a whole number, not {shortened(repr(given))}.")
    if not least <= number <= most:
        largest = "2^63 − 1" if most == (1 << 63) - 1 else f"{most}"
        raise UsageError(f"{what} {number} is out of range: allowed is {least} to {largest}.")
    return number


def whole_numbers(given: object, least: Mapping[str, int]) -> None:
    """See that attributes are whole numbers; None too where that is the default.

    Args:
        given: a dataclass's, whose defaults its class has.
        least: names of attributes to the smallest value of each.

    Raises:
        UsageError: if one is none, or out of range.
    """
    for name, smallest in least.items():
        value = getattr(given, name)
        if value is not None or getattr(type(given), name) is not None:
            whole_number(value, name, smallest)


def shortened(text: str, most: int = 60) -> str:
    """The beginning of a text, with … where it is cut."""
    return text if len(text) <= most else text[: most - 1] + "…"


def refuse_text(given: T, what: str, remedy: str) -> T:
    """What was given, seen to be no text.

    Args:
        given: by the caller.
        what: the argument's name.
        remedy: what to give.

    Raises:
        UsageError: if it is a text.
    """
    if isinstance(given, str):
        raise UsageError(f"{what} is a text ({given[:40]!r}); expected {remedy}.")
    return given


def pairs_of(given: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Pairs as they come, each seen to be one of two texts.

    Raises:
        UsageError: if anything else stands where a pair is meant.
    """
    for number, pair in enumerate(
        refuse_text(given, "pairs", "a list of pairs, [(source, target)]"), 1
    ):
        refuse_text(pair, "a pair", "a pair, (source, target)")
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise UsageError(
                f"Pair {number}: expected (source, target), not {shortened(repr(pair))}."
            )
        source, target = pair
        yield (
            text_of(source, f"The source of pair {number}"),
            text_of(target, f"The target of pair {number}"),
        )
