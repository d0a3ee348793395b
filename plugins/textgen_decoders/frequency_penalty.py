"""Frequency penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from textgen.decoding import counted_output
from textgen.protocols import Beam


@dataclass(frozen=True)
class FrequencyPenalty:
    """Take off for every time that a token was generated: s_v ← s_v − count(v)·f.

    The prompt does not count. Known from OpenAI's completion interface.

    Example: --decode sample --filter frequency-penalty:0.3
    """

    f: Annotated[float, "nats for each time; negative encourages repetition"] = 0.3

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, lowered for what was generated."""
        return log_probs - self.f * counted_output(beam, log_probs.shape[2])
