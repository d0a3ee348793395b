"""The likeliest of several draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from textgen.decoding import search
from textgen.protocols import Beam, Hypotheses, Pick, Session


@dataclass(frozen=True)
class Tournament:
    """Draw n tokens at every step and take the likeliest of them.

    One draw is sampling, many are greedy: P(y_t = v) = F(v)^n − (F(v) − p_v)^n, with F(v) the
    probability of all tokens that are not likelier than v.

    Example: --decode tournament:n=3
    """

    n: Annotated[int, Ge(1), "tokens drawn at each step"] = 3

    def __call__(self, session: Session) -> Hypotheses:
        """Decode; (B, samples) hypotheses, the likeliest first."""
        return search(session, self.pick, width=session.samples)

    def pick(self, log_probs: Tensor, beam: Beam) -> Pick:
        """(B, K) tokens."""
        mass = log_probs.softmax(-1, dtype=torch.float64).cumsum(-1)  # (B, K, V)
        aim = beam.random.uniform(beam, self.n) * mass[..., -1:]  # (B, K, n)
        drawn = torch.searchsorted(mass, aim, right=True)
        best = log_probs.gather(-1, drawn).argmax(-1, keepdim=True)
        return Pick(None, drawn.gather(-1, best).squeeze(-1))


strategy = Tournament
