"""Minimum length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor

from textgen.protocols import Beam


@dataclass(frozen=True)
class MinimumLength:
    """Forbid the end before enough was generated: s_eos ← −∞ while fewer than n tokens.

    The prompt does not count, nor does eos. A stop text ends no output before that either.

    Example: --decode beam:width=5 --filter minimum-length:n=10
    """

    n: Annotated[int, Ge(0), "least number of generated tokens"] = 1

    @property
    def minimum_length(self) -> int:
        """Tokens before which no stop text ends an output."""
        return self.n

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, −inf for eos while the output is short."""
        if beam.step >= self.n:
            return log_probs
        result = log_probs.clone()
        result[..., beam.special.eos] = -math.inf
        return result
