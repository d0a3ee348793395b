"""The differentiable neural computer: an LSTM with an external memory that it reads and writes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from textgen.models.cells import Cell
from textgen.models.state import Layer

_LEAST = 1e-6
"""Added to the square of a length, so that an empty slot has a direction: none."""


class Dnc(Cell):
    """An LSTM controller that addresses a memory M by content, by use and by time (Graves 2016).

    With h, C = LSTM([x; r'], h', C') and the interface ξ = W_ξ h + b_ξ cut into read keys k^r and
    strengths β^r, write key k^w and strength β^w, erase e and write vector v, free gates f,
    allocation gate g^a, write gate g^w and read modes π:

    - usage u = (u' + w^w' − u'⊙w^w')⊙Π_r (1 − f^r w^r'), and the allocation a that prefers what is
      used least: a[φ_j] = (1 − u[φ_j]) Π_{i<j} u[φ_i], φ the order of u;
    - write weights w^w = g^w (g^a a + (1 − g^a) C(M', k^w, β^w)), with the content weights
      C(M, k, β) = softmax(β cos(M, k));
    - memory M = M'⊙(1 − w^w eᵀ) + w^w vᵀ;
    - links L_ij = (1 − w_i − w_j) L'_ij + w_i p'_j, L_ii = 0, precedence p = (1 − Σ w) p' + w;
    - read weights w^r = π_1 Lᵀ w^r' + π_2 C(M, k^r, β^r) + π_3 L w^r', reads r = Mᵀ w^r.

    The output is W_y h + W_r r. Strengths go through oneplus(x) = 1 + log(1 + eˣ), gates and e
    through σ, modes through softmax.

    Args:
        input_size: I.
        hidden_size: H, of the controller and of the output.
        slots: M, rows of the memory.
        width: W of each row.
        reads: R, read heads.

    Raises:
        ValueError: if a number is not positive.
    """

    blocks = ("input", "forget", "candidate", "output")

    def __init__(
        self, input_size: int, hidden_size: int, slots: int = 16, width: int = 16, reads: int = 1
    ) -> None:
        for name, value in (("slots", slots), ("width", width), ("reads", reads)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        self.slots, self.width, self.reads = slots, width, reads
        super().__init__(input_size, hidden_size)

    @override
    def reset_parameters(self) -> None:
        super().reset_parameters()
        size, read = self.hidden_size, self.reads * self.width
        bound = 1 / math.sqrt(size)

        def fresh(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))

        self.weight_reads = fresh(4 * size, read)
        self.weight_interface = fresh(sum(self.interface), size)
        self.bias_interface = nn.Parameter(torch.zeros(sum(self.interface)))
        self.weight_output = fresh(size, size)
        self.weight_output_reads = fresh(size, read)

    @property
    def interface(self) -> tuple[int, ...]:
        """Sizes of k^r, β^r, k^w, β^w, e, v, f, g^a, g^w, π."""
        width, reads = self.width, self.reads
        return reads * width, reads, width, 1, width, width, reads, 1, 1, 3 * reads

    @property
    @override
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The output, h, C, r, M, u, p, L, w^w, w^r."""
        size, slots = self.hidden_size, self.slots
        return (
            (size,),
            (size,),
            (size,),
            (self.reads, self.width),
            (slots, self.width),
            (slots,),
            (slots,),
            (slots, slots),
            (slots,),
            (self.reads, slots),
        )

    @override
    def step(self, projected: Tensor, layer: Layer, recurrent: Tensor) -> Layer:
        _, hidden, cell, read, memory, usage, precedence, links, write, heads = layer
        gates = (
            projected + F.linear(hidden, recurrent) + F.linear(read.flatten(1), self.weight_reads)
        )
        i, f, candidate, o = gates.chunk(4, dim=1)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(candidate)
        hidden = torch.sigmoid(o) * torch.tanh(cell)
        values = F.linear(hidden, self.weight_interface, self.bias_interface)
        keys, strengths, key, strength, erase, vector, free, allocate, gate, modes = torch.split(
            values, list(self.interface), dim=1
        )
        freed = (1 - torch.sigmoid(free).unsqueeze(2) * heads).prod(1)  # (N, M)
        usage = ((usage + write - usage * write) * freed).clamp(0, 1)
        content = content_weights(memory, key.unsqueeze(1), _oneplus(strength)).squeeze(1)
        share = torch.sigmoid(allocate)
        write = torch.sigmoid(gate) * (share * allocation(usage) + (1 - share) * content)
        column = write.unsqueeze(2)  # (N, M, 1)
        memory = memory * (
            1 - column * torch.sigmoid(erase).unsqueeze(1)
        ) + column * vector.unsqueeze(1)
        links = (1 - column - write.unsqueeze(1)) * links + column * precedence.unsqueeze(1)
        links = links * (1 - torch.eye(self.slots, dtype=links.dtype, device=links.device))
        precedence = (1 - write.sum(1, keepdim=True)) * precedence + write
        keys = keys.reshape(-1, self.reads, self.width)
        content = content_weights(memory, keys, _oneplus(strengths))  # (N, R, M)
        chosen = modes.view(-1, self.reads, 3, 1).softmax(2)
        backward, forward = heads @ links, heads @ links.transpose(1, 2)
        heads = chosen[:, :, 0] * backward + chosen[:, :, 1] * content + chosen[:, :, 2] * forward
        read = heads @ memory
        output = F.linear(hidden, self.weight_output)
        output = output + F.linear(read.flatten(1), self.weight_output_reads)
        return output, hidden, cell, read, memory, usage, precedence, links, write, heads


def content_weights(memory: Tensor, keys: Tensor, strengths: Tensor) -> Tensor:
    """softmax_i(β cos(M_i, k)): (N, K, M) of memory (N, M, W), keys (N, K, W), strengths (N, K)."""
    products = keys @ memory.transpose(1, 2)
    lengths = _length(keys).unsqueeze(2) * _length(memory).unsqueeze(1)
    return (strengths.unsqueeze(2) * products / lengths).softmax(2)


def allocation(usage: Tensor) -> Tensor:
    """a[φ_j] = (1 − u[φ_j]) Π_{i<j} u[φ_i] of usage (N, M), φ its ascending order."""
    ordered, order = usage.sort(dim=1, stable=True)
    before = torch.cat([torch.ones_like(ordered[:, :1]), ordered[:, :-1]], dim=1).cumprod(1)
    return torch.zeros_like(usage).scatter(1, order, (1 - ordered) * before)


def _length(vectors: Tensor) -> Tensor:
    return (vectors.square().sum(-1) + _LEAST).sqrt()


def _oneplus(values: Tensor) -> Tensor:
    return 1 + F.softplus(values)
