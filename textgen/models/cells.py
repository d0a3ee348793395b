"""Recurrent cells: the equations, one step at a time and a whole sequence at once.

Every cell keeps its weights as ``weight_input`` (G·H, I), ``weight_recurrent`` (G·H, H) and
``bias`` (G·H,), G blocks of H rows in the order of ``blocks``. The input's share
W_x x_t + b of all time steps is one product (``project``); a step adds the recurrent share.
Where a torch kernel computes the same thing, ``sequence`` calls it; the other cells have a pass
of their own in ``fused``. A single step never calls a kernel, since they re-pack their weights at
each call.
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from textgen.components import CELLS
from textgen.models.fused.equations import Equations, Weights
from textgen.models.fused.gru import GRU
from textgen.models.fused.lstm import LSTM
from textgen.models.fused.peephole import PEEPHOLE
from textgen.models.fused.sequence import run_sequence
from textgen.models.state import Layer
from textgen.registry import parse_spec


class Cell(nn.Module, ABC):
    """One recurrent layer in one direction.

    Args:
        input_size: I.
        hidden_size: H.
    """

    blocks: ClassVar[tuple[str, ...]]
    """Names of the G blocks of rows in the weights."""
    parts: ClassVar[int] = 1
    """Vectors in the state, each as wide as the layer: 1 for (h,), 2 for (h, C)."""
    equations: ClassVar[Equations | None] = None
    """Of a cell with a fused pass in ``fused``."""

    weight_input: nn.Parameter
    weight_recurrent: nn.Parameter
    bias: nn.Parameter

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        rows = len(self.blocks) * hidden_size
        self.weight_input = nn.Parameter(torch.empty(rows, input_size))
        self.weight_recurrent = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias = nn.Parameter(torch.zeros(rows))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform in ±1/√H, biases 0, a forget gate's bias 1 (Jozefowicz et al. 2015)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for weight in (self.weight_input, self.weight_recurrent):
            nn.init.uniform_(weight, -bound, bound)
        nn.init.zeros_(self.bias)
        if "forget" in self.blocks:
            start = self.blocks.index("forget") * self.hidden_size
            with torch.no_grad():
                self.bias[start : start + self.hidden_size] = 1

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of a row's state: the first is (H,), the output h; any others may follow."""
        return ((self.hidden_size,),) * self.parts

    def zeros(self, rows: int) -> Layer:
        """The state before the first step, one tensor (rows, *shape) for each of its shapes."""
        return tuple(self.bias.new_zeros(rows, *shape) for shape in self.state_shapes)

    def project(self, inputs: Tensor) -> Tensor:
        """The input's share W_x x + b: (…, I) to (…, G·H)."""
        return F.linear(inputs, self.weight_input, self.bias)

    @abstractmethod
    def step(self, projected: Tensor, layer: Layer, recurrent: Tensor) -> Layer:
        """One step.

        Args:
            projected: (N, G·H) from ``project``.
            layer: the state, each (N, *shape).
            recurrent: (G·H, H), the recurrent weights, perhaps with some dropped.

        Returns:
            The new state; its first tensor is the output h.
        """

    def sequence(self, inputs: Tensor, layer: Layer, recurrent: Tensor) -> tuple[Tensor, Layer]:
        """All steps: (N, T, I) to outputs (N, T, H) and the last state."""
        if self.equations is None:
            return self.step_by_step(inputs, layer, recurrent)
        weights = Weights(
            self.weight_input, self.bias, recurrent, getattr(self, "weight_peephole", None)
        )
        return run_sequence(self.equations, inputs, layer, weights)

    def step_by_step(self, inputs: Tensor, layer: Layer, recurrent: Tensor) -> tuple[Tensor, Layer]:
        """The same as ``sequence`` by single steps: for a cell without a kernel, and as a check."""
        outputs = []
        for projected in self.project(inputs).unbind(1):
            layer = self.step(projected, layer, recurrent)
            outputs.append(layer[0])
        return torch.stack(outputs, dim=1), layer

    def extra_repr(self) -> str:
        """Sizes, for ``print(model)``."""
        return f"{self.input_size}, {self.hidden_size}"


