"""XTC, exclude top choices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from textgen.protocols import Beam, Tokenizer

_STREAM = 1


@dataclass(frozen=True)
class XTC:
    """Now and then drop the likeliest tokens and keep the least likely of the good ones.

    With probability q at each step: of the tokens with p_v ≥ t all are dropped but the least
    likely (of equal ones the first stays). Nothing is dropped where fewer than two reach t. The
    end and the line end are exempt: they neither count nor are dropped.
    P. E. Weidmann 2024, text-generation-webui, pull request 6335.

    Example: --decode sample --filter xtc:q=0.5,t=0.1
    """

    q: Annotated[float, Ge(0), Le(1), "probability q that it acts at a step"] = 0.5
    t: Annotated[float, Gt(0), Le(0.5), "least probability t of a top choice"] = 0.1
    newline: Annotated[int | None, "number of the line end; none: the model's own"] = None

    def setup_tokenizer(self, tokenizer: Tokenizer) -> XTC:
        """Learn which token ends a line."""
        tokens = tokenizer.encode("\n")
        if self.newline is not None or len(tokens) != 1:
            return self
        return replace(self, newline=tokens[0])

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, −inf for top choices that are dropped."""
        acts = beam.random.uniform(beam, stream=_STREAM) < self.q  # (B, K)
        top = log_probs.softmax(-1, dtype=torch.float64) >= self.t
        top[..., beam.special.eos] = False
        if self.newline is not None:
            top[..., self.newline] = False
        least = torch.where(top, log_probs, float("inf")).argmin(-1, keepdim=True)
        dropped = (top & acts.unsqueeze(2)).scatter(-1, least, value=False)
        return log_probs.masked_fill(dropped, -torch.inf)
