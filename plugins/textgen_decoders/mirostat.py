"""Mirostat, version 2."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor

from textgen.decoding import reorder
from textgen.protocols import Beam, Filter, Session

_ROUNDING = 1e-6  # of float32 log-probabilities: a surprise that equals the bound is within it


@dataclass(frozen=True)
class Mirostat:
    """Keep the surprise of the output near a target by feedback.

    Tokens with −log₂ p_v > μ are dropped, the likeliest always stays. After each step
    μ ← μ − η·(−log₂ p′ − τ), p′ the probability of the chosen token among those that were left;
    μ begins at 2τ, and each row has its own. It belongs last in a chain: what later filters do is
    not measured.
    Basu et al. 2021, "Mirostat: a neural text decoding algorithm that directly controls
    perplexity".

    Example: --decode mirostat:tau=5
    """

    tau: Annotated[float, Gt(0), "target τ of the surprise, in bits for each token"] = 5.0
    eta: Annotated[float, Gt(0), "learning rate η"] = 0.1

    def start(self, session: Session) -> Filter:
        """A filter that keeps each row's μ."""
        del session
        return _Running(self)

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores as at the first step, −inf for what is too surprising."""
        return _Running(self)(log_probs, beam)


class _Running:
    """One search: μ of the rows, and what their last tokens were chosen from."""

    def __init__(self, options: Mirostat) -> None:
        self.options = options
        self.bound: Tensor | None = None  # (B, K) float64, μ
        # of the last call: bits of what was left (B, K, V), its mass (B, K), sources (B,)
        self.bits = self.mass = self.sources = torch.empty(0)

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, −inf for what is too surprising."""
        bound = self._bound(beam)
        bits = torch.log_softmax(log_probs, -1, dtype=torch.float64) / -math.log(2)
        dropped = bits > bound.unsqueeze(2) + _ROUNDING
        dropped &= log_probs < log_probs.amax(-1, keepdim=True)
        self.bits = bits.masked_fill_(dropped, float("inf"))
        self.mass = torch.exp2(-self.bits).sum(-1)
        self.bound, self.sources = bound, beam.sources
        return log_probs.masked_fill(dropped, -torch.inf)

    def _bound(self, beam: Beam) -> Tensor:
        """(B, K) μ after what was chosen last; what was not offered (pad) teaches nothing."""
        tau = self.options.tau
        if self.bound is None:
            return torch.full_like(beam.scores, 2 * tau, dtype=torch.float64)
        bound, bits, mass = (
            reorder(each, self.sources, beam) for each in (self.bound, self.bits, self.mass)
        )
        surprise = bits.gather(2, beam.tokens[:, :, -1:]).squeeze(2) + mass.log2()
        return bound - self.options.eta * torch.where(surprise.isfinite(), surprise - tau, 0.0)
