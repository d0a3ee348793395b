"""How often each token is a target."""

from __future__ import annotations

import torch
from torch import Tensor

from textgen.data.batching import Batches

ENOUGH = 1 << 25
"""Targets that suffice to rank the tokens; a larger corpus is not counted to its end."""


def count_targets(batches: Batches, size: int, enough: int = ENOUGH) -> Tensor:
    """Occurrences (V,) int64 of each token among the targets of the first epoch.

    Batches lie all over a corpus (lanes side by side, sentences in random order), so that a part
    of them is a fair sample.

    Args:
        batches: of the training.
        size: V.
        enough: targets, padding counted, after which no more are read.
    """
    counts = torch.zeros(size, dtype=torch.int64)
    seen = 0
    for batch in batches.iterate(0):
        counts += torch.bincount(batch.targets.flatten(), minlength=size)
        seen += batch.targets.numel()
        if seen >= enough:
            break
    return counts
