"""Locally typical sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt, Lt
from torch import Tensor

from textgen.protocols import Beam

_ROUNDING = 1e-6  # of float32 log-probabilities: what equals the bound has reached it


@dataclass(frozen=True)
class Typical:
    """Keep the tokens whose surprise is nearest to the entropy, until their mass reaches τ.

    With H = −Σ p ln p, tokens are taken in ascending order of |−ln p_v − H|; the one that crosses τ
    stays, and so does what ties with it.
    Meister et al. 2023, "Locally typical sampling".

    Example: --decode sample --filter typical:mass=0.9
    """

    mass: Annotated[float, Gt(0), Lt(1), "probability mass τ to keep"] = 0.9

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, −inf for what is not typical."""
        del beam
        normal = torch.log_softmax(log_probs, -1, dtype=torch.float64)
        probabilities = normal.exp()
        entropy = torch.special.entr(probabilities).sum(-1, keepdim=True)
        distance = (-normal - entropy).abs()  # ∞ for what is forbidden
        ordered, order = distance.sort(dim=-1, stable=True)
        mass = probabilities.gather(-1, order).cumsum(-1)
        last = (mass < self.mass - _ROUNDING).sum(-1, keepdim=True).clamp(max=mass.shape[-1] - 1)
        farthest = ordered.gather(-1, last)
        return log_probs.masked_fill(distance > farthest, -torch.inf)
