"""Precision, recall and F1 of spans, as conlleval and seqeval count them.

A span is right where its beginning, end and class are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from textgen.data.spans import spans


@dataclass(frozen=True)
class SpanCounts:
    """Numbers of spans by class.

    Attributes:
        right: found and true.
        found: found.
        true: true.
    """

    right: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    true: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, found: Sequence[str], true: Sequence[str]) -> Self:
        """The counts of one sentence's tags."""
        own, wanted = spans(found), spans(true)
        both = set(own) & set(wanted)
        sides = (both, own, wanted)
        return cls(*(Counter(span.label for span in side) for side in sides))

    def __add__(self, other: SpanCounts) -> SpanCounts:
        """The counts of both."""
        return SpanCounts(
            self.right + other.right, self.found + other.found, self.true + other.true
        )

    @property
    def labels(self) -> list[str]:
        """All classes that are found or true, in the order of the alphabet."""
        return sorted(self.found.keys() | self.true.keys())

    def only(self, label: str) -> SpanCounts:
        """The counts of one class."""
        sides = (self.right, self.found, self.true)
        return SpanCounts(*(Counter({label: side[label]}) for side in sides))

    @property
    def precision(self) -> float:
        """Share of the spans found that are right; 0 where none is found."""
        return self.right.total() / max(self.found.total(), 1)

    @property
    def recall(self) -> float:
        """Share of the true spans that are found; 0 where there is none."""
        return self.right.total() / max(self.true.total(), 1)

    @property
    def f1(self) -> float:
        """Harmonic mean of both; 0 where there is no span."""
        return 2 * self.right.total() / max(self.found.total() + self.true.total(), 1)
