"""Figures of several systems beside each other."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measured:
    """What one system did of one work.

    Attributes:
        work: what was done.
        system: by whom.
        unit: of the values.
        values: one of each round.
        less_is_better: as for seconds and bytes.
    """

    work: str
    system: str
    unit: str
    values: tuple[float, ...]
    less_is_better: bool = False

    @property
    def value(self) -> float:
        """The median."""
        return statistics.median(self.values)

    def times_better(self, other: Measured) -> float:
        """How many times as good as the other: 2 is twice as fast, or half the memory."""
        pair = (self.value, other.value)
        better, worse = reversed(pair) if self.less_is_better else pair
        return better / worse if worse else float("nan")


def digits(value: float) -> str:
    """Three digits that count, thousands with commas."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(figures: Sequence[Measured], peers: Sequence[str]) -> str:
    """A Markdown table: works in their order, and of each system how it stands to the peers."""
    heads = ["work", "system", "median", "lowest – highest", *(f"÷ {peer}" for peer in peers)]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for each in figures:
        theirs = {
            other.system: other
            for other in figures
            if (other.work, other.unit) == (each.work, each.unit)
        }
        ratios = [_ratio(each, theirs.get(peer)) for peer in peers]
        spread = f"{digits(min(each.values))} – {digits(max(each.values))}"
        cells = [each.work, each.system, f"{digits(each.value)} {each.unit}", spread, *ratios]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _ratio(each: Measured, peer: Measured | None) -> str:
    if peer is None or peer.system == each.system:
        return "–"
    return f"{each.times_better(peer):.2f}×"


def as_data(figures: Sequence[Measured], peers: Sequence[str]) -> list[dict[str, Any]]:
    """The same as plain data."""
    found = []
    for each in figures:
        ratios = {
            other.system: each.times_better(other)
            for other in figures
            if other.system in peers and (other.work, other.unit) == (each.work, each.unit)
        }
        found.append(
            {
                "work": each.work,
                "system": each.system,
                "unit": each.unit,
                "median": each.value,
                "values": list(each.values),
                "times_better_than": ratios,
            }
        )
    return found


def in_order(figures: Sequence[Measured]) -> list[Measured]:
    """Figures of one work together, works and systems as they first came."""
    works = list(dict.fromkeys((each.work, each.unit) for each in figures))
    return sorted(figures, key=lambda each: works.index((each.work, each.unit)))
