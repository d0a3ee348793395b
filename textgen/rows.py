"""Numbers of rows: row b·K + k is hypothesis k of source b."""

from __future__ import annotations

import torch
from torch import Tensor


def flat_rows(parents: Tensor, width: int) -> Tensor:
    """Row numbers b·K + parents[b, k'] of (B, K') int64 parents in [0, K), as (B·K',)."""
    if parents.shape[0] == 1:
        return parents.reshape(-1)
    offsets = torch.arange(0, parents.shape[0] * width, width, device=parents.device)
    return (parents + offsets.unsqueeze(1)).view(-1)


def where_rows(mask: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Rows of ``new`` (N, …) where ``mask`` (N,) bool is true, of ``old`` elsewhere."""
    return torch.where(mask.view(-1, *[1] * (new.dim() - 1)), new, old)


def source_rows(sources: Tensor, width: int) -> Tensor:
    """All K row numbers of the given sources (B',) int64, as (B'·K,)."""
    return (sources.unsqueeze(1) * width + torch.arange(width, device=sources.device)).reshape(-1)
