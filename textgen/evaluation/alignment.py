"""Word alignments that people made, and how far found links are from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from textgen.errors import DataError
from textgen.translation.links import Link, Links, reverse


@dataclass(frozen=True)
class GoldAlignment:
    """What people linked in one sentence pair.

    Attributes:
        sure: links that must be found.
        possible: links that may be found; the sure ones are always among them.
    """

    sure: Links = frozenset()
    possible: Links = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "possible", self.possible | self.sure)

    def reversed(self) -> GoldAlignment:
        """The same sentence pair with source and target exchanged."""
        return GoldAlignment(reverse(self.sure), reverse(self.possible))


@dataclass(frozen=True)
class AlignmentCounts:
    """All that the error rate of a corpus needs: counts that add up over sentences.

    With A the links found, S the sure and P ⊇ S the possible links (Och and Ney 2003, "A
    Systematic Comparison of Various Statistical Alignment Models"):
    AER = 1 − (|A∩S| + |A∩P|) / (|A| + |S|), precision = |A∩P| / |A|, recall = |A∩S| / |S|.
    A ratio of nothing to nothing counts as faultless: no link found, none wrong.

    Attributes:
        found: |A|.
        sure: |S|.
        found_sure: |A∩S|.
        found_possible: |A∩P|.
    """

    found: int = 0
    sure: int = 0
    found_sure: int = 0
    found_possible: int = 0

    def __add__(self, other: AlignmentCounts) -> AlignmentCounts:
        return AlignmentCounts(
            self.found + other.found,
            self.sure + other.sure,
            self.found_sure + other.found_sure,
            self.found_possible + other.found_possible,
        )

    @property
    def aer(self) -> float:
        """Alignment error rate, 0 (all right) to 1 (nothing right)."""
        total = self.found + self.sure
        # one division of whole numbers, so that no rounding of 1 − x comes in
        return (total - self.found_sure - self.found_possible) / total if total else 0.0

    @property
    def precision(self) -> float:
        """Share of the links found that are possible."""
        return self.found_possible / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of the sure links that were found."""
        return self.found_sure / self.sure if self.sure else 1.0

    def as_dict(self) -> dict[str, float | int]:
        """``aer``, ``precision``, ``recall`` and the counts behind them, for ``--json``."""
        return {
            "aer": self.aer,
            "precision": self.precision,
            "recall": self.recall,
            "found": self.found,
            "sure": self.sure,
            "found_sure": self.found_sure,
            "found_possible": self.found_possible,
        }


def count_alignment(found: Links, gold: GoldAlignment) -> AlignmentCounts:
    """The counts of one sentence pair."""
    return AlignmentCounts(
        len(found), len(gold.sure), len(found & gold.sure), len(found & gold.possible)
    )


def score_alignments(found: Sequence[Links], gold: Sequence[GoldAlignment]) -> AlignmentCounts:
    """Add up the counts of a corpus, sentence by sentence.

    Raises:
        DataError: if the numbers of sentences differ.
    """
    if len(found) != len(gold):
        raise DataError(
            f"There are {len(found)} alignments to judge, but gold links for {len(gold)} "
            "sentence pairs; each line of one belongs to the same line of the other."
        )
    return sum(map(count_alignment, found, gold), start=AlignmentCounts())


def check_range(links: Iterable[Link], source: int, target: int, where: str) -> None:
    """See that links join words that exist.

    Args:
        links: the links of one sentence pair.
        source: number of source words.
        target: number of target words.
        where: file and line, for the message.

    Raises:
        DataError: if one does not; says which.
    """
    for link in sorted(links):
        for side, number, words in (
            ("source", link.source, source),
            ("target", link.target, target),
        ):
            if not 0 <= number < words:
                raise DataError(
                    f"{where}: the link {link.source}-{link.target} names {side} word {number}, "
                    f"but there are {words} words, counted from 0. Are source and target "
                    "exchanged, are words counted from 1, or is the text another one?"
                )
