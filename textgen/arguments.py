"""What callers give where a list is meant: one text is a list of one, and never its characters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from textgen.errors import UsageError

T = TypeVar("T")


def texts(given: Iterable[str] | str) -> Iterable[str]:
    """Texts; one alone is a list of one."""
    return [given] if isinstance(given, str) else given


def listed(given: Iterable[str] | str, what: str) -> Iterator[str]:
    """Texts as they come, each seen to be one; one alone is a list of one.

    Raises:
        UsageError: if they cannot be iterated, or one is no text.
    """
    if not isinstance(given, Iterable):
        raise UsageError(f"{what}: expected a text or texts, not {type(given).__name__}.")
    for number, each in enumerate(texts(given), start=1):
        if not isinstance(each, str):
            raise UsageError(f"{what}: number {number} is no text, but {type(each).__name__}.")
        yield each


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


def pairs_of(given: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """Pairs as they come, each seen to be one.

    Raises:
        UsageError: if a text stands where a pair is meant.
    """
    for pair in refuse_text(given, "pairs", "a list of pairs, [(source, target)]"):
        yield refuse_text(pair, "a pair", "a pair, (source, target)")
