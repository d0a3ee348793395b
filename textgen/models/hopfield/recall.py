"""The result of a recall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Recall:
    """Where the dynamics of a network led from a cue.

    Attributes:
        state: (N,) float64, the last state: ±1 in a classic network, real in a modern one.
        energies: of the initial state and of the state after each step.
        steps: changes of the state: of one unit in asynchronous updates, else of all units at once.
        converged: whether the state is a fixed point.
        cycle: period of the cycle that synchronous updates ended in; 1 at a fixed point, 0 where
            the limit of steps came first.
    """

    state: NDArray[np.float64]
    energies: tuple[float, ...]
    steps: int
    converged: bool
    cycle: int

    @property
    def energy(self) -> float:
        """Of the last state."""
        return self.energies[-1]
