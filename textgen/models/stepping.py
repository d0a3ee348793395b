"""Single steps of recurrent stacks with weights laid out once: what decoding does all the time.

For each layer the products of a step are as few as they can be. The first layer's share of the
input, W_x x + b, has one value for each token of the vocabulary: it is a table that is looked up.
Above it W_x and W_h stand side by side and multiply [x; h] at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from textgen.models.cells import Cell, GruFused, Lstm, Lstm1997, Rnn
from textgen.models.products import (
    NUMBERS,
    LaidOutOutput,
    Precision,
    Product,
    lay_out,
    lay_out_few,
    lay_out_many,
)
from textgen.models.recurrent import RecurrentStack
from textgen.models.state import Layer, RecurrentState
from textgen.native import FEW

TABLE = 1 << 25
"""Most numbers in a table of W_x x + b for all tokens: 128 MiB of float32."""


class Step(ABC):
    """One step of one layer.

    Args:
        cell: whose weights are used.
        precision: of the laid-out weights.
        projected: inputs are W_x x + b, (N, G·H), with blocks in the order of ``blocks``; else
            they are x, (N, I).
    """

    blocks: ClassVar[tuple[str, ...]]
    """The cell's blocks in the order that suits the step: what gets the same function together."""

    def __init__(self, cell: Cell, precision: Precision, *, projected: bool) -> None:
        self.cell, self.precision = cell, precision
        self.projected, self.size = projected, cell.hidden_size

    def weights(self) -> tuple[Tensor, Tensor | None]:
        """Of the products of a step: (G·H, I) and (G·H,), or None for no bias."""
        cell = self.cell
        order = order_of(cell, self.blocks)
        recurrent = cell.weight_recurrent.detach()[order]
        if self.projected:
            return recurrent, None
        joined = torch.cat([cell.weight_input.detach()[order], recurrent], 1)
        return joined, cell.bias.detach()[order]

    @cached_property
    def product(self) -> Product:
        """Laid out when it is first needed."""
        return lay_out(*self.weights(), self.precision)

    def gates(self, inputs: Tensor, hidden: Tensor) -> Tensor:
        """W_x x + W_h h + b, (N, G·H) float32: a new tensor that may be changed."""
        hidden = hidden.to(inputs.dtype)
        if self.projected:
            return self.product.plus(hidden, inputs).float()
        return self.product(torch.cat([inputs, hidden], 1)).float()

    @abstractmethod
    def __call__(self, inputs: Tensor, layer: Layer) -> Layer:
        """The new state; see ``Cell.step``. Memory cells C stay float32."""

    def read(self, table: Tensor, tokens: Tensor, layer: Layer) -> Layer:
        """The new state after ``tokens`` (N,) int64, whose inputs are rows of ``table`` (V, …)."""
        return self(table.index_select(0, tokens), layer)


class _Lstm(Step):
    """Few rows are one native call, gates and all."""

    blocks = ("input", "forget", "output", "candidate")

    def __init__(self, cell: Cell, precision: Precision, *, projected: bool) -> None:
        super().__init__(cell, precision, projected=projected)
        self.few = lay_out_few(*self.weights(), precision, gates=True)

    @cached_property
    @override
    def product(self) -> Product:
        make = lay_out if self.few is None else lay_out_many
        return make(*self.weights(), self.precision)

    @override
    def __call__(self, inputs: Tensor, layer: Layer) -> Layer:
        hidden, memory = layer
        if self.few is not None and len(inputs) <= FEW:
            layer = (hidden.to(inputs.dtype), memory)
            if self.projected:
                return self.few.lstm(layer, addend=inputs)
            return self.few.lstm(layer, inputs=inputs)
        values = self.gates(inputs, hidden)
        values[:, : 3 * self.size].sigmoid_()
        i, f, o, candidate = values.chunk(4, dim=1)
        memory = torch.addcmul(i * torch.tanh(candidate), f, memory.float())
        return (o * torch.tanh(memory)).to(inputs.dtype), memory

    @override
    def read(self, table: Tensor, tokens: Tensor, layer: Layer) -> Layer:
        if self.few is None or not self.projected or len(tokens) > FEW:
            return super().read(table, tokens, layer)
        layer = (layer[0].to(table.dtype), layer[1])
        return self.few.lstm(layer, addend=table, tokens=tokens)


class _Lstm1997(Step):
    blocks = ("input", "output", "candidate")

    @override
    def __call__(self, inputs: Tensor, layer: Layer) -> Layer:
        hidden, memory = layer
        values = self.gates(inputs, hidden)
        values[:, : 2 * self.size].sigmoid_()
        i, o, candidate = values.chunk(3, dim=1)
        memory = torch.addcmul(memory.float(), i, torch.tanh(candidate))
        return (o * torch.tanh(memory)).to(inputs.dtype), memory


class _Rnn(Step):
    blocks = ("hidden",)

    @override
    def __call__(self, inputs: Tensor, layer: Layer) -> Layer:
        return (self.gates(inputs, layer[0]).tanh_().to(inputs.dtype),)


