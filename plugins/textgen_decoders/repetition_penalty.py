"""Repetition penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor

from textgen.decoding import said
from textgen.protocols import Beam


@dataclass(frozen=True)
class RepetitionPenalty:
    """Make tokens that were seen less likely: s_v ← s_v·θ if s_v < 0, else s_v / θ.

    Once for each distinct token of prompt and output. θ = 1 changes nothing.
    Keskar et al. 2019, "CTRL: a conditional transformer language model".

    Example: --decode sample --filter repetition-penalty:1.2
    """

    theta: Annotated[float, Gt(0), "penalty θ; > 1 discourages, < 1 encourages"] = 1.2

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, changed where tokens were seen."""
        tokens, lengths = said(beam)  # (B, K, L)
        place = torch.arange(tokens.shape[2], device=tokens.device)
        # padding becomes the first token, bos, which was seen anyway
        tokens = torch.where(place < lengths.unsqueeze(2), tokens, tokens[:, :, :1])
        seen = log_probs.gather(2, tokens)
        return log_probs.scatter(
            2, tokens, torch.where(seen < 0, seen * self.theta, seen / self.theta)
        )
