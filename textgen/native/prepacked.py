"""Weights prepacked for a few rows, and what multiplies by them."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor
from torch.nn import functional as F

from textgen.native.library import TYPES, Kernels, agree

MAX_KERNEL_ROWS = 16
"""Most rows (N) for which these products are the faster ones."""

_NEIGHBOURS = {torch.float32: 1, torch.bfloat16: 2, torch.int8: 4}
_VECTORS = 4  # in a group of outputs, as there are gates in an LSTM
_INPUTS = 64  # inputs are filled up to multiples
_POINTER, _LONG, _INT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32


class _Layout(ctypes.Structure):
    """The structure ``layout`` of products.h."""

    _fields_ = (
        ("weights", _POINTER),
        ("bias", _POINTER),
        ("scale", _POINTER),
        ("sums", _POINTER),
        ("outputs", _LONG),
        ("inputs", _LONG),
        ("real", _LONG),
        ("type", _INT),
    )


class Prepacked:
    """Weights in the order in which few rows are multiplied by them.

    Args:
        compiled: the functions.
        weight: (O, I) float32, bfloat16 or int8.
        bias: (O,), or None for 0.
        scale: (O,) that 8-bit weights are multiplied by.
        gates: the O rows are an LSTM's input, forget and output gates and candidates, H each.
    """

    def __init__(
        self,
        compiled: Kernels,
        weight: Tensor,
        bias: Tensor | None,
        scale: Tensor | None = None,
        *,
        gates: bool = False,
    ) -> None:
        self._kernels, self._gates = compiled, gates
        weight = weight.detach()
        self.real = len(weight) // _VECTORS if gates else len(weight)
        self.inputs = weight.shape[1]
        weight = _filled(weight, columns=-self.inputs % _INPUTS)
        rows = self._grouped(weight)
        scale = None if scale is None else self._grouped(scale.detach().float().unsqueeze(1))
        bias = None if bias is None else self._grouped(bias.detach().float().unsqueeze(1))
        outputs, inputs = rows.shape
        neighbours = _NEIGHBOURS[weight.dtype]
        shape = (outputs // compiled.group, compiled.group, inputs // neighbours, neighbours)
        ordered = rows.view(shape).permute(0, 2, 1, 3).contiguous()
        sums = rows.sum(1, dtype=torch.int32) if weight.dtype == torch.int8 else None
        self._parts = (ordered, bias, scale, sums)  # what the addresses point to
        addresses = (None if part is None else part.data_ptr() for part in self._parts)
        self._layout = _Layout(*addresses, outputs, inputs, self.real, TYPES[weight.dtype])
        self._address = ctypes.addressof(self._layout)

    def _grouped(self, rows: Tensor) -> Tensor:
        """(O, F) with the rows of each group side by side, filled up to whole groups."""
        group = self._kernels.group
        if not self._gates:
            return _filled(rows, rows=-len(rows) % group).contiguous()
        lanes = group // _VECTORS
        parts = rows.view(_VECTORS, self.real, -1)
        parts = _filled(parts, rows=-self.real % lanes)
        parts = parts.view(_VECTORS, -1, lanes, rows.shape[1])
        return parts.transpose(0, 1).reshape(-1, rows.shape[1])

    def product(self, rows: Tensor, addend: Tensor | None = None) -> Tensor:
        """X Wᵀ + b + addend: (N, I) and (N, O), float32 or bfloat16, to (N, O) float32."""
        rows = rows.contiguous()
        addend = None if addend is None else addend.contiguous()
        count, width = rows.shape
        agree((width,), (self.inputs,))
        if addend is not None:
            agree(addend.shape, (count, self.real))
        found = torch.empty(count, self.real)
        self._kernels.step(
            self._address,
            rows.data_ptr(),
            0,
            width,
            0,
            TYPES[rows.dtype],
            count,
            *_addend(addend, None),
            found.data_ptr(),
            0,
            0,
            0,
        )
        return found

    def lstm(
        self,
        layer: tuple[Tensor, ...],
        *,
        inputs: Tensor | None = None,
        addend: Tensor | None = None,
        tokens: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One step of a layer of H units.

        Args:
            layer: h (N, H) float32 or bfloat16, and C (N, H).
            inputs: (N, I − H) that stand before h.
            addend: (N, 4·H) that is added to the products; with ``tokens`` (V, 4·H).
            tokens: (N,) integers, rows of ``addend``.

        Returns:
            The new h, of the type of the given one, and C in float32.
        """
        hidden, memory = layer[0].contiguous(), layer[1].float().contiguous()
        count, width = hidden.shape
        first, second, more = hidden, 0, 0
        if inputs is not None:
            first, second, more = inputs.contiguous(), hidden.data_ptr(), width
        agree((len(first), first.shape[1] + more), (count, self.inputs))
        agree(memory.shape, (count, self.real))
        if addend is not None:
            addend = addend.contiguous()
            rows = count if tokens is None else len(addend)
            agree(addend.shape, (rows, _VECTORS * self.real))
        if tokens is not None:
            tokens = tokens.long().contiguous()
            agree(tokens.shape, (count,))
        found, kept = torch.empty_like(hidden), torch.empty_like(memory)
        kind = TYPES[hidden.dtype]
        self._kernels.step(
            self._address,
            first.data_ptr(),
            second,
            first.shape[1],
            more,
            kind,
            count,
            *_addend(addend, tokens),
            found.data_ptr(),
            kind,
            memory.data_ptr(),
            kept.data_ptr(),
        )
        return found, kept


def _filled(values: Tensor, *, rows: int = 0, columns: int = 0) -> Tensor:
    """(…, R, F) with zeros below and beside; not copied where there are none to add."""
    return F.pad(values, (0, columns, 0, rows)) if rows or columns else values


def _addend(addend: Tensor | None, tokens: Tensor | None) -> tuple[int, int, int, int]:
    """Fields of the structure."""
    if addend is None:
        return 0, 0, 0, 0
    where = 0 if tokens is None else tokens.data_ptr()
    return addend.data_ptr(), where, len(addend), TYPES[addend.dtype]
