"""Percentile intervals of scores by resampling (Efron 1979)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
_SEED = 12345


def resampled(
    count: int, score: Callable[[NDArray[np.int64]], tuple[float, ...]]
) -> list[tuple[float, float]]:
    """Of each score the interval that holds 95 % of its values over resamples of the examples.

    Args:
        count: number of examples N.
        score: scores of the examples whose numbers (N,) are drawn with replacement.
    """
    generator = np.random.default_rng(_SEED)
    values = [score(generator.integers(0, count, count)) for _ in range(RESAMPLES)]
    low, high = np.percentile(np.array(values), [2.5, 97.5], axis=0)
    return list(zip(low.tolist(), high.tolist(), strict=True))
