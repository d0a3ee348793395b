"""The compiled functions, found and called: tensors in, tensors out."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from struct import Struct
from typing import NamedTuple

import torch
from torch import Tensor

VARIABLE = "TEXTGEN_NATIVE"
"""0 in the environment: as if nothing had been compiled; one of ``KINDS``: no faster one."""

KINDS = ("amx", "avx512-bf16", "avx512", "avx2", "generic")
"""What is compiled, the fastest first."""

TYPES = {torch.float32: 0, torch.bfloat16: 1, torch.int8: 2}
"""Numbers of types, as vectors.h has them."""

_NO_MEMORY = 1
_QUESTIONS = ("textgen_group", "textgen_supported")
_SIZE = "textgen_size"
_WORKS = ("textgen_step", "textgen_attend", "textgen_best", "textgen_draw", "textgen_record")
# the structures of kernels.c that are arguments
_STEP = Struct("16q")
_ATTENTION = Struct("7qd9q")
_RANKING = Struct("13q")
_LOTTERY = Struct("5q")
_ENTRY = Struct("19q")
_SIZES = (64, *(each.size for each in (_STEP, _ATTENTION, _RANKING, _LOTTERY, _ENTRY)))
"""Bytes of the layout of ``prepacked.py`` and of these."""


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


class Recorded(NamedTuple):
    """A search after a step.

    Attributes:
        scores: (B, K') float32.
        finished: (B, K') bool: rows that end with eos, or are dead.
        tokens: (B·K', C) int64, of which one more counts.
        log_probs: (B·K', C) float32.
    """

    scores: Tensor
    finished: Tensor
    tokens: Tensor
    log_probs: Tensor


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
        self._record = library.textgen_record
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
        keys, values, mask = (part.contiguous() for part in memory[:3])
        rows, hidden = given.shape
        sources, positions, depth = keys.shape
        width = rows // sources
        agree(query.shape, (sources * width, depth))
        agree(values.shape, (sources, positions, hidden))
        agree(mask.shape, (sources, 1, positions))
        if memory.additive is not None:
            agree(memory.additive.shape, (depth,))
        vectors = torch.empty(given.shape, dtype=dtype)
        weights = torch.empty(rows, positions)
        self._attend(
            _ATTENTION.pack(
                query.data_ptr(),
                TYPES[query.dtype],
                given.data_ptr(),
                keys.data_ptr(),
                values.data_ptr(),
                mask.data_ptr(),
                0 if memory.additive is None else memory.additive.data_ptr(),
                memory.factor,
                rows,
                width,
                positions,
                depth,
                hidden,
                weights.data_ptr(),
                vectors.data_ptr(),
                TYPES[dtype],
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
        agree(scores.shape, (sources, width))
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
        agree(uniform.shape, log_probs.shape[:2])
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

    def record(
        self,
        values: tuple[Tensor, Tensor],
        pick: tuple[Tensor | None, Tensor],
        scores: Tensor,
        history: tuple[Tensor, Tensor],
        *,
        steps: int,
        eos: int,
    ) -> Recorded:
        """What a search knows after a step in which none of its rows had finished before.

        Args:
            values: log-probabilities (B, K, V) float32, unfiltered and filtered; what the filters
                forbid costs what they say.
            pick: parents (B, K') or None, and tokens (B, K'), int64.
            scores: (B, K) float32.
            history: tokens (B·W, C) int64 and their log-probabilities (B·W, C) float32 of W ≥ K
                rows for each source. Where there are no parents they are added to in place, and
                W = K = K'.
            steps: T < C, how many of them count.
            eos: the token that ends a row.

        Raises:
            IndexError: if a parent is not in [0, K), or a token not in [0, V).
        """
        parents, tokens = pick
        parents = None if parents is None else parents.contiguous()
        unfiltered, allowed = (each.contiguous() for each in values)
        scores, tokens = scores.contiguous(), tokens.contiguous()
        sources, width, size = unfiltered.shape
        rows, capacity = history[0].shape
        wider, of = tokens.shape[1], rows // sources
        agree(allowed.shape, unfiltered.shape)
        agree(scores.shape, (sources, width))
        agree(tokens.shape, (sources, wider))
        written = _next_history(parents, tokens, width, history, steps)
        found = torch.empty(sources, wider)
        finished = torch.empty(sources, wider, dtype=torch.bool)
        failed = self._record(
            _ENTRY.pack(
                *_addresses(unfiltered, allowed, parents, tokens, scores, *history),
                sources,
                width,
                size,
                wider,
                of,
                capacity,
                steps,
                eos,
                *_addresses(found, finished, *written),
            )
        )
        if failed:
            raise IndexError("A pick is outside the beam or the vocabulary.")
        return Recorded(found, finished, *written)


def _next_history(
    parents: Tensor | None,
    tokens: Tensor,
    width: int,
    history: tuple[Tensor, Tensor],
    steps: int,
) -> tuple[Tensor, Tensor]:
    """Where ``record`` writes: the history itself where there are no parents, else a new one."""
    sources, wider = tokens.shape
    rows, capacity = history[0].shape
    of = rows // sources
    agree(history[1].shape, (sources * of, capacity))
    if steps >= capacity or of < width:
        raise ValueError(f"{steps} steps of {width} rows do not fit {of} of {capacity} places")
    if parents is None:
        agree((wider, of), (width, width))
        return history
    agree(parents.shape, tokens.shape)
    shape = (sources * wider, capacity)
    return torch.empty(shape, dtype=torch.int64), torch.empty(shape)


_LEFT_OUT: ContextVar[bool] = ContextVar("left_out", default=False)


def kernels() -> Kernels | None:
    """The fastest compiled kind that this processor runs; None if there is none."""
    return None if _LEFT_OUT.get() else _found()


@contextmanager
def without() -> Iterator[None]:
    """As if nothing had been compiled, for a while: to compare, and to test.

    Weights that are prepacked meanwhile stay so; those that were prepacked before keep their way.
    """
    token = _LEFT_OUT.set(True)
    try:
        yield
    finally:
        _LEFT_OUT.reset(token)


@cache
def _found() -> Kernels | None:
    asked = os.environ.get(VARIABLE)
    if asked == "0":
        return None
    folder = Path(__file__).parent
    for kind in KINDS[KINDS.index(asked) if asked in KINDS else 0 :]:
        path = folder / f"kernels-{kind}.so"
        if path.is_file() and (found := load(path, kind)) is not None:
            return found
    return None


def load(path: Path, kind: str) -> Kernels | None:
    """The compiled functions of one file; None if this machine cannot run them."""
    try:
        library = ctypes.CDLL(str(path))
        for name in (*_QUESTIONS, *_WORKS):
            function = getattr(library, name)
            function.argtypes = [ctypes.c_char_p] if name in _WORKS else []
            function.restype = ctypes.c_int32
        size = getattr(library, _SIZE)
        size.argtypes, size.restype = [ctypes.c_int32], ctypes.c_int32
    except (OSError, AttributeError):  # for another system, or of another version
        return None
    same = all(size(which) == expected for which, expected in enumerate(_SIZES))
    return Kernels(library, kind) if same and library.textgen_supported() else None


def _addresses(*tensors: Tensor | None) -> tuple[int, ...]:
    """Where tensors lie in memory; 0 for None."""
    return tuple(0 if each is None else each.data_ptr() for each in tensors)


def agree(found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Refuse sizes for which memory would be read that belongs to others."""
    if found != expected:
        raise ValueError(f"sizes {tuple(found)} were given where {expected} are expected")
