"""Eta sampling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt, Lt
from torch import Tensor

from textgen.protocols import Beam

_ROUNDING = 1e-6  # of float32 log-probabilities: what equals the bound has reached it


@dataclass(frozen=True)
class Eta:
    """Keep tokens with p_v ≥ min(ε, √ε · e^(−H)), H the entropy; the likeliest always stays.

    Where the model is unsure the bound falls, so that many unlikely tokens may stay.
    Hewitt, Manning & Liang 2022, "Truncation sampling as language model desmoothing".

    Example: --decode sample --filter eta:epsilon=0.0003
    """

    epsilon: Annotated[float, Gt(0), Lt(1), "ε, the least probability where it is sure"] = 3e-4

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, −inf below the bound."""
        del beam
        normal = torch.log_softmax(log_probs, -1)
        entropy = torch.special.entr(normal.exp()).sum(-1, keepdim=True)
        sure = math.log(self.epsilon)
        bound = (0.5 * sure - entropy).clamp(max=sure)  # of log-probabilities
        unlikely = normal < bound - _ROUNDING
        unlikely &= log_probs < log_probs.amax(-1, keepdim=True)
        return log_probs.masked_fill(unlikely, -torch.inf)