class Rnn(Cell):
    """Elman's network: h = tanh(W_x x + W_h h' + b) (Elman 1990)."""

    blocks = ("hidden",)

    @override
    def step(self, projected: Tensor, layer: Layer, recurrent: Tensor) -> Layer:
        return (torch.tanh(projected + F.linear(layer[0], recurrent)),)

    @override
    def sequence(self, inputs: Tensor, layer: Layer, recurrent: Tensor) -> tuple[Tensor, Layer]:
        weights = [self.weight_input, recurrent, self.bias, torch.zeros_like(self.bias)]
        first = layer[0].unsqueeze(0).to(inputs.dtype)
        outputs, last = torch.rnn_tanh(
            inputs, first, weights, True, 1, 0.0, self.training, False, True
        )
        return outputs, (last[0],)


class RnnResidual(Cell):
    """A skip connection through time: h = h' + tanh(W_x x + W_h h' + b).

    The gradient reaches every earlier state undiminished; nothing that was added is erased.
    """

    blocks = ("hidden",)

    @override
    def step(self, projected: Tensor, layer: Layer, recurrent: Tensor) -> Layer:
        (hidden,) = layer
        return (hidden + torch.tanh(projected + F.linear(hidden, recurrent)),)


class RnnForget(Cell):
    """The skip connection with a gate: f = σ(W_f[h'; x] + b_f), h = f⊙h' + tanh(W[h'; x] + b)."""

    blocks = ("forget", "candidate")

    @override
    def step(self, projected: Tensor, layer: Layer, recurrent: Tensor) -> Layer:
        (hidden,) = layer
        forget, candidate = (projected + F.linear(hidden, recurrent)).chunk(2, dim=1)
        return (torch.sigmoid(forget) * hidden + torch.tanh(candidate),)


class Lstm(Cell):
    """LSTM with a forget gate (Gers et al. 2000).

    f, i, o = σ(W[h'; x] + b), C̃ = tanh(W_C[h'; x] + b_C), C = f⊙C' + i⊙C̃, h = o⊙tanh(C).
    torch.nn.LSTM computes the same with two biases, of which one is 0 here.
    """

    blocks = ("input", "forget", "candidate", "output")
    parts = 2

    @override
    def step(self, projected: Tensor, layer: Layer, recurrent: Tensor) -> Layer:
        hidden, memory = layer
        gates = projected + F.linear(hidden, recurrent)
        i, f, candidate, o = gates.chunk(4, dim=1)
        memory = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(candidate)
        return torch.sigmoid(o) * torch.tanh(memory), memory

    @override
    def sequence(self, inputs: Tensor, layer: Layer, recurrent: Tensor) -> tuple[Tensor, Layer]:
        if inputs.is_cpu and torch.is_autocast_enabled("cpu") and not _has_bfloat16_lstm():
            with torch.autocast("cpu", enabled=False):  # it would raise an error
                return self.sequence(inputs.float(), layer, recurrent.float())
        weights = [self.weight_input, recurrent, self.bias, torch.zeros_like(self.bias)]
        first = tuple(part.unsqueeze(0).to(inputs.dtype) for part in layer)
        outputs, hidden, memory = torch.lstm(
            inputs, first, weights, True, 1, 0.0, self.training, False, True
        )
        return outputs, (hidden[0], memory[0])


@functools.cache
def _has_bfloat16_lstm() -> bool:
    """Whether torch's LSTM runs under autocast on this CPU: oneDNN has it for AVX-512 alone."""
    probe = getattr(torch.cpu, "_is_avx512_supported", None)
    return probe is not None and bool(probe())


class Lstm1997(Cell):
    """The first LSTM, without a forget gate: C = C' + i⊙C̃ (Hochreiter & Schmidhuber 1997)."""

    blocks = ("input", "candidate", "output")
    parts = 2
    equations = LSTM

    @override
    def step(self, projected: Tensor, layer: Layer, recurrent: Tensor) -> Layer:
        hidden, memory = layer
        gates = projected + F.linear(hidden, recurrent)
        i, candidate, o = gates.chunk(3, dim=1)
        memory = memory + torch.sigmoid(i) * torch.tanh(candidate)
        return torch.sigmoid(o) * torch.tanh(memory), memory


