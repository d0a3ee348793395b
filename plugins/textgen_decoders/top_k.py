"""Top-k."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor

from textgen.protocols import Beam


@dataclass(frozen=True)
class TopK:
    """Keep the k likeliest tokens: s_v stays if s_v ≥ the k-th largest score.

    Tokens that tie with the k-th stay all. A k larger than the vocabulary keeps everything.
    Fan, Lewis & Dauphin 2018, "Hierarchical neural story generation".

    Example: --decode top-k:k=40
    """

    k: Annotated[int, Ge(1), "tokens to keep"] = 40

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, −inf below the k-th."""
        del beam
        size = log_probs.shape[-1]
        if self.k >= size:
            return log_probs
        least = log_probs.topk(self.k, sorted=True).values[..., -1:]  # (B, K, 1)
        return log_probs.masked_fill(log_probs < least, -math.inf)
