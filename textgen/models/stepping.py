"""Single steps of recurrent stacks with weights prepacked once: what decoding does all the time.

For each layer the products of a step are as few as they can be. The first layer's share of the
input, W_x x + b, has one value for each token of the vocabulary: it is a table that is looked up.
Above it W_x and W_h stand side by side and multiply [x; h] at once.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import ClassVar, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from textgen.models.cells import Cell, Gru, GruFused, Lstm, Lstm1997, LstmPeephole, Rnn
from textgen.models.products import (
    NUMBERS,
    Precision,
    PrepackedOutput,
    Product,
    pack,
    prepack,
    rows_are_independent,
)
from textgen.models.recurrent import RecurrentStack
from textgen.models.state import Layer, RecurrentState
from textgen.native import MAX_KERNEL_ROWS
from textgen.rows import where_rows

TABLE = 1 << 25
"""Most numbers in a table of W_x x + b for all tokens: 128 MiB of float32."""


class Step(ABC):
    """One step of one layer.

    Args:
        cell: whose weights are used.
        precision: of the prepacked weights.
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
        return prepack(*self.weights(), self.precision)

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
    """One native call, gates and all; of float32 for few rows."""

    blocks = ("input", "forget", "output", "candidate")

    def __init__(self, cell: Cell, precision: Precision, *, projected: bool) -> None:
        super().__init__(cell, precision, projected=projected)
        self.packed = pack(*self.weights(), precision, gates=True)
        self.most = MAX_KERNEL_ROWS if precision == "float32" else sys.maxsize

    @override
    def __call__(self, inputs: Tensor, layer: Layer) -> Layer:
        hidden, memory = layer
        if self.packed is not None and len(inputs) <= self.most:
            layer = (hidden.to(inputs.dtype), memory)
            if self.projected:
                return self.packed.lstm(layer, addend=inputs)
            return self.packed.lstm(layer, inputs=inputs)
        values = self.gates(inputs, hidden)
        values[:, : 3 * self.size].sigmoid_()
        i, f, o, candidate = values.chunk(4, dim=1)
        memory = torch.addcmul(i * torch.tanh(candidate), f, memory.float())
        return (o * torch.tanh(memory)).to(inputs.dtype), memory

    @override
    def read(self, table: Tensor, tokens: Tensor, layer: Layer) -> Layer:
        if self.packed is None or not self.projected or len(tokens) > self.most:
            return super().read(table, tokens, layer)
        layer = (layer[0].to(table.dtype), layer[1])
        return self.packed.lstm(layer, addend=table, tokens=tokens)


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
        self.inward = None if projected else prepack(cell.weight_input, cell.bias, precision)
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


class _Gru(Step):
    """The candidate's product needs the reset gate, so it is a product of its own."""

    blocks = ("update", "reset", "candidate")

    def __init__(self, cell: Cell, precision: Precision, *, projected: bool) -> None:
        super().__init__(cell, precision, projected=projected)
        self.inward = None if projected else prepack(cell.weight_input, cell.bias, precision)
        _, last = self._recurrent()
        self.candidate = prepack(last, None, precision)

    def _recurrent(self) -> tuple[Tensor, Tensor]:
        """Weights of both gates (2·H, H) and of the candidate (H, H)."""
        gates, last = self.cell.weight_recurrent.detach().tensor_split([2 * self.size])
        return gates, last

    @override
    def weights(self) -> tuple[Tensor, Tensor | None]:
        return self._recurrent()[0], None

    @override
    def __call__(self, inputs: Tensor, layer: Layer) -> Layer:
        hidden, size = layer[0].to(inputs.dtype), 2 * self.size
        given = (inputs if self.inward is None else self.inward(inputs)).float()
        z, r = (given[:, :size] + self.product(hidden).float()).sigmoid_().chunk(2, dim=1)
        wide = hidden.float()
        seen = self.candidate((r * wide).to(inputs.dtype)).float()
        candidate = (given[:, size:] + seen).tanh_()
        return (torch.lerp(wide, candidate, z).to(inputs.dtype),)


