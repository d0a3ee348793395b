"""Random numbers that depend on whose they are and when, and not on who stands beside them.

A counter-based generator: every number is a hash of (seed of the source, hypothesis, step, stream,
position), so there is no state to carry, rows may come and go, and a whole batch is one
vectorised computation. The hash is the finaliser of SplitMix64 (Steele, Lea & Flood 2014,
"Fast splittable pseudorandom number generators"), applied once for each part of the key.
"""

from __future__ import annotations

import torch
from torch import Tensor

from textgen.arguments import whole_number
from textgen.protocols import Beam

_BLOCK = 64


def _signed(value: int) -> int:
    """An unsigned 64-bit constant as the int64 of the same bits."""
    return value - (1 << 64) if value >= 1 << 63 else value


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Logical shift to the right of int64 bit patterns."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    """SplitMix64's finaliser on int64 bit patterns; products wrap around."""
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def _fold(key: Tensor, part: Tensor | int) -> Tensor:
    """A key with one more part; keys and parts broadcast."""
    if isinstance(part, int):
        return _mix(key + _signed((part + 1) * _GOLDEN % (1 << 64)))
    return _mix(key + (part + 1) * _GOLDEN)


def _unit(bits: Tensor) -> Tensor:
    """Int64 bit patterns to float64 in the open interval (0, 1): 52 bits and a half."""
    return (_shifted(bits, 12).double() + 0.5) * 2.0**-52


def check_seed(seed: int) -> int:
    """The seed, seen to be one that no other stands for.

    Raises:
        UsageError: if it is no whole number from 0 to 2⁶³ − 1.
    """
    return whole_number(seed, "The seed")


def row_seeds(seed: int | Tensor, indices: Tensor) -> Tensor:
    """Seeds for the sources of a job, each from the job's seed and the source's own number.

    Args:
        seed: any integer, or (B,) int64 where the sources are of several jobs.
        indices: (B,) int64, for example the line numbers of the sources in a file.

    Returns:
        (B,) int64: SplitMix64 of the seed, and then of the index. For one seed, different indices
        have different values; for different seeds, values are equal with a chance of 2⁻⁶⁴.
    """
    if isinstance(seed, int):
        seed = torch.tensor(_signed(seed % (1 << 64)), dtype=torch.int64, device=indices.device)
    return _fold(_fold(seed, 0), indices)


class RowRandom:
    """The random numbers of a session; see ``textgen.protocols.Random``.

    Args:
        seeds: (B,) int64, one for each source.
    """

    def __init__(self, seeds: Tensor) -> None:
        self.seeds = seeds
        self._blocks: dict[int, tuple[Tensor, int, int, Tensor]] = {}

    def uniform(self, beam: Beam, count: int | None = None, stream: int = 0) -> Tensor:
        """(B, K), or (B, K, count), float64 in (0, 1); see ``textgen.protocols.Random``."""
        step, width = beam.step, beam.width
        if count is not None:
            steps = torch.tensor([step], device=self.seeds.device)
            keys = self._keys(beam.sources, width, stream, steps)  # (B, K, 1)
            return _unit(_fold(keys, torch.arange(count, device=keys.device)))
        block, offset = divmod(step, _BLOCK)
        sources, known_width, known_block, numbers = self._blocks.get(
            stream, (None, 0, 0, self.seeds)
        )
        if sources is not beam.sources or known_width != width or known_block != block:
            steps = torch.arange(block * _BLOCK, (block + 1) * _BLOCK, device=self.seeds.device)
            numbers = _unit(self._keys(beam.sources, width, stream, steps))  # (B, K, 64)
            self._blocks[stream] = (beam.sources, width, block, numbers)
        return numbers.select(2, offset)

    def _keys(self, sources: Tensor, width: int, stream: int, steps: Tensor) -> Tensor:
        """(B, K, number of steps) int64 bit patterns."""
        hypotheses = torch.arange(width, device=self.seeds.device)
        seeds = _fold(self.seeds[sources], stream)
        return _fold(_fold(seeds[:, None], hypotheses)[:, :, None], steps)
