"""No repeated n-grams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from textgen.decoding import counted, last_said, said
from textgen.protocols import Beam


@dataclass(frozen=True)
class NoRepeatNgram:
    """Forbid a token that would complete an n-gram which occurred before.

    Token v is forbidden if (the last n − 1 tokens, v) stands in the prompt or the output. n = 1
    forbids every token that was seen.
    Paulus, Xiong & Socher 2018, "A deep reinforced model for abstractive summarization".

    Example: --decode beam:width=5 --filter no-repeat-ngram:n=3
    """

    n: Annotated[int, Ge(1), "length n of what may not occur twice"] = 3

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, −inf for what would repeat."""
        row, lengths = said(beam)  # (B, K, L)
        if row.shape[2] < self.n:
            return log_probs
        windows = row.unfold(2, self.n, 1)  # (B, K, L − n + 1, n)
        context = last_said(beam, self.n - 1).unsqueeze(2)  # (B, K, 1, n − 1)
        ends = torch.arange(self.n, row.shape[2] + 1, device=row.device)
        same = (windows[..., :-1] == context).all(-1) & (ends <= lengths.unsqueeze(2))
        repeats = counted(windows[..., -1], same, log_probs.shape[2]) > 0
        return log_probs.masked_fill(repeats, -torch.inf)
