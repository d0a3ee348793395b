"""Dynamic temperature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from textgen.protocols import Beam
from textgen_decoders.temperature import Temperature

_TINY = 1e-6  # as for a fixed temperature: below, only the likeliest token is left


@dataclass(frozen=True)
class DynamicTemperature:
    """A temperature that rises with the entropy: s_v ← s_v / T, T = l + (h − l)·(H / ln n)^x.

    H = −Σ p ln p of the n tokens that are not forbidden, so that H / ln n is 0 where the model is
    sure and 1 where all are equally likely. l = h is a fixed temperature; a single token stays as
    it is. T = 0 keeps the likeliest token alone.
    As in llama.cpp and koboldcpp (llama.cpp, pull request 4972, 2024).

    Example: --decode sample --filter dynamic-temperature:low=0.5,high=1.5
    """

    low: Annotated[float, Ge(0), "temperature l where the model is sure"] = 0.5
    high: Annotated[float, Ge(0), "temperature h where all tokens are equally likely"] = 1.5
    exponent: Annotated[float, Gt(0), "x; > 1 rises late, < 1 early"] = 1.0

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores divided by each row's own temperature."""
        if self.low == self.high:
            return Temperature(self.low)(log_probs, beam)
        number = (log_probs > -torch.inf).sum(-1, keepdim=True)
        probabilities = log_probs.softmax(-1, dtype=torch.float64)
        entropy = torch.special.entr(probabilities).sum(-1, keepdim=True)  # (B, K, 1)
        unsure = (entropy / number.double().log()).clamp(0, 1).pow(self.exponent)
        heat = torch.where(number > 1, unsure * (self.high - self.low) + self.low, 1.0)
        heat = heat.to(log_probs.dtype)
        warm = log_probs / heat.clamp(min=_TINY)
        if min(self.low, self.high) > _TINY:
            return warm
        return torch.where(heat > _TINY, warm, Temperature(0)(log_probs, beam))
