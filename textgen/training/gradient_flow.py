"""How far a gradient reaches back in time: ‖∂h_t/∂h_k‖ against t − k, for any recurrent model.

Where the norm falls towards zero with the distance the gradient vanishes, where it grows it
explodes (Pascanu, Mikolov & Bengio 2013).
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from textgen import atomic
from textgen.errors import UsageError
from textgen.protocols import Batch


@dataclass(frozen=True)
class FlowRow:
    """The gradient over one distance.

    Attributes:
        distance: t − k, steps.
        norm: spectral norm of ∂h_t/∂s_k, s_k being all parts of the state together.
        parts: spectral norm of ∂h_t by each part of the state alone, in the state's order
            (for a stack of LSTMs: h and C of the first layer, of the second, …).
    """

    distance: int
    norm: float
    parts: tuple[float, ...]


def gradient_flow(model: nn.Module, tokens: Sequence[int] | Tensor) -> list[FlowRow]:
    """Measure how the last features depend on all states before them.

    h_t are the model's features after the last token: the hidden state of the top layer.
    The whole Jacobian comes from one backward pass, since F equal rows read the tokens and row i
    is asked for the gradient of feature i: time and memory grow with F · T.

    Args:
        model: a ``textgen.protocols.Model`` whose state has ``tensors`` and ``with_tensors``;
            is read in evaluation mode.
        tokens: (T,) token numbers, T ≥ 1.

    Returns:
        One row for each distance 1..T, the nearest first.

    Raises:
        UsageError: if there are no tokens.
    """
    device = next(model.parameters()).device
    sequence = torch.as_tensor(tokens, dtype=torch.int64, device=device).flatten()
    if not len(sequence):
        raise UsageError("A gradient's flow is measured on at least one token.")
    reader: Any = model
    training, prepacked = model.training, getattr(model, "prepacked", None)
    model.train().eval()  # weights that were prepacked for decoding have no gradients
    try:
        return _rows(reader, sequence)
    finally:
        if prepacked is None:
            model.train(training)
        else:
            reader.for_decoding(prepacked)


def _rows(model: Any, sequence: Tensor) -> list[FlowRow]:
    with torch.no_grad():
        features, _ = model.features(sequence[:1].reshape(1, 1), model.begin(Batch(1)))
    count = features.shape[-1]  # F, rows that read the same
    state = model.begin(Batch(count))
    begun = [part.detach().requires_grad_() for part in state.tensors()]
    state = state.with_tensors(begun)
    history: list[list[Tensor]] = []
    for token in sequence:
        # copies, since a layer above has read the tensors themselves within their own step
        history.append([part.clone() for part in state.tensors()])
        state = state.with_tensors(history[-1])
        features, state = model.features(token.expand(count, 1), state)
    flat = [part for parts in history for part in parts]
    gradients = torch.autograd.grad(
        features[:, -1].diagonal().sum(), flat, allow_unused=True, materialize_grads=True
    )
    width = len(begun)
    rows = [gradients[index : index + width] for index in range(0, len(flat), width)]
    return [_row(distance, parts) for distance, parts in enumerate(reversed(rows), start=1)]


def _row(distance: int, parts: Sequence[Tensor]) -> FlowRow:
    """Norms of the Jacobians (F, size) of one step's state."""
    flat = [part.flatten(1) for part in parts]
    return FlowRow(distance, _norm(torch.cat(flat, dim=1)), tuple(_norm(part) for part in flat))


def _norm(matrix: Tensor) -> float:
    return float(torch.linalg.matrix_norm(matrix.double(), 2))


def flow_table(flow: Sequence[FlowRow]) -> str:
    """The flow as lines of text, distances growing by powers of two."""
    shown = shown_distances(len(flow))
    wanted = [row for row in flow if row.distance in shown]
    parts = len(flow[0].parts) if flow else 0
    header = ["t − k", "‖∂h_t/∂s_k‖", *(f"part {number}" for number in range(1, parts + 1))]
    lines = [[str(row.distance), *(f"{v:.3e}" for v in (row.norm, *row.parts))] for row in wanted]
    widths = [max(len(line[column]) for line in [header, *lines]) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in [header, *lines]
    )


def shown_distances(longest: int) -> list[int]:
    """The powers of two up to the longest distance, and that."""
    return [each for each in range(1, longest + 1) if each & (each - 1) == 0 or each == longest]


def mean_flow(flows: Sequence[Sequence[FlowRow]]) -> list[FlowRow]:
    """Geometric means over several texts, up to the shortest one's length."""
    return [
        FlowRow(
            rows[0].distance,
            _geometric([row.norm for row in rows]),
            tuple(_geometric(part) for part in zip(*(row.parts for row in rows), strict=True)),
        )
        for rows in zip(*flows, strict=False)
    ]


def _geometric(values: Sequence[float]) -> float:
    if min(values) <= 0:
        return 0.0
    return math.exp(sum(math.log(value) for value in values) / len(values))


def plot_flow(flows: dict[str, Sequence[FlowRow]], path: Path) -> None:
    """Draw flows over each other on a logarithmic scale.

    Args:
        flows: by the name of the model or cell.
        path: of the picture; its ending says the format (.png, .svg, .pdf).

    Raises:
        UsageError: if the format is unknown or the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, flow in flows.items():
        axes.plot([row.distance for row in flow], [row.norm for row in flow], label=name)
    axes.set_yscale("log")
    axes.axhline(1.0, color="0.6", linewidth=0.8, zorder=0)
    axes.set_xlabel("distance t − k in steps")
    axes.set_ylabel("‖∂h_t/∂s_k‖")
    axes.grid(visible=True, which="major", alpha=0.25)
    axes.legend(frameon=False)
    buffer = io.BytesIO()
    try:
        figure.savefig(buffer, dpi=150, format=path.suffix.removeprefix(".") or None)
    except ValueError as error:
        raise UsageError(f"{path}: the picture cannot be written: {error}.") from None
    atomic.write_bytes(path, buffer.getvalue(), UsageError)
