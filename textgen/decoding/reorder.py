"""What a plugin keeps for each row, arranged as the rows are now."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor

from textgen.protocols import Beam, State

StateT = TypeVar("StateT", bound=State)


def reorder(values: Tensor, before: Tensor, beam: Beam) -> Tensor:
    """Values of the rows at the last call, for the rows of this one.

    Args:
        values: (B, K, …) as they were kept.
        before: (B,) int64, ``beam.sources`` of the call that kept them.
        beam: of this call.

    Returns:
        (B', K', …): each row's values are those of the row that it continues.
    """
    if len(before) != len(beam.sources):
        values = values.index_select(0, torch.searchsorted(before, beam.sources))
    if beam.parents is None:
        return values
    rows = torch.arange(len(values), device=values.device).unsqueeze(1)
    return values[rows, beam.parents]


def follow_state(state: StateT, before: Tensor, beam: Beam) -> StateT:
    """As ``reorder``, for the state of a model of the plugin's own, B × K rows."""
    if len(before) != len(beam.sources):
        state = state.keep(torch.searchsorted(before, beam.sources))
    return state if beam.parents is None else state.select(beam.parents)
