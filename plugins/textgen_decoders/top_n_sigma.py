"""Top-n-sigma."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt
from torch import Tensor

from textgen.protocols import Beam

_ROUNDING = 1e-6  # of float32 log-probabilities: what equals the bound has reached it


@dataclass(frozen=True)
class TopNSigma:
    """Keep scores within n deviations of the best: s_v ≥ max s − n·σ.

    σ is the population standard deviation of the scores that are not forbidden. What stays does
    not depend on a temperature before it.
    Tang et al. 2024, "Top-nσ: not all logits are you need".

    Example: --decode sample --filter top-n-sigma:n=1
    """

    n: Annotated[float, Gt(0), "deviations n"] = 1.0

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, −inf far below the best."""
        del beam
        scores = log_probs.double()
        finite = scores > -math.inf
        number = finite.sum(-1, keepdim=True).clamp(min=1)
        mean = scores.where(finite, 0.0).sum(-1, keepdim=True) / number
        squares = (scores - mean).square().where(finite, 0.0)
        sigma = (squares.sum(-1, keepdim=True) / number).sqrt()
        least = scores.amax(-1, keepdim=True) - self.n * sigma - _ROUNDING
        return log_probs.masked_fill(scores < least, -math.inf)
