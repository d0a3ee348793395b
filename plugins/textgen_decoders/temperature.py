"""Temperature."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor

from textgen.protocols import Beam

_TINY = 1e-6  # below, a division overflows and nothing but the likeliest token is left anyway


@dataclass(frozen=True)
class Temperature:
    """Sharpen or flatten the distribution: s_v ← s_v / T.

    T < 1 prefers likely tokens, T = 1 changes nothing, T > 1 flattens. T = 0 is the limit: only
    the likeliest token stays (of equally likely ones the first).
    Ackley, Hinton & Sejnowski 1985, "A learning algorithm for Boltzmann machines".

    Example: --decode sample --filter temperature:0.8
    """

    t: Annotated[float, Ge(0), "temperature T; 0 keeps the likeliest token alone"] = 1.0

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores divided by T."""
        del beam
        if self.t == 1:
            return log_probs
        if self.t > _TINY:
            return log_probs / self.t
        best = log_probs.argmax(-1, keepdim=True)
        only = log_probs.new_full(log_probs.shape, -math.inf)
        return only.scatter(-1, best, log_probs.gather(-1, best))
