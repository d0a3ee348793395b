"""Min-p."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le
from torch import Tensor

from textgen.protocols import Beam

_ROUNDING = 1e-6  # of float32 log-probabilities: what equals the bound has reached it


@dataclass(frozen=True)
class MinP:
    """Keep what is at least m times as likely as the likeliest: p_v ≥ m · max p.

    m = 0 keeps everything, m = 1 the likeliest and what ties with it.
    Nguyen et al. 2024, "Turning up the heat: min-p sampling for creative and coherent LLM outputs".

    Example: --decode sample --filter min-p:m=0.05
    """

    m: Annotated[float, Ge(0), Le(1), "share m of the largest probability"] = 0.05

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, −inf for what is too unlikely."""
        del beam
        if self.m == 0:
            return log_probs
        least = log_probs.amax(-1, keepdim=True) + (math.log(self.m) - _ROUNDING)
        return log_probs.masked_fill(log_probs < least, -math.inf)
