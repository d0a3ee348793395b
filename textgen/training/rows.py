"""The rows of a batch that each of several processes works on: row i belongs to rank i mod size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from textgen.data.tensor_batch import TensorBatch

BatchT = TypeVar("BatchT", bound=TensorBatch)


def own_rows(batch: BatchT, rank: int, size: int) -> BatchT | None:
    """The rows rank, rank + size, rank + 2·size, … of a batch, all its columns kept.

    Neighbours are of like length, so that all ranks have about as much to do.

    Args:
        batch: B rows.
        rank: 0 ≤ rank < size.
        size: number of ranks.

    Returns:
        A batch of its own rows; None where there is nothing to predict in them.
    """
    rows: Any = batch.rows(slice(rank, None, size))
    return rows if rows.count else None


def joined_rows(parts: Sequence[Tensor]) -> Tensor:
    """The whole (B, …) of the parts (B_r, …) that ``own_rows`` would make of it, by rank."""
    if len(parts) == 1:
        return parts[0]
    total = sum(len(part) for part in parts)
    whole = torch.empty(total, *parts[0].shape[1:], dtype=parts[0].dtype)
    for rank, part in enumerate(parts):
        whole[rank :: len(parts)] = part
    return whole
