"""Results that were asked for and not found: told at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self


class Shortfall:
    """Requests that got fewer results than were asked for.

    As a context manager it tells at the end, after wrong requests too; not after a closed pipe or
    Ctrl-C.

    Args:
        what: what the requests are, in the plural.
        warn: takes the sentences.
    """

    def __init__(self, what: str, warn: Callable[[str], object]) -> None:
        self.what, self.warn = what, warn
        self.requests = self.short = 0
        self._first = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or not issubclass(kind, OSError | KeyboardInterrupt):
            self.tell()

    def note(self, found: int, wanted: int, strategy: str) -> None:
        """Count a request that got ``found`` results of ``wanted`` by a strategy of that name."""
        self.requests += 1
        if found < wanted:
            self.short += 1
            self._first = self._first or f"{found} of {wanted}, found by {strategy}"

    def tell(self) -> None:
        """Say what is missing, if anything is."""
        if self.short:
            self.warn(
                f"{self.short:,} of {self.requests:,} {self.what} got fewer results than "
                f"asked for; the first {self._first}. A wider beam finds more, and sample draws as "
                "many as are asked for."
            )
