"""Repetition penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor

from textgen.decoding import said
from textgen.protocols import Beam


@dataclass(frozen=True)
class RepetitionPenalty:
    """Make tokens that were seen less likely: s_v ← s_v·θ if s_v < 0, else s_v / θ.

    Once for each distinct token of prompt and output. θ = 1 changes nothing. s are the model's
    logits, as in the paper, in Hugging Face's sampling and in llama.cpp, so that their values of θ
    carry over; with on=log-probs they are log-probabilities (as in Hugging Face's beam search),
    which touch a token with a probability near 1 hardly at all. Models that give
    log-probabilities (ensembles, adaptive outputs) have no other logits.
    Keskar et al. 2019, "CTRL: a conditional transformer language model".

    Example: --decode sample --filter repetition-penalty:1.2
    """

    theta: Annotated[float, Ge(1e-6), "penalty θ; > 1 discourages, < 1 encourages"] = 1.2
    on: Annotated[Literal["logits", "log-probs"], "what s is"] = "logits"

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, changed where tokens were seen."""
        tokens, lengths = said(beam)  # (B, K, L)
        place = torch.arange(tokens.shape[2], device=tokens.device)
        # padding becomes the first token, bos, which was seen anyway
        tokens = torch.where(place < lengths.unsqueeze(2), tokens, tokens[:, :, :1])
        seen = log_probs.gather(2, tokens)
        shift = torch.zeros_like(seen[..., :1])
        if self.on == "logits" and beam.log_normaliser is not None:
            shift = beam.log_normaliser.unsqueeze(2).to(seen.dtype)
        score = seen + shift
        score = torch.where(score < 0, score * self.theta, score / self.theta)
        return log_probs.scatter(2, tokens, score - shift)