class LstmPeephole(Cell):
    """LSTM whose gates see the memory: f and i see C', o sees C (Gers & Schmidhuber 2000).

    Args:
        input_size: I.
        hidden_size: H.
        diagonal: peepholes as vectors (each unit sees its own memory) instead of matrices.
    """

    blocks = ("input", "forget", "candidate", "output")
    parts = 2
    equations = PEEPHOLE

    def __init__(self, input_size: int, hidden_size: int, *, diagonal: bool = False) -> None:
        self.diagonal = diagonal
        super().__init__(input_size, hidden_size)

    def reset_parameters(self) -> None:
        """Peepholes start like the recurrent weights."""
        super().reset_parameters()
        size = self.hidden_size
        bound = 1 / math.sqrt(size)
        shape = (3, size) if self.diagonal else (3 * size, size)
        self.weight_peephole = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))

    @override
    def step(self, projected: Tensor, layer: Layer, recurrent: Tensor) -> Layer:
        hidden, memory = layer
        gates = projected + F.linear(hidden, recurrent)
        i, f, candidate, o = gates.chunk(4, dim=1)
        if self.diagonal:
            see_i, see_f, see_o = self.weight_peephole.unbind(0)
            i, f = i + see_i * memory, f + see_f * memory
        else:
            inward, outward = self.weight_peephole.tensor_split([2 * self.hidden_size])
            seen_i, seen_f = F.linear(memory, inward).chunk(2, dim=1)
            i, f = i + seen_i, f + seen_f
        memory = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(candidate)
        o = o + (see_o * memory if self.diagonal else F.linear(memory, outward))
        return torch.sigmoid(o) * torch.tanh(memory), memory


class Gru(Cell):
    """GRU with the reset before the product (Cho et al. 2014).

    z, r = σ(W[h'; x] + b), h̃ = tanh(W_h[r⊙h'; x] + b_h), h = (1 − z)⊙h' + z⊙h̃: z = 1 takes
    the new candidate.
    """

    blocks = ("update", "reset", "candidate")
    equations = GRU

    @override
    def step(self, projected: Tensor, layer: Layer, recurrent: Tensor) -> Layer:
        (hidden,) = layer
        size = self.hidden_size
        gates = projected[:, : 2 * size] + F.linear(hidden, recurrent[: 2 * size])
        z, r = torch.sigmoid(gates).chunk(2, dim=1)
        candidate = torch.tanh(
            projected[:, 2 * size :] + F.linear(r * hidden, recurrent[2 * size :])
        )
        return (hidden + z * (candidate - hidden),)  # not lerp: autocast mixes dtypes here


class GruFused(Cell):
    """GRU as torch.nn.GRU (and cuDNN) computes it: the reset after the product.

    r, z = σ(W[h'; x] + b), ñ = tanh(W_n x + b_n + r⊙(U_n h' + c_n)), h = (1 − z)⊙ñ + z⊙h':
    z = 1 keeps the OLD state, unlike Cho's ``gru``; c_n is ``bias_recurrent``.
    """

    blocks = ("reset", "update", "candidate")

    def reset_parameters(self) -> None:
        """The candidate's recurrent bias starts at 0."""
        super().reset_parameters()
        self.bias_recurrent = nn.Parameter(torch.zeros(self.hidden_size))

    @override
    def step(self, projected: Tensor, layer: Layer, recurrent: Tensor) -> Layer:
        (hidden,) = layer
        size = self.hidden_size
        product = F.linear(hidden, recurrent)
        gates = torch.sigmoid(projected[:, : 2 * size] + product[:, : 2 * size])
        r, z = gates.chunk(2, dim=1)
        seen = r * (product[:, 2 * size :] + self.bias_recurrent)
        candidate = torch.tanh(projected[:, 2 * size :] + seen)
        return (torch.lerp(candidate, hidden, z),)

    @override
    def sequence(self, inputs: Tensor, layer: Layer, recurrent: Tensor) -> tuple[Tensor, Layer]:
        padding = self.bias_recurrent.new_zeros(2 * self.hidden_size)
        biases = [self.bias, torch.cat([padding, self.bias_recurrent])]
        outputs, last = torch.gru(
            inputs,
            layer[0].unsqueeze(0).to(inputs.dtype),
            [self.weight_input, recurrent, *biases],
            True,
            1,
            0.0,
            self.training,
            False,
            True,
        )
        return outputs, (last[0],)


def make_cell(spec: str, input_size: int, hidden_size: int, *, diagonal: bool = False) -> Cell:
    """A cell by its configuration name.

    Args:
        spec: a name of ``textgen.components.CELLS``, with the cell's own options if it has some.
        input_size: I.
        hidden_size: H.
        diagonal: for ``lstm-peephole`` alone.

    Raises:
        PluginError: if there is no such cell, or it cannot be loaded.
        ConfigError: if it does not take the options.
    """
    name, options = parse_spec(spec).name, {}
    if name == "lstm-peephole":
        options["diagonal"] = diagonal
    cell: Cell = CELLS.construct(spec, input_size, hidden_size, **options)
    return cell
