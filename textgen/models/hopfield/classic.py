"""The classic Hopfield network: N units of ±1 with symmetric weights (Hopfield 1982).

The energy E = −½ sᵀWs never rises in asynchronous updates s_i ← sign(Σ_j W_ij s_j), since W is
symmetric with a zero diagonal. A unit whose field Σ_j W_ij s_j is 0 keeps its value. Synchronous
updates change all units at once and may end in a cycle, with a period of 2 where no field is 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from textgen.errors import UsageError
from textgen.models.hopfield.patterns import checked_patterns, checked_state
from textgen.models.hopfield.recall import Recall

CAPACITY = 0.138
"""Patterns for each unit up to which the Hebb rule recalls random patterns with few errors (Amit,
Gutfreund and Sompolinsky 1985)."""
MAX_STEPS = 100_000
_ROUNDING = 1e-12
"""Fields that are smaller, relative to the largest possible field, are 0; so are weights of a
projection."""


def hebb(patterns: ArrayLike) -> NDArray[np.float64]:
    """Hebb rule: W = 1/N Σ ξξᵀ with a zero diagonal (Hopfield 1982).

    Args:
        patterns: (P, N) of ±1.

    Returns:
        (N, N).

    Raises:
        UsageError: for other values.
    """
    given = checked_patterns(patterns)
    return _zero_diagonal(given.T @ given / given.shape[1])


def pseudo_inverse(patterns: ArrayLike) -> NDArray[np.float64]:
    """Projection onto the span of the patterns, with a zero diagonal (Personnaz et al. 1985).

    Each stored pattern is a fixed point: the field of unit i is (1 − Π_ii) ξ_i, with 0 ≤ Π_ii ≤ 1.

    Args:
        patterns: (P, N) of ±1.

    Returns:
        (N, N).

    Raises:
        UsageError: for other values.
    """
    given = checked_patterns(patterns)
    _, sizes, basis = np.linalg.svd(given, full_matrices=False)
    basis = basis[sizes > sizes[0] * max(given.shape) * np.finfo(np.float64).eps]  # (rank, N)
    weights = basis.T @ basis
    weights[np.abs(weights) < _ROUNDING] = 0.0  # else rounding decides where all weights are 0
    return _zero_diagonal(weights)


class HopfieldNetwork:
    """A network of N units.

    Args:
        weights: W, (N, N), symmetric with a zero diagonal.

    Raises:
        UsageError: for other weights.
    """

    def __init__(self, weights: ArrayLike) -> None:
        self.weights: NDArray[np.float64] = np.asarray(weights, dtype=np.float64)
        shape = self.weights.shape
        if len(shape) != 2 or shape[0] != shape[1] or not shape[0]:
            raise UsageError(f"weights: expected a square matrix, not the shape {shape}.")
        if not bool(np.isfinite(self.weights).all()):
            raise UsageError("weights: each is a finite number; there is an infinite one or a NaN.")
        if not np.array_equal(self.weights, self.weights.T) or bool(self.weights.diagonal().any()):
            raise UsageError("weights: a symmetric matrix with a zero diagonal is needed.")
        self._zero = _ROUNDING * float(np.abs(self.weights).sum(1).max())

    @property
    def units(self) -> int:
        """N."""
        return len(self.weights)

    def energy(self, state: ArrayLike) -> float:
        """E = −½ sᵀWs of a state (N,)."""
        given = checked_state(state, self.units, binary=True)
        return float(-0.5 * (given @ self.weights @ given))

    def recall(
        self,
        cue: ArrayLike,
        *,
        synchronous: bool = False,
        seed: int | tuple[int, ...] = 0,
        max_steps: int = MAX_STEPS,
    ) -> Recall:
        """Update the units until nothing changes.

        Args:
            cue: initial state (N,) of ±1; a unit that is 0 is unknown until its field is not 0.
            synchronous: all units at once; else one after the other, in a new random order in
                each sweep, until a sweep changes nothing.
            seed: of the random orders.
            max_steps: the updates stop after as many changes of the state.

        Raises:
            UsageError: if the cue has another shape or other values.
        """
        state = checked_state(cue, self.units, binary=True)
        if synchronous:
            return self._synchronous(state, max_steps)
        return self._asynchronous(state, np.random.default_rng(seed), max_steps)

    def _asynchronous(
        self, state: NDArray[np.float64], rng: np.random.Generator, max_steps: int
    ) -> Recall:
        energies = [self.energy(state)]
        while len(energies) <= max_steps:
            order = rng.permutation(self.units)
            fields = self.weights @ state  # afresh in each sweep: rounding does not add up
            before, position = len(energies), 0
            while len(energies) <= max_steps:
                rest = order[position:]
                signs = self._signs(fields[rest], state[rest])
                changed = np.flatnonzero(signs != state[rest])
                if not len(changed):
                    break
                position += int(changed[0]) + 1
                unit = order[position - 1]
                change = signs[changed[0]] - state[unit]
                energies.append(energies[-1] - float(change * fields[unit]))
                state[unit] += change
                fields += change * self.weights[unit]
            if len(energies) == before:
                return Recall(state, tuple(energies), len(energies) - 1, converged=True, cycle=1)
        return Recall(state, tuple(energies), len(energies) - 1, converged=False, cycle=0)

    def _synchronous(self, state: NDArray[np.float64], max_steps: int) -> Recall:
        energies = [self.energy(state)]
        seen = {state.tobytes(): 0}
        for step in range(1, max_steps + 1):
            state = self._signs(self.weights @ state, state)
            first = seen.setdefault(state.tobytes(), step)
            if first == step - 1:
                return Recall(state, tuple(energies), step - 1, converged=True, cycle=1)
            energies.append(self.energy(state))
            if first < step:
                return Recall(state, tuple(energies), step, converged=False, cycle=step - first)
        return Recall(state, tuple(energies), max_steps, converged=False, cycle=0)

    def _signs(
        self, fields: NDArray[np.float64], state: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Signs of the fields; where a field is 0, the unit's value."""
        return np.where(np.abs(fields) > self._zero, np.sign(fields), state) + 0.0


def _zero_diagonal(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix made symmetric to the last bit, with a zero diagonal."""
    symmetric: NDArray[np.float64] = (weights + weights.T) / 2
    np.fill_diagonal(symmetric, 0.0)
    return symmetric
