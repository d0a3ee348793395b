"""Single steps with few rows in C: products, an LSTM's gates, attention, the best moves.

A step of one hypothesis or of a narrow beam is small work: torch takes some microseconds to begin
each of its dozens of operations, and multiplies a few rows slower than memory brings the weights.
``kernels.c`` does a layer in one call. It is optional: the package's build compiles it where there
is a C compiler (``hatch_build.py``), once for each kind of processor. Where there is none, or with
``TEXTGEN_NATIVE=0``, the Python beside each use computes the same up to rounding.

Its threads are torch's own: both use one OpenMP library where torch ships it under the common
name, and as many threads as ``torch.get_num_threads()`` says where there is work for them.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path
from struct import Struct
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

VARIABLE = "TEXTGEN_NATIVE"
"""0 in the environment: as if nothing had been compiled."""

FEW = 16
"""Most rows (N) for which these products are the faster ones."""

KINDS = ("amx", "avx512-bf16", "avx512", "avx2", "generic")
"""What is compiled, the fastest first."""

_TYPES = {torch.float32: 0, torch.bfloat16: 1, torch.int8: 2}
_NEIGHBOURS = {torch.float32: 1, torch.bfloat16: 2, torch.int8: 4}
_VECTORS = 4  # in a group of outputs, as there are gates in an LSTM
_INPUTS = 64  # inputs are filled up to multiples
_NO_MEMORY = 1

_POINTER, _LONG, _INT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32
_SIGNATURES = {
    "textgen_group": ([], _INT),
    "textgen_supported": ([], _INT),
    "textgen_step": ([ctypes.c_char_p], _INT),
    "textgen_attend": ([ctypes.c_char_p], None),
    "textgen_best": ([ctypes.c_char_p], _INT),
    "textgen_draw": ([ctypes.c_char_p], _INT),
}
# the structures of kernels.c that are arguments
_STEP = Struct("16q")
_ATTENTION = Struct("7qd9q")
_RANKING = Struct("13q")
_LOTTERY = Struct("5q")


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


class Attended(NamedTuple):
    """What is attended to and how; all float32.

    Attributes:
        keys: (B, S, D).
        values: (B, S, H).
        mask: (B, 1, S), 0 or −inf.
        additive: (D,) of an additive score, None for a product.
        factor: of a product.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor
    additive: Tensor | None
    factor: float


