"""What has been said so far, as filters that look back need it."""

from __future__ import annotations

import torch
from torch import Tensor

from textgen.protocols import Beam


def said(beam: Beam) -> tuple[Tensor, Tensor]:
    """Prompt and generated tokens in one row, without the padding between them.

    Returns:
        (B, K, P + T) int64, right-padded, begins with bos; and (B, K) int64 real lengths.
    """
    sources, width, steps = beam.tokens.shape
    start = beam.prefix_lengths[:, None, None]
    room = beam.tokens.new_full((sources, width, steps), beam.special.pad)
    row = torch.cat([beam.prefix.unsqueeze(1).expand(-1, width, -1), room], 2)
    place = torch.arange(steps, device=row.device)
    row = row.scatter(2, (start + place).expand(-1, width, -1), beam.tokens)
    return row, beam.prefix_lengths.unsqueeze(1) + beam.lengths


def last_said(beam: Beam, count: int) -> Tensor:
    """The last tokens of prompt and output together.

    Returns:
        (B, K, count) int64, the newest at the end; −1 where there were fewer, bos not counted.
    """
    row, lengths = said(beam)
    place = lengths.unsqueeze(2) + torch.arange(-count, 0, device=row.device)
    found = row.gather(2, place.clamp(min=0))
    return found.masked_fill(place < 1, -1)


def counted(tokens: Tensor, real: Tensor, size: int) -> Tensor:
    """How often each token of the vocabulary occurs.

    Args:
        tokens: (B, K, L) int64.
        real: (B, K, L) bool, what is counted.
        size: V.

    Returns:
        (B, K, V) float32.
    """
    counts = torch.zeros((*tokens.shape[:2], size), device=tokens.device)
    return counts.scatter_add_(2, tokens, real.to(counts.dtype))


def counted_output(beam: Beam, size: int) -> Tensor:
    """(B, K, V) float32, how often each token was generated; the prompt does not count."""
    place = torch.arange(beam.step, device=beam.tokens.device)
    return counted(beam.tokens, place < beam.lengths.unsqueeze(2), size)