class _AsTrained(Step):
    """A cell's own step, for a cell that has none here."""

    def __init__(self, cell: Cell, precision: Precision, *, projected: bool) -> None:
        super().__init__(cell, precision, projected=projected)
        self.inward = None if projected else prepack(cell.weight_input, cell.bias, precision)

    @override
    def __call__(self, inputs: Tensor, layer: Layer) -> Layer:
        recurrent = self.cell.weight_recurrent
        projected = inputs if self.inward is None else self.inward(inputs)
        layer = tuple(part.to(recurrent.dtype) for part in layer)
        return self.cell.step(projected.to(recurrent.dtype), layer, recurrent)


class _LstmPeephole(Step):
    """The output gate sees the new memory, so its peephole is a product of its own."""

    blocks = ("input", "forget", "candidate", "output")

    def __init__(self, cell: LstmPeephole, precision: Precision, *, projected: bool) -> None:
        super().__init__(cell, precision, projected=projected)
        peephole = cell.weight_peephole.detach()
        self.seen: tuple[Tensor, ...] = ()
        self.products: tuple[Product, ...] = ()
        if cell.diagonal:
            self.seen = peephole.float().unbind(0)
        else:
            parts = peephole.tensor_split([2 * self.size])
            self.products = tuple(prepack(part, None, precision) for part in parts)

    @override
    def __call__(self, inputs: Tensor, layer: Layer) -> Layer:
        hidden, memory = layer[0], layer[1].float()
        i, f, candidate, o = self.gates(inputs, hidden).chunk(4, dim=1)
        if self.seen:
            i, f = i + self.seen[0] * memory, f + self.seen[1] * memory
        else:
            seen_i, seen_f = self._product(0, memory, inputs).chunk(2, dim=1)
            i, f = i + seen_i, f + seen_f
        share = torch.sigmoid(i) * torch.tanh(candidate)
        memory = torch.addcmul(share, torch.sigmoid(f), memory)
        o = o + (self.seen[2] * memory if self.seen else self._product(1, memory, inputs))
        return (torch.sigmoid(o) * torch.tanh(memory)).to(inputs.dtype), memory

    def _product(self, index: int, memory: Tensor, like: Tensor) -> Tensor:
        return self.products[index](memory.to(like.dtype)).float()


_STEPS: dict[type[Cell], type[Step]] = {
    Rnn: _Rnn,
    Lstm: _Lstm,
    Lstm1997: _Lstm1997,
    Gru: _Gru,
}


def make_step(cell: Cell, precision: Precision, *, projected: bool) -> Step:
    """A cell's step with weights prepacked."""
    if isinstance(cell, GruFused):
        return _GruFused(cell, precision, projected=projected)
    if isinstance(cell, LstmPeephole):
        return _LstmPeephole(cell, precision, projected=projected)
    return _STEPS.get(type(cell), _AsTrained)(cell, precision, projected=projected)


def order_of(cell: Cell, blocks: tuple[str, ...]) -> Tensor:
    """(G·H,) int64, rows of a cell's weights with its blocks in another order."""
    rows = torch.arange(len(cell.blocks) * cell.hidden_size, device=cell.bias.device)
    parts = dict(zip(cell.blocks, rows.chunk(len(cell.blocks)), strict=True))
    return torch.cat([parts[name] for name in blocks])


class SteppedSequence:
    """All steps of one layer with weights prepacked, from the zero state.

    Args:
        cell: whose weights are used.
        precision: of the prepacked weights.
    """

    def __init__(self, cell: Cell, precision: Precision) -> None:
        self.step, self.cell = make_step(cell, precision, projected=True), cell
        order = order_of(cell, getattr(self.step, "blocks", cell.blocks))
        weight, bias = cell.weight_input.detach()[order], cell.bias.detach()[order]
        self.product = prepack(weight, bias, precision)

    def __call__(self, inputs: Tensor) -> Tensor:
        """(B, S, I) to outputs (B, S, H) float32."""
        rows, steps, _ = inputs.shape
        by_step = inputs.transpose(0, 1).reshape(steps * rows, -1)
        layer = tuple(part.to(by_step.dtype) for part in self.cell.zeros(rows))
        outputs = []
        for projected in self.product(by_step).float().view(steps, rows, -1).unbind(0):
            layer = self.step(projected, layer)
            outputs.append(layer[0])
        return torch.stack(outputs, dim=1)


