"""The modern Hopfield network (Ramsauer et al. 2020, "Hopfield Networks is All You Need").

With the patterns as columns of X (N × M): s ← X softmax(β Xᵀ s), and the energy
E = −lse(β, Xᵀs) + ½ sᵀs + β⁻¹ log M + ½ max‖x‖², lse(β, z) = β⁻¹ log Σ exp(β z), never rises. One
update is attention with the state as query, the patterns as keys and values, and the factor β. On
±1 patterns with β = 1 the weights are those of Demircigil et al. 2017.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from textgen.errors import UsageError
from textgen.models.hopfield.patterns import checked_state
from textgen.models.hopfield.recall import Recall

MAX_STEPS = 10_000


class ModernHopfieldNetwork:
    """A network that stores its patterns as they are.

    Args:
        patterns: (M, N), real numbers.
        beta: inverse temperature: large for the nearest pattern alone, small for a mixture.

    Raises:
        UsageError: if the patterns are no matrix of finite numbers, or β is not positive.
    """

    def __init__(self, patterns: ArrayLike, beta: float = 1.0) -> None:
        self.patterns: NDArray[np.float64] = np.asarray(patterns, dtype=np.float64)
        shape = self.patterns.shape
        if len(shape) != 2 or 0 in shape or not bool(np.isfinite(self.patterns).all()):
            raise UsageError(
                f"patterns: expected a matrix of finite numbers with a row for each pattern; the "
                f"shape is {shape}."
            )
        if not (math.isfinite(beta) and beta > 0):
            raise UsageError(f"beta: a number above 0 is needed, not {beta}.")
        self.beta = beta
        self._constant = math.log(shape[0]) / beta + 0.5 * float((self.patterns**2).sum(1).max())

    @property
    def units(self) -> int:
        """N."""
        return int(self.patterns.shape[1])

    def update(self, state: NDArray[np.float64]) -> NDArray[np.float64]:
        """X softmax(β Xᵀ s) of a state (N,)."""
        return self._updated(self.patterns @ state)

    def energy(self, state: NDArray[np.float64]) -> float:
        """E of a state (N,); at least 0."""
        return self._energy(self.patterns @ state, state)

    def recall(
        self, cue: ArrayLike, *, max_steps: int = MAX_STEPS, tolerance: float = 1e-9
    ) -> Recall:
        """Update the state until it no longer changes.

        Args:
            cue: initial state (N,); 0 where a unit is unknown.
            max_steps: the updates stop after as many.
            tolerance: largest change of a unit at a fixed point, relative to the largest value in
                the patterns.

        Raises:
            UsageError: if the cue has another shape, or numbers that are not finite.
        """
        state = checked_state(cue, self.units, binary=False)
        still = tolerance * float(np.abs(self.patterns).max())
        products = self.patterns @ state
        energies = [self._energy(products, state)]
        for step in range(max_steps):
            changed = self._updated(products)
            if float(np.abs(changed - state).max()) <= still:
                return Recall(state, tuple(energies), step, converged=True, cycle=1)
            state, products = changed, self.patterns @ changed
            energies.append(self._energy(products, state))
        return Recall(state, tuple(energies), max_steps, converged=False, cycle=0)

    def _updated(self, products: NDArray[np.float64]) -> NDArray[np.float64]:
        """The update from the products Xᵀs, (M,)."""
        weights = np.exp(self.beta * (products - products.max()))
        updated: NDArray[np.float64] = (weights / weights.sum()) @ self.patterns
        return updated

    def _energy(self, products: NDArray[np.float64], state: NDArray[np.float64]) -> float:
        """The energy from the products Xᵀs, (M,)."""
        largest = float(products.max())
        rest = math.log(float(np.exp(self.beta * (products - largest)).sum())) / self.beta
        return self._constant - (largest + rest) + 0.5 * float(state @ state)
