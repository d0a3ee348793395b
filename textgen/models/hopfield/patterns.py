"""Patterns of ±1 units: checks, noise and overlaps."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from textgen.errors import UsageError


def checked_patterns(patterns: ArrayLike) -> NDArray[np.float64]:
    """Patterns as (P, N) float64.

    Raises:
        UsageError: unless they are a non-empty matrix of −1 and 1.
    """
    found = _floats(patterns, "patterns")
    if found.ndim != 2 or 0 in found.shape:
        raise UsageError(
            f"patterns: expected a matrix with a row for each pattern, not the shape {found.shape}."
        )
    if not bool((np.abs(found) == 1).all()):
        raise UsageError("patterns: each unit is −1 or 1; other values were given.")
    return found


def checked_state(state: ArrayLike, units: int, *, binary: bool) -> NDArray[np.float64]:
    """A copy of an initial state, (N,) float64.

    Args:
        state: (N,).
        units: N.
        binary: only −1, 1, and 0 for an unknown unit are allowed; else any finite numbers.

    Raises:
        UsageError: if it has another shape or other values.
    """
    found = _floats(state, "state").copy()
    if found.shape != (units,):
        raise UsageError(f"state: expected the shape ({units},), not {found.shape}.")
    if binary and not bool(np.isin(found, (-1, 0, 1)).all()):
        raise UsageError("state: each unit is −1 or 1, or 0 where it is unknown.")
    if not bool(np.isfinite(found).all()):
        raise UsageError("state: each unit is a finite number; there is an infinite one or a NaN.")
    return found


def flipped(
    state: NDArray[np.float64], share: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """A copy with the sign of a random share of the units changed.

    Args:
        state: (N,); units that are 0 stay 0 and do not count.
        share: of the units, 0 to 1; the number of units is rounded.
        rng: source of random numbers.

    Raises:
        UsageError: if the share is out of range.
    """
    if not 0 <= share <= 1:
        raise UsageError(f"noise: a share of the units from 0 to 1 is allowed, not {share}.")
    known = np.flatnonzero(state)
    chosen = rng.permutation(known)[: round(share * len(known))]
    noisy = state.copy()
    noisy[chosen] *= -1
    return noisy


def overlaps(patterns: NDArray[np.float64], state: NDArray[np.float64]) -> NDArray[np.float64]:
    """Overlap ξᵀ sign(s) / N with each pattern: 1 is the pattern, −1 its reverse.

    Args:
        patterns: (P, N) of ±1.
        state: (N,).

    Returns:
        (P,).
    """
    found: NDArray[np.float64] = patterns @ np.sign(state) / patterns.shape[1]
    return found


def _floats(values: ArrayLike, what: str) -> NDArray[np.float64]:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"{what}: expected an array of numbers.") from None
