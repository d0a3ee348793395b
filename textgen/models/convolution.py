"""Convolution over time as an encoder: filters of several widths side by side, and pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from textgen.models.config import EncoderConfig
from textgen.models.encoder import Encoded

Pooling = Literal["max", "mean", "sum"]
Padding = Literal["same", "none"]
Join = Literal["concat", "sum"]


class ConvolutionEncoder(nn.Module):
    """ReLU((A∗F)_i), (A∗F)_i = Σ_j Σ_r F_jr A_{i+j−1,r} + b, pooled over time (Kim 2014).

    A text shorter than a filter is filled with zeros. A row of L vectors gives ⌈L / stride⌉
    outputs with padding "same", ⌊(max(L, w) − w) / stride⌋ + 1 of a filter of width w without;
    pooled by windows of k, ⌈· / k⌉ of these. The states hold as many as the widest filter gives;
    the summary pools all outputs of each width.

    Args:
        input_size: I.
        config: not used: sizes are options here.
        widths: vectors that a filter sees, for each group of filters.
        filters: of each width.
        stride: vectors from one output to the next.
        padding: "same" puts the filters' centres over every vector; "none" keeps them inside.
        pool: window and stride of max-pooling over the outputs; 1: none.
        pooling: of all outputs of a text into the summary.
        join: how the widths come together: M = filters · number of widths, or filters.

    Raises:
        ValueError: if a number is not positive, or a word is not one of those allowed.
    """

    def __init__(
        self,
        input_size: int,
        config: EncoderConfig,
        *,
        widths: Sequence[int] = (3, 4, 5),
        filters: int = 100,
        stride: int = 1,
        padding: Padding | None = "same",
        pool: int = 1,
        pooling: Pooling = "max",
        join: Join = "concat",
    ) -> None:
        super().__init__()
        del config
        padding = padding or "none"  # options read the word none as nothing
        widths = [widths] if isinstance(widths, int) else list(widths)
        _check_numbers({"filters": filters, "stride": stride, "pool": pool}, widths)
        for name, value, kind in (
            ("padding", padding, Padding),
            ("pooling", pooling, Pooling),
            ("join", join, Join),
        ):
            if value not in get_args(kind):
                allowed = ", ".join(get_args(kind))
                raise ValueError(f"{name} is {value!r}; allowed: {allowed}")
        self.widths, self.stride, self.padding = widths, stride, padding
        self.pool, self.pooling, self.join = pool, pooling, join
        self.size = filters * (len(widths) if join == "concat" else 1)
        self.shortens = stride > 1 or pool > 1 or (padding == "none" and max(widths) > 1)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(input_size, filters, width, stride) for width in widths
        )

    def forward(self, inputs: Tensor, lengths: Tensor) -> Encoded:
        """Encode (B, S, I) with lengths (B,) int64 ≥ 1."""
        groups = self.groups(inputs, lengths)
        counts = torch.stack([count for _, count in groups]).amin(0)  # (B,)
        shortest = min(values.shape[1] for values, _ in groups)
        states = self._joined([values[:, :shortest] for values, _ in groups])
        summary = self._joined([_pooled(*group, self.pooling) for group in groups])
        return Encoded(states, summary, counts)

    def groups(self, inputs: Tensor, lengths: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The outputs of each width: (B, S', filters), 0 after a row's end, and S' of each row."""
        positions = torch.arange(inputs.shape[1], device=inputs.device)
        real = (positions < lengths.unsqueeze(1)).unsqueeze(1)  # (B, 1, S)
        values = inputs.transpose(1, 2).masked_fill(~real, 0)  # (B, I, S)
        return [
            self._group(convolution, width, values, lengths)
            for convolution, width in zip(self.convolutions, self.widths, strict=True)
        ]

    def _group(
        self, convolution: nn.Module, width: int, values: Tensor, lengths: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.padding == "same":
            values = F.pad(values, ((width - 1) // 2, width // 2))
            counts = (lengths + self.stride - 1) // self.stride
        else:
            values = F.pad(values, (0, max(0, width - values.shape[2])))
            counts = (lengths.clamp(min=width) - width) // self.stride + 1
        outputs = torch.relu(convolution(values)).transpose(1, 2)  # (B, S', filters)
        positions = torch.arange(outputs.shape[1], device=outputs.device)
        outputs = outputs.masked_fill((positions >= counts.unsqueeze(1)).unsqueeze(2), 0)
        if self.pool > 1:
            # 0 is the least that a ReLU gives: padding changes no maximum
            missing = -outputs.shape[1] % self.pool
            outputs = F.pad(outputs, (0, 0, 0, missing))
            rows, steps, filters = outputs.shape
            outputs = outputs.view(rows, steps // self.pool, self.pool, filters).amax(2)
            counts = (counts + self.pool - 1) // self.pool
        return outputs, counts

    def _joined(self, groups: list[Tensor]) -> Tensor:
        return torch.cat(groups, dim=-1) if self.join == "concat" else torch.stack(groups).sum(0)


def _pooled(values: Tensor, counts: Tensor, pooling: Pooling) -> Tensor:
    """(B, F) of outputs (B, S', F) that are 0 after a row's end, with their numbers (B,)."""
    if pooling == "max":
        return values.amax(1)
    # summed from left to right, so that padding does not change the order
    total = values.cumsum(1)[:, -1]
    return total if pooling == "sum" else total / counts.unsqueeze(1)


def _check_numbers(numbers: dict[str, int], widths: list[int]) -> None:
    if not widths:
        raise ValueError("widths is empty")
    for name, value in [*numbers.items(), *(("widths", width) for width in widths)]:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} must be whole numbers of at least 1, got {value!r}")
