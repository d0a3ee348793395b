"""Recurrent encoders: a source text to states, and to one vector."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from textgen.components import ENCODERS
from textgen.models.cells import Cell, make_cell
from textgen.models.config import EncoderConfig
from textgen.models.dropout import SequenceDropout, dropout
from textgen.models.products import Precision
from textgen.models.stepping import SteppedSequence


class Encoded(NamedTuple):
    """An encoded source.

    Attributes:
        states: (B, S', M) outputs of the last layer; undefined after a row's length.
        summary: (B, M), the last state (of each direction), or a pooling of all.
        lengths: (B,) int64 in [1, S']; S' is less than S where the encoder shortens.
    """

    states: Tensor
    summary: Tensor
    lengths: Tensor


class Encoder(Protocol):
    """What reads a source: vectors and lengths to states and a summary.

    A factory under ``textgen.encoders`` is called with the width I of the vectors, the
    ``EncoderConfig`` and its own options, and gives an ``nn.Module`` that does this. Padding must
    not matter. One whose S' may be less than S has an attribute ``shortens`` that is true. One with
    a method ``prepack(precision)`` is asked to prepare for decoding, and with None to take that
    back.
    """

    @property
    def size(self) -> int:
        """M, the width of states and summary."""

    def __call__(self, inputs: Tensor, lengths: Tensor) -> Encoded:
        """Encode vectors (B, S, I), right-padded, with lengths (B,) int64 ≥ 1."""


def make_encoder(spec: str, input_size: int, config: EncoderConfig) -> Any:
    """An encoder by its configuration name; see ``Encoder``.

    Raises:
        PluginError: if there is no such encoder, or it cannot be loaded.
        ConfigError: if it does not take the options.
    """
    return ENCODERS.construct(spec, input_size, config)


def reverse(values: Tensor, lengths: Tensor) -> Tensor:
    """Each row of (B, S, F) turned round within its own length (B,), padding left in place."""
    steps = torch.arange(values.shape[1], device=values.device).unsqueeze(0)
    ends = lengths.unsqueeze(1)
    places = torch.where(steps < ends, ends - 1 - steps, steps)
    return values.gather(1, places.unsqueeze(2).expand_as(values))


def at_end(values: Tensor, lengths: Tensor) -> Tensor:
    """The value (B, F) at each row's last real step of (B, S, F)."""
    places = (lengths - 1).view(-1, 1, 1).expand(-1, 1, values.shape[2])
    return values.gather(1, places).squeeze(1)


class AttentionPooling(nn.Module):
    """A weighted mean of states: α_s = softmax_s(vᵀ tanh(W h_s + b)) (Yang et al. 2016).

    Args:
        size: M.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(size, size)
        self.score = nn.Linear(size, 1, bias=False)

    def weights(self, states: Tensor, lengths: Tensor) -> Tensor:
        """α (B, S) of states (B, S, M) with lengths (B,); 0 after a row's length."""
        scores: Tensor = self.score(torch.tanh(self.hidden(states))).squeeze(2)
        positions = torch.arange(states.shape[1], device=states.device)
        return scores.masked_fill(positions >= lengths.unsqueeze(1), -torch.inf).softmax(1)

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """(B, M) of states (B, S, M) with lengths (B,)."""
        weights = self.weights(states, lengths).unsqueeze(2)
        # the states after a row's length are undefined: 0 times a NaN would be one
        return (weights * states.masked_fill(weights == 0, 0)).sum(1)


class RecurrentEncoder(nn.Module):
    """A stack of recurrent layers over the whole source, in one or both directions.

    Args:
        input_size: I of the first layer.
        config: cell, sizes, directions, regularisation.
    """

    _sequences: list[list[SteppedSequence]] | None = None

    def __init__(self, input_size: int, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.size = config.output_size
        directions = 2 if config.bidirectional else 1
        sizes = [input_size] + [self.size] * (config.layers - 1)
        self.layers: tuple[tuple[Cell, ...], ...] = tuple(
            tuple(
                make_cell(config.cell, size, config.hidden, diagonal=config.diagonal)
                for _ in range(directions)
            )
            for size in sizes
        )
        self.cells = nn.ModuleList(nn.ModuleList(layer) for layer in self.layers)
        self.norms = nn.ModuleList(
            nn.LayerNorm(self.size) if config.layer_norm else nn.Identity() for _ in sizes
        )
        self.dropout = SequenceDropout(config.dropout, variational=config.variational)
        if config.summary == "attention":
            self.pooling = AttentionPooling(self.size)

    def prepack(self, precision: Precision | None) -> None:
        """Prepack the weights for single steps with independent rows; None takes it back."""
        self._sequences = (
            None
            if precision is None
            else [[SteppedSequence(cell, precision) for cell in layer] for layer in self.layers]
        )

    def forward(self, inputs: Tensor, lengths: Tensor) -> Encoded:
        """Encode (B, S, I) with lengths (B,) int64 ≥ 1."""
        values, lasts = inputs, inputs[:, 0]
        for index, norm in enumerate(self.norms):
            if index > 0:
                values = self.dropout(values)
            outputs, lasts = self._run(index, values, lengths)
            outputs = norm(outputs)
            values = outputs + values if self.config.residual and index > 0 else outputs
        return Encoded(values, self._summary(values, lasts, lengths), lengths)

    def _run(self, index: int, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """One layer in its directions: joined outputs (B, S, M) and last states (B, M)."""
        layer = self.layers[index]
        outputs, lasts = [], []
        for direction, cell in enumerate(layer):
            turned = reverse(values, lengths) if direction else values
            if self._sequences is not None:
                output = self._sequences[index][direction](turned).to(values.dtype)
            else:
                output, _ = cell.sequence(turned, cell.zeros(values.shape[0]), self._weights(cell))
            lasts.append(at_end(output, lengths))
            outputs.append(reverse(output, lengths) if direction else output)
        if self.config.merge == "sum" or len(layer) == 1:
            return torch.stack(outputs).sum(0), torch.stack(lasts).sum(0)
        return torch.cat(outputs, dim=2), torch.cat(lasts, dim=1)

    def _weights(self, cell: Cell) -> Tensor:
        """The recurrent weights, some of them dropped in training."""
        share = self.config.drop_connect if self.training else 0.0
        return dropout(cell.weight_recurrent, share) if share else cell.weight_recurrent

    def _summary(self, states: Tensor, lasts: Tensor, lengths: Tensor) -> Tensor:
        if self.config.summary == "last":
            return lasts
        if self.config.summary == "attention":
            pooled: Tensor = self.pooling(states, lengths)
            return pooled
        positions = torch.arange(states.shape[1], device=states.device)
        padding = (positions >= lengths.unsqueeze(1)).unsqueeze(2)
        if self.config.summary == "mean":
            # summed from left to right, so that padding does not change the order
            sums = states.masked_fill(padding, 0).cumsum(1)
            return at_end(sums, lengths) / lengths.unsqueeze(1)
        return states.masked_fill(padding, -torch.inf).amax(1)
