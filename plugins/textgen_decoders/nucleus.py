"""Nucleus sampling, also known as top-p."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor

from textgen.protocols import Beam

_ROUNDING = 1e-6  # of float32 log-probabilities: a mass that equals p has reached it


@dataclass(frozen=True)
class Nucleus:
    """Keep the smallest set of likeliest tokens whose probability reaches p.

    With p_(1) ≥ p_(2) ≥ …, token (i) stays if p_(1) + … + p_(i−1) < p: the token that crosses p
    stays. Equal ones are taken in the order of their numbers. p = 1 keeps all, p = 0 the first.
    Holtzman et al. 2020, "The curious case of neural text degeneration".

    Example: --decode nucleus:p=0.9
    """

    p: Annotated[float, Ge(0), Le(1), "probability mass to keep"] = 0.9

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, −inf outside of the nucleus."""
        del beam
        if self.p >= 1:
            return log_probs
        ordered, order = log_probs.sort(dim=-1, descending=True, stable=True)
        mass = torch.softmax(ordered, -1, dtype=torch.float64)
        before = mass.cumsum(-1) - mass
        outside = before > self.p - _ROUNDING
        outside[..., 0] = False
        ordered = ordered.masked_fill(outside, -torch.inf)
        return torch.empty_like(log_probs).scatter_(-1, order, ordered)
