"""A temperature that falls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt
from torch import Tensor

from textgen.protocols import Beam


@dataclass(frozen=True)
class CoolDown:
    """Begin boldly and go on with care: s_v ← s_v / T_t, T_t = end + (start − end) · e^(−rate · t).

    t counts the generated tokens, from 0.

    Example: --decode sample --filter cool-down:start=1.5,rate=0.1
    """

    start: Annotated[float, Gt(0), "temperature of the first token"] = 1.5
    end: Annotated[float, Gt(0), "temperature that it falls to"] = 0.5
    rate: Annotated[float, Ge(0), "how fast it falls, for each token"] = 0.1

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, divided by the temperature of the step."""
        return log_probs / self.temperature(beam.step)

    def temperature(self, step: int) -> float:
        """T after a number of tokens."""
        return self.end + (self.start - self.end) * math.exp(-self.rate * step)


filter = CoolDown  # noqa: A001 the name that a dropped file needs
