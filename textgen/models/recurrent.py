"""Stacks of recurrent layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from textgen.models.cells import Cell, make_cell
from textgen.models.config import StackConfig
from textgen.models.dropout import SequenceDropout, dropout
from textgen.models.state import Layer, RecurrentState
from textgen.rows import where_rows

SHORT = 2
"""Sequences up to this length run as single steps: a fused kernel first re-packs its weights."""


class RecurrentStack(nn.Module):
    """Layers of one cell, forward in time.

    Args:
        input_size: I of the first layer.
        config: cell, layers, hidden size and regularisation.
    """

    def __init__(self, input_size: int, config: StackConfig) -> None:
        super().__init__()
        self.config = config
        sizes = [input_size] + [config.hidden] * (config.layers - 1)
        self.layers: tuple[Cell, ...] = tuple(
            make_cell(config.cell, size, config.hidden, diagonal=config.diagonal) for size in sizes
        )
        self.cells = nn.ModuleList(self.layers)
        self.norms = nn.ModuleList(
            nn.LayerNorm(config.hidden) if config.layer_norm else nn.Identity() for _ in sizes
        )
        self.dropout = SequenceDropout(config.dropout, variational=config.variational)

    def zeros(self, rows: int) -> RecurrentState:
        """The state of ``rows`` rows before the first step, K = 1."""
        return RecurrentState(tuple(cell.zeros(rows) for cell in self.layers))

    def forward(
        self, inputs: Tensor, state: RecurrentState, lengths: Tensor | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """Run all layers.

        Args:
            inputs: (N, T, I).
            state: of the same N rows.
            lengths: (N,) int64 real steps of each row, or None for all T.

        Returns:
            (N, T, H) outputs of the last layer, and the state after each row's last real step.
        """
        layers: list[Layer] = []
        values = inputs
        for index, (cell, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            if index > 0:
                values = self.dropout(values)
            outputs, layer = self._run(cell, values, state.layers[index], lengths)
            outputs = norm(outputs)
            values = outputs + values if self.config.residual and index > 0 else outputs
            layers.append(layer)
        return values, RecurrentState(tuple(layers), state.width)

    def _run(
        self, cell: Cell, values: Tensor, layer: Layer, lengths: Tensor | None
    ) -> tuple[Tensor, Layer]:
        """One layer over all steps."""
        recurrent: Tensor = cell.weight_recurrent
        # single steps with weights prepacked keep C in float32, beside weights of 16 bits
        layer = tuple(part.to(recurrent.dtype) for part in layer)
        if self.training and self.config.drop_connect > 0:
            recurrent = dropout(recurrent, self.config.drop_connect)
        if lengths is not None:
            return _run_ragged(cell, values, layer, recurrent, lengths)
        if values.shape[1] > SHORT:
            return cell.sequence(values, layer, recurrent)
        return _run_steps(cell, values, layer, recurrent)


def _run_steps(cell: Cell, values: Tensor, layer: Layer, recurrent: Tensor) -> tuple[Tensor, Layer]:
    """Single steps, for short sequences."""
    outputs = []
    for step_values in values.unbind(1):
        layer = cell.step(cell.project(step_values), layer, recurrent)
        outputs.append(layer[0])
    if len(outputs) == 1:
        return outputs[0].unsqueeze(1), layer
    return torch.stack(outputs, dim=1), layer


def _run_ragged(
    cell: Cell, values: Tensor, layer: Layer, recurrent: Tensor, lengths: Tensor
) -> tuple[Tensor, Layer]:
    """All at once up to the shortest row, then masked steps: rows that are over stand still."""
    shortest = int(lengths.min())
    outputs = []
    if shortest > SHORT:
        output, layer = cell.sequence(values[:, :shortest], layer, recurrent)
        outputs.append(output)
    else:
        shortest = 0
    for step in range(shortest, values.shape[1]):
        running = lengths > step
        new = cell.step(cell.project(values[:, step]), layer, recurrent)
        layer = tuple(where_rows(running, a, b) for a, b in zip(new, layer, strict=True))
        outputs.append(new[0].unsqueeze(1))
    return torch.cat(outputs, dim=1), layer
