"""Epsilon sampling."""

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
class Epsilon:
    """Keep tokens with a probability of at least ε; the likeliest always stays.

    Hewitt, Manning & Liang 2022, "Truncation sampling as language model desmoothing".

    Example: --decode sample --filter epsilon:epsilon=0.0003
    """

    epsilon: Annotated[float, Gt(0), Lt(1), "least probability ε"] = 3e-4

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, −inf below ε."""
        del beam
        normal = torch.log_softmax(log_probs, -1)
        unlikely = normal < math.log(self.epsilon) - _ROUNDING
        unlikely &= log_probs < log_probs.amax(-1, keepdim=True)
        return log_probs.masked_fill(unlikely, -torch.inf)