class Kernels:
    """The compiled functions.

    Args:
        library: loaded; for a kind of processor that this one is.
        kind: one of ``KINDS``.
    """

    def __init__(self, library: ctypes.CDLL, kind: str) -> None:
        self.kind = kind
        self._step = library.textgen_step
        self._attend = library.textgen_attend
        self._best = library.textgen_best
        self._draw = library.textgen_draw
        self.group: int = library.textgen_group()

    def step(self, *values: int) -> None:
        """``textgen_step`` of the fields of its structure but the last.

        Raises:
            MemoryError: if there is none for the rows.
            IndexError: if a token is outside the table.
        """
        failed = self._step(_STEP.pack(*values, torch.get_num_threads()))
        if failed == _NO_MEMORY:
            raise MemoryError("There is no memory left for the rows of a product.")
        if failed:
            raise IndexError("A token is outside the vocabulary.")

    def attend(
        self, query: Tensor, given: Tensor, memory: Attended, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """One step of attention: softmax of scores, context, attention vector.

        Args:
            query: (N, D) float32 or bfloat16, N = B·K.
            given: (N, H) float32, the hidden states' share of the attention vectors.
            memory: of B sources.
            dtype: of the attention vectors.

        Returns:
            Attention vectors (N, H), and weights (N, S) float32.
        """
        query, given = query.contiguous(), given.contiguous()
        rows, hidden = given.shape
        sources, positions, depth = memory.keys.shape
        width = rows // sources
        _agree(query.shape, (sources * width, depth))
        _agree(memory.values.shape, (sources, positions, hidden))
        _agree(memory.mask.shape, (sources, 1, positions))
        vectors = torch.empty(given.shape, dtype=dtype)
        weights = torch.empty(rows, positions)
        self._attend(
            _ATTENTION.pack(
                query.data_ptr(),
                _TYPES[query.dtype],
                given.data_ptr(),
                memory.keys.data_ptr(),
                memory.values.data_ptr(),
                memory.mask.data_ptr(),
                0 if memory.additive is None else memory.additive.data_ptr(),
                memory.factor,
                rows,
                width,
                positions,
                depth,
                hidden,
                weights.data_ptr(),
                vectors.data_ptr(),
                _TYPES[dtype],
                torch.get_num_threads(),
            )
        )
        return vectors, weights

    def best(self, log_probs: Tensor, scores: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """The largest sums of a row's score and a token's log-probability, of each source.

        Args:
            log_probs: (B, K, V) float32.
            scores: (B, K) float32.
            count: M ≤ K·V.

        Returns:
            Sums, parents and tokens, (B, M) each, best first, the first of equal ones first; NaN
            counts as largest.
        """
        best, parents, tokens, _ = self._ranked(log_probs, scores, count, (0, -1, -1))
        return best, parents, tokens

    def continuations(
        self, log_probs: Tensor, scores: Tensor, count: int, *, width: int, eos: int, bos: int
    ) -> tuple[Tensor, Tensor, bool]:
        """Parents and tokens (B, M) of ``best``, those that end apart, and whether some do.

        See ``textgen.decoding.continuations``.
        """
        _, parents, tokens, some = self._ranked(log_probs, scores, count, (width, eos, bos))
        return parents, tokens, some

    def _ranked(
        self, log_probs: Tensor, scores: Tensor, count: int, apart: tuple[int, int, int]
    ) -> tuple[Tensor, Tensor, Tensor, bool]:
        log_probs, scores = log_probs.contiguous(), scores.contiguous()
        sources, width, size = log_probs.shape
        _agree(scores.shape, (sources, width))
        best = torch.empty(sources, count)
        parents = torch.empty(sources, count, dtype=torch.int64)
        tokens = torch.empty(sources, count, dtype=torch.int64)
        some = self._best(
            _RANKING.pack(
                log_probs.data_ptr(),
                scores.data_ptr(),
                sources,
                width,
                size,
                count,
                best.data_ptr(),
                parents.data_ptr(),
                tokens.data_ptr(),
                *apart,
                torch.get_num_threads(),
            )
        )
        return best, parents, tokens, bool(some)

    def draw(self, log_probs: Tensor, uniform: Tensor) -> Tensor:
        """Tokens (B, K) int64 from (B, K, V) float32 by uniform (B, K) float64 numbers.

        V where a row has nothing to draw from. See ``textgen.decoding.draw``.
        """
        log_probs, uniform = log_probs.contiguous(), uniform.contiguous()
        _agree(uniform.shape, log_probs.shape[:2])
        tokens = torch.empty(uniform.shape, dtype=torch.int64)
        failed = self._draw(
            _LOTTERY.pack(
                log_probs.data_ptr(),
                uniform.data_ptr(),
                uniform.numel(),
                log_probs.shape[2],
                tokens.data_ptr(),
            )
        )
        if failed:
            raise MemoryError("There is no memory left for the tokens' probabilities.")
        return tokens


@cache
def kernels() -> Kernels | None:
    """The fastest compiled kind that this processor runs; None if there is none."""
    if os.environ.get(VARIABLE) == "0":
        return None
    folder = Path(__file__).parent
    for kind in KINDS:
        path = folder / f"kernels-{kind}.so"
        if path.is_file() and (found := load(path, kind)) is not None:
            return found
    return None


def load(path: Path, kind: str) -> Kernels | None:
    """The compiled functions of one file; None if this machine cannot run them."""
    try:
        library = ctypes.CDLL(str(path))
        for name, (arguments, result) in _SIGNATURES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = arguments, result
    except (OSError, AttributeError):  # for another system, or of another version
        return None
    return Kernels(library, kind) if library.textgen_supported() else None


class Laid:
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
        weight = F.pad(weight, (0, -self.inputs % _INPUTS))
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
        self._layout = _Layout(*addresses, outputs, inputs, self.real, _TYPES[weight.dtype])
        self._address = ctypes.addressof(self._layout)

    def _grouped(self, rows: Tensor) -> Tensor:
        """(O, F) with the rows of each group side by side, filled up to whole groups."""
        group = self._kernels.group
        if not self._gates:
            return F.pad(rows, (0, 0, 0, -len(rows) % group)).contiguous()
        lanes = group // _VECTORS
        parts = rows.view(_VECTORS, self.real, -1)
        parts = F.pad(parts, (0, 0, 0, -self.real % lanes))
        parts = parts.view(_VECTORS, -1, lanes, rows.shape[1])
        return parts.transpose(0, 1).reshape(-1, rows.shape[1])

    def product(self, rows: Tensor, addend: Tensor | None = None) -> Tensor:
        """X Wᵀ + b + addend: (N, I) and (N, O), float32 or bfloat16, to (N, O) float32."""
        rows = rows.contiguous()
        addend = None if addend is None else addend.contiguous()
        count, width = rows.shape
        _agree((width,), (self.inputs,))
        if addend is not None:
            _agree(addend.shape, (count, self.real))
        found = torch.empty(count, self.real)
        self._kernels.step(
            self._address,
            rows.data_ptr(),
            0,
            width,
            0,
            _TYPES[rows.dtype],
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
            tokens: (N,) int64, rows of ``addend``.

        Returns:
            The new h, of the type of the given one, and C in float32.
        """
        hidden, memory = layer[0].contiguous(), layer[1].float().contiguous()
        count, width = hidden.shape
        first, second, more = hidden, 0, 0
        if inputs is not None:
            first, second, more = inputs.contiguous(), hidden.data_ptr(), width
        _agree((len(first), first.shape[1] + more), (count, self.inputs))
        _agree(memory.shape, (count, self.real))
        if addend is not None:
            addend = addend.contiguous()
            rows = count if tokens is None else len(addend)
            _agree(addend.shape, (rows, _VECTORS * self.real))
        if tokens is not None:
            tokens = tokens.contiguous()
            _agree(tokens.shape, (count,))
        found, kept = torch.empty_like(hidden), torch.empty_like(memory)
        kind = _TYPES[hidden.dtype]
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


def _addend(addend: Tensor | None, tokens: Tensor | None) -> tuple[int, int, int, int]:
    """Fields of the structure."""
    if addend is None:
        return 0, 0, 0, 0
    where = 0 if tokens is None else tokens.data_ptr()
    return addend.data_ptr(), where, len(addend), _TYPES[addend.dtype]


def _agree(found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Refuse sizes for which memory would be read that belongs to others."""
    if found != expected:
        raise ValueError(f"sizes {tuple(found)} were given where {expected} are expected")
