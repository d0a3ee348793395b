"""Presence penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from textgen.decoding import counted_output
from textgen.protocols import Beam


@dataclass(frozen=True)
class PresencePenalty:
    """Take off once for a token that was generated: s_v ← s_v − r if count(v) > 0.

    The prompt does not count. Known from OpenAI's completion interface.

    Example: --decode sample --filter presence-penalty:0.5
    """

    r: Annotated[float, "nats; negative encourages repetition"] = 0.5

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, lowered for what was generated."""
        return log_probs - self.r * (counted_output(beam, log_probs.shape[2]) > 0)