class _GruFused(Step):
    """The candidate's two shares are needed apart, so there are always two products."""

    blocks = ("reset", "update", "candidate")

    def __init__(self, cell: GruFused, precision: Precision, *, projected: bool) -> None:
        super().__init__(cell, precision, projected=projected)
        self.inward = None if projected else lay_out(cell.weight_input, cell.bias, precision)
        self.bias = F.pad(cell.bias_recurrent.detach(), (2 * self.size, 0))

    @override
    def weights(self) -> tuple[Tensor, Tensor | None]:
        return self.cell.weight_recurrent.detach(), self.bias

    @override
    def __call__(self, inputs: Tensor, layer: Layer) -> Layer:
        hidden, size = layer[0].to(inputs.dtype), 2 * self.size
        given = (inputs if self.inward is None else self.inward(inputs)).float()
        own = self.product(hidden).float()
        r, z = torch.sigmoid(given[:, :size] + own[:, :size]).chunk(2, dim=1)
        candidate = torch.addcmul(given[:, size:], r, own[:, size:]).tanh_()
        return (torch.lerp(candidate, hidden.float(), z).to(inputs.dtype),)


class _AsTrained(Step):
    """A cell's own step, for cells whose products depend on each other."""

    def __init__(self, cell: Cell, precision: Precision, *, projected: bool) -> None:
        super().__init__(cell, precision, projected=projected)
        self.inward = None if projected else lay_out(cell.weight_input, cell.bias, precision)

    @override
    def __call__(self, inputs: Tensor, layer: Layer) -> Layer:
        projected = inputs if self.inward is None else self.inward(inputs).to(inputs.dtype)
        layer = tuple(part.to(inputs.dtype) for part in layer)
        return self.cell.step(projected, layer, self.cell.weight_recurrent)


_STEPS: dict[type[Cell], type[Step]] = {Rnn: _Rnn, Lstm: _Lstm, Lstm1997: _Lstm1997}


def make_step(cell: Cell, precision: Precision, *, projected: bool) -> Step:
    """A cell's step with weights laid out."""
    if isinstance(cell, GruFused):
        return _GruFused(cell, precision, projected=projected)
    return _STEPS.get(type(cell), _AsTrained)(cell, precision, projected=projected)


def order_of(cell: Cell, blocks: tuple[str, ...]) -> Tensor:
    """(G·H,) int64, rows of a cell's weights with its blocks in another order."""
    rows = torch.arange(len(cell.blocks) * cell.hidden_size, device=cell.bias.device)
    parts = dict(zip(cell.blocks, rows.chunk(len(cell.blocks)), strict=True))
    return torch.cat([parts[name] for name in blocks])


class Decoder(nn.Module, ABC):
    """A model whose weights can be laid out for single steps."""

    _step: StackStep | None = None
    _scores: LaidOutOutput | None = None

    def for_decoding(self, precision: Precision = "float32") -> Self:
        """Lay the weights out for single steps, in place; ``train()`` takes it back.

        The weights must not change afterwards.

        Args:
            precision: of weights and states; see ``textgen.models.products``.

        Returns:
            The model, in evaluation mode.
        """
        self.eval().to(NUMBERS[precision])
        self._lay_out(precision)
        return self

    @override
    def train(self, mode: bool = True) -> Self:
        """As in torch; weights that will change are no longer laid out."""
        if mode:
            self._take_back()
        return super().train(mode)

    @abstractmethod
    def _lay_out(self, precision: Precision) -> None:
        """Make ``_step`` and ``_scores`` and what else single steps use."""

    def _take_back(self) -> None:
        """Forget what ``_lay_out`` made."""
        self._step = self._scores = None


class StackStep:
    """One step of a stack that reads tokens.

    Args:
        stack: in evaluation mode.
        vectors: (V, E), the token vectors.
        precision: of the laid-out weights.

    A stack that reads more than the token vector (input feeding) has no table: ``inputs`` of
    ``__call__`` are then joined to the token vectors.
    """

    def __init__(self, stack: RecurrentStack, vectors: Tensor, precision: Precision) -> None:
        first, *others = stack.layers
        numbers = NUMBERS[precision]
        self.norms, self.residual = list(stack.norms), stack.config.residual
        whole = first.input_size == vectors.shape[1]
        projected = whole and len(vectors) * len(first.bias) <= TABLE
        self.steps = [make_step(first, precision, projected=projected)]
        self.steps += [make_step(cell, precision, projected=False) for cell in others]
        self.table = vectors.detach().to(numbers)
        if projected:
            order = order_of(first, getattr(self.steps[0], "blocks", first.blocks))
            weight, bias = first.weight_input[order].detach(), first.bias[order].detach()
            self.table = F.linear(self.table, weight.to(numbers), bias.to(numbers))

    def __call__(
        self, tokens: Tensor, state: RecurrentState, inputs: Tensor | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """Read one token for each row.

        Args:
            tokens: (N,) int64.
            state: of the same N rows.
            inputs: (N, F) that the first layer reads after the token vector, or None.

        Returns:
            (N, H) outputs of the last layer, and the new state.
        """
        if inputs is None:
            layer = self.steps[0].read(self.table, tokens, state.layers[0])
        else:
            vectors = self.table.index_select(0, tokens)
            joined = torch.cat([vectors, inputs.to(vectors.dtype)], 1)
            layer = self.steps[0](joined, state.layers[0])
        layers = [layer]
        values: Tensor = self._normalised(0, layer[0])
        for index, step in enumerate(self.steps[1:], start=1):
            layer = step(values, state.layers[index])
            layers.append(layer)
            outputs = self._normalised(index, layer[0])
            values = outputs + values if self.residual else outputs
        return values, RecurrentState(tuple(layers), state.width)

    def _normalised(self, index: int, outputs: Tensor) -> Tensor:
        norm = self.norms[index]
        if isinstance(norm, nn.Identity):
            return outputs
        normalised: Tensor = norm(outputs)
        return normalised