S = TypeVar("S", bound="Stepping")


class Stepping(Protocol):
    """The part of a model's state that reading by single steps needs."""

    @property
    def attention(self) -> Tensor | None:
        """(N, 1, S) of the last step, or None."""

    def tensors(self) -> list[Tensor]:
        """The tensors that belong to rows, (N, …) each."""

    def with_tensors(self, tensors: list[Tensor]) -> Self:
        """The same structure with other values."""


def read_by_steps(
    step: Callable[[Tensor, S], tuple[Tensor, S]], tokens: Tensor, state: S, lengths: Tensor
) -> tuple[Tensor, S, Tensor | None]:
    """Read several tokens of each row one by one.

    Args:
        step: tokens (N,) and a state to features (N, 1, F) and the new state.
        tokens: (N, T) int64.
        state: of the same N rows.
        lengths: (N,) int64 in [1, T], real tokens of each row.

    Returns:
        Features (N, T, F), the state after each row's last real token, and attention (N, T, S)
        or None.
    """
    features, weights = [], []
    shortest = int(lengths.min())
    for place, column in enumerate(tokens.unbind(1)):
        found, new = step(column, state)
        features.append(found)
        if new.attention is not None:
            weights.append(new.attention)
        if place >= shortest:  # rows that are over stand still
            running = lengths > place
            pairs = zip(new.tensors(), state.tensors(), strict=True)
            new = new.with_tensors([where_rows(running, *pair) for pair in pairs])
        state = new
    return torch.cat(features, 1), state, torch.cat(weights, 1) if weights else None


class Decoder(nn.Module, ABC):
    """A model whose weights can be prepacked for single steps."""

    _step: StackStep | None = None
    _scores: PrepackedOutput | None = None
    _prepacked: tuple[Precision, list[tuple[int, int]]] | None = None

    def for_decoding(self, precision: Precision = "float32") -> Self:
        """Prepack the weights for single steps, in place; ``train()`` takes it back.

        Weights that change afterwards are prepacked anew at the next ``begin``.

        Args:
            precision: of weights and states; see ``textgen.models.products``.

        Returns:
            The model, in evaluation mode.
        """
        self.eval().to(NUMBERS[precision])
        self._prepack(precision)
        self._prepacked = precision, self._versions()
        return self

    @property
    def prepacked(self) -> Precision | None:
        """The precision of the weights that are prepacked for single steps; None where none are."""
        return None if self._step is None or self._prepacked is None else self._prepacked[0]

    def _renew(self) -> None:
        """Prepack the weights again if they are no longer what was prepacked."""
        if self._step is not None and self._prepacked is not None:
            precision, versions = self._prepacked
            if self._versions() != versions:
                self.for_decoding(precision)

    def _versions(self) -> list[tuple[int, int]]:
        """By which a change of the weights is seen: where they are, and how often changed there."""
        return [
            (
                each.data_ptr() if each.is_cpu else 0,
                0 if each.is_inference() else each._version,  # noqa: SLF001 - torch's own
            )
            for each in self.parameters()
        ]

    @override
    def train(self, mode: bool = True) -> Self:
        """As in torch; weights that will change are no longer prepacked."""
        if mode:
            self._discard_prepacked()
        return super().train(mode)

    @abstractmethod
    def _prepack(self, precision: Precision) -> None:
        """Make ``_step`` and ``_scores`` and what else single steps use."""

    def _discard_prepacked(self) -> None:
        """Forget what ``_prepack`` made."""
        self._step = self._scores = None


class StackStep:
    """One step of a stack that reads tokens.

    Args:
        stack: in evaluation mode.
        vectors: (V, E), the token vectors.
        precision: of the prepacked weights.

    Attributes:
        independent: whether a row's step is the same to the last bit beside any other rows.

    A stack that reads more than the token vector (input feeding) has no table: ``inputs`` of
    ``__call__`` are then joined to the token vectors.
    """

    def __init__(self, stack: RecurrentStack, vectors: Tensor, precision: Precision) -> None:
        first, *others = stack.layers
        numbers = NUMBERS[precision]
        self.norms, self.residual = list(stack.norms), stack.config.residual
        self.independent = rows_are_independent(vectors.device, precision)
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
