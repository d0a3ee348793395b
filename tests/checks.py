"""What keeps a test from passing because it looked at nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def some(items: Iterable[T]) -> Iterator[T]:
    """The items, of which there must be at least one: a loop over nothing asserts nothing."""
    count = 0
    for item in items:
        count += 1
        yield item
    assert count, "there is nothing to check"
