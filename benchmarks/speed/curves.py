"""Curves of growth: what was measured beside its work, and their exponents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Curve:
    """How something grows.

    Attributes:
        grows: what is made larger: one panel of the picture.
        name: of what is timed.
        sizes: from the smallest on.
        seconds: of each size.
        work: of each size, in any unit: floating-point operations, numbers moved, lines.
        order: power of the size in the largest term of the work. The exponents of time and work
            come near it as fixed costs lose their weight; where it is exceeded something is wrong.
    """

    grows: str
    name: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]
    work: tuple[float, ...]
    order: int = 1

    @property
    def exponents(self) -> tuple[float, float]:
        """Of time and of work, over all sizes."""
        return exponent(self.sizes, self.seconds), exponent(self.sizes, self.work)

    @property
    def last_exponents(self) -> tuple[float, float]:
        """The same over the largest three sizes, where fixed costs count least."""
        sizes = self.sizes[-3:]
        return exponent(sizes, self.seconds[-3:]), exponent(sizes, self.work[-3:])

    def data(self) -> dict[str, Any]:
        """Plain data, exponents included."""
        return {**asdict(self), "exponents": self.exponents, "last": self.last_exponents}


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The p of the power law value = c · sizeᵖ that fits best: the slope among logarithms.

    Raises:
        ValueError: if there are fewer than two sizes, or a number is not above 0.
    """
    if len(set(sizes)) < 2 or len(sizes) != len(values):
        raise ValueError("two different sizes, and a value for each, are needed")
    if min(*sizes, *values) <= 0:
        raise ValueError("a power law has no numbers below or at 0")
    x, y = np.log(np.asarray(sizes, float)), np.log(np.asarray(values, float))
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / (x * x).sum())


def exponent_table(curves: Sequence[Curve]) -> str:
    """Markdown: the exponents of time and work, over all sizes and the largest three."""
    lines = [
        "| what grows | from – to | of | time | work | at the end: time | work | order |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for curve in curves:
        span = f"{curve.sizes[0]:,} – {curve.sizes[-1]:,}"
        numbers = [*curve.exponents, *curve.last_exponents]
        cells = " | ".join(f"{number:.2f}" for number in numbers)
        lines.append(f"| {curve.grows} | {span} | {curve.name} | {cells} | {curve.order} |")
    return "\n".join(lines)


def faster_than_work(curves: Sequence[Curve], tolerance: float = 0.1) -> list[Curve]:
    """Those whose time grows faster at the end than the order of their work."""
    return [curve for curve in curves if curve.last_exponents[0] > curve.order + tolerance]
