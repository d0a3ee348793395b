"""The order of examples in an epoch, and how they are cut into batches of like length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POOL = 32
"""Batches whose examples are grouped by length: padding is short, and epochs differ."""


def plan_batches(
    lengths: NDArray[np.int64], size: int, seed: int | None, epoch: int
) -> list[NDArray[np.int64]]:
    """Numbers of the examples of each batch of an epoch.

    Args:
        lengths: of the N examples.
        size: of a batch.
        seed: of the order; None keeps the order given.
        epoch: from 0.
    """
    order = np.arange(len(lengths))
    if seed is None:
        return [order[begin : begin + size] for begin in range(0, len(order), size)]
    generator = np.random.default_rng([seed, epoch])
    order, span = generator.permutation(order), size * POOL
    batches: list[NDArray[np.int64]] = []
    for begin in range(0, len(order), span):
        pool = order[begin : begin + span]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[at : at + size] for at in range(0, len(pool), size)]
    return [batches[int(number)] for number in generator.permutation(len(batches))]
