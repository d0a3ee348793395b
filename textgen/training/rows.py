"""The rows of a batch that each of several processes works on: row i belongs to rank i mod size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from textgen.data.batching import TrainingBatch


def own_rows(batch: TrainingBatch, rank: int, size: int) -> TrainingBatch | None:
    """The rows rank, rank + size, rank + 2·size, … of a batch, all its columns kept.

    Neighbours are of like length, so that all ranks have about as much to do.

    Args:
        batch: B rows.
        rank: 0 ≤ rank < size.
        size: number of ranks.

    Returns:
        A batch whose ``tokens`` are those of its own rows; None where that is nothing
        to predict.
    """
    rows = slice(rank, None, size)
    targets = batch.targets[rows]
    tokens = int(torch.count_nonzero(targets))  # pad is 0
    if not tokens:
        return None
    return TrainingBatch(
        inputs=batch.inputs[rows].contiguous(),
        targets=targets.contiguous(),
        lengths=_part(batch.lengths, rows),
        continues=batch.continues,
        tokens=tokens,
        fresh=_part(batch.fresh, rows),
        source=_part(batch.source, rows),
        source_lengths=_part(batch.source_lengths, rows),
    )


def joined_rows(parts: Sequence[Tensor]) -> Tensor:
    """The whole (B, …) of the parts (B_r, …) that ``own_rows`` would make of it, by rank."""
    if len(parts) == 1:
        return parts[0]
    total = sum(len(part) for part in parts)
    whole = torch.empty(total, *parts[0].shape[1:], dtype=parts[0].dtype)
    for rank, part in enumerate(parts):
        whole[rank :: len(parts)] = part
    return whole


def _part(tensor: Tensor | None, rows: slice) -> Tensor | None:
    return None if tensor is None else tensor[rows].contiguous()
