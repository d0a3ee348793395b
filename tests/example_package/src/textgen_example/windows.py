"""An encoder without recurrence: windows of three vectors, and the mean of every two of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from textgen.models.config import EncoderConfig
from textgen.models.encoder import Encoded


class Windows(nn.Module):
    """States s_j = mean of tanh(W [x_{t-1}; x_t; x_{t+1}] + b) for t = 2j, 2j + 1.

    Args:
        input_size: I.
        config: its output size is M.
        stride: tokens for each state.
    """

    shortens = True

    def __init__(self, input_size: int, config: EncoderConfig, stride: int = 2) -> None:
        super().__init__()
        self.size, self.stride = config.output_size, stride
        self.convolution = nn.Conv1d(input_size, self.size, 3, padding=1)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Encoded:
        """Encode (B, S, I) with lengths (B,) int64 ≥ 1."""
        steps = torch.arange(inputs.shape[1], device=inputs.device)
        real = (steps < lengths.unsqueeze(1)).unsqueeze(2)  # (B, S, 1)
        values = torch.tanh(self.convolution((inputs * real).transpose(1, 2))).transpose(1, 2)
        states = self._sums(values * real) / self._sums(real.to(values.dtype)).clamp(min=1)
        ends = (lengths + self.stride - 1) // self.stride
        summary = (values * real).sum(1) / lengths.unsqueeze(1)
        return Encoded(states, summary, ends)

    def _sums(self, values: Tensor) -> Tensor:
        """Sums (B, S', M) of every ``stride`` of (B, S, M)."""
        missing = -values.shape[1] % self.stride
        padded = nn.functional.pad(values, (0, 0, 0, missing))
        return padded.unflatten(1, (-1, self.stride)).sum(2)
