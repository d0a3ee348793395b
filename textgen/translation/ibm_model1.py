"""IBM model 1: which target token a source token becomes, learnt from sentence pairs alone.

Each target token f_j of a pair (e, f) is the translation of one of the source tokens e_i, each as
likely before the tokens are seen: P(f_j | e) = 1/S · Σ_i t(f_j | e_i). The table t that makes the
pairs most likely is found by expectation maximisation, whose likelihood has a single maximum value
(Brown, Della Pietra, Della Pietra and Mercer 1993, "The Mathematics of Statistical Machine
Translation: Parameter Estimation", section 4.1).

Letters: S source tokens and T target tokens of a pair; C cells, all (i, j) of all pairs; M entries,
the pairs of tokens that stand together in some sentence pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from textgen.errors import DataError

BLOCK = 1 << 22
"""Cells that are counted at once."""

CELLS = 1 << 27
"""Most cells that are kept (4 bytes each); pairs after that are not looked at."""

Integers = NDArray[np.int64]
Numbers = NDArray[np.float64]


class _Block(NamedTuple):
    """Some sentence pairs: the cells of one target token side by side.

    Attributes:
        cells: (C,) int32, which of the block's keys each cell is.
        keys: (U,) increasing: source · V + target; later the places of these among all entries.
        starts: where each target token's cells begin.
        lengths: how many there are: S of its sentence.
    """

    cells: NDArray[np.int32]
    keys: Integers
    starts: Integers
    lengths: Integers


@dataclass(frozen=True)
class Table:
    """The pairs of tokens that occur together, and t(target | source) of each.

    Attributes:
        sources: (M,), increasing.
        targets: (M,), increasing for each source.
        probabilities: (M,); those of a source sum to 1.
    """

    sources: Integers
    targets: Integers
    probabilities: Numbers


class Model1:
    """A table that is learnt round by round; before the first all targets are equally likely.

    Args:
        pairs: source and target tokens; a pair with an empty side tells nothing.
        target_size: V of the target.
        limit: cells after which no further pair is read.

    Attributes:
        table: as learnt so far.
        pairs: sentence pairs that are learnt from.
        counts: (V,) how often each target token occurs in them.

    Raises:
        DataError: if no pair has two sides.
    """

    def __init__(
        self,
        pairs: Iterable[tuple[Sequence[int], Sequence[int]]],
        target_size: int,
        limit: int = CELLS,
    ) -> None:
        self.pairs = 0
        self.counts = np.zeros(target_size, np.int64)
        blocks: list[_Block] = []
        cells = 0
        for part in _parts(pairs, limit):
            blocks.append(_block(part, target_size))
            cells += len(blocks[-1].cells)
            self.pairs += len(part)
            for _, target in part:
                np.add.at(self.counts, np.asarray(target, np.int64), 1)
        if not blocks:
            raise DataError("There is nothing to learn from: no pair has tokens on both sides.")
        keys = _united([block.keys for block in blocks])
        self._blocks = [block._replace(keys=np.searchsorted(keys, block.keys)) for block in blocks]
        sources, targets = np.divmod(keys, target_size)
        self.table = Table(sources, targets, np.full(len(keys), 1.0 / target_size))

    def improve(self) -> float:
        """One round of expectation maximisation.

        Returns:
            Nats of a target token under the table before the round: mean of −ln P(f_j | e).
        """
        expected = np.zeros(len(self.table.sources))
        nats, tokens = 0.0, 0
        for block in self._blocks:
            shares = self.table.probabilities[block.keys][block.cells]
            sums = np.add.reduceat(shares, block.starts)
            nats -= float(np.log(sums / block.lengths).sum())
            tokens += len(sums)
            shares /= np.repeat(sums, block.lengths)
            expected[block.keys] += np.bincount(block.cells, shares, len(block.keys))
        totals = np.bincount(self.table.sources, expected)
        probabilities = expected / totals[self.table.sources]
        self.table = Table(self.table.sources, self.table.targets, probabilities)
        return nats / tokens


def _parts(
    pairs: Iterable[tuple[Sequence[int], Sequence[int]]], limit: int
) -> Iterator[list[tuple[Sequence[int], Sequence[int]]]]:
    """Pairs in groups of about ``BLOCK`` cells, until there were ``limit`` cells."""
    part: list[tuple[Sequence[int], Sequence[int]]] = []
    cells, before = 0, 0
    for source, target in pairs:
        if not source or not target:
            continue
        if before + cells >= limit:
            break
        part.append((source, target))
        cells += len(source) * len(target)
        if cells >= BLOCK:
            yield part
            part, before, cells = [], before + cells, 0
    if part:
        yield part


def _block(part: Sequence[tuple[Sequence[int], Sequence[int]]], target_size: int) -> _Block:
    """The cells of some pairs: for each target token all tokens of its source."""
    source = np.fromiter((token for pair in part for token in pair[0]), np.int64)
    target = np.fromiter((token for pair in part for token in pair[1]), np.int64)
    widths = np.array([len(pair[0]) for pair in part])
    heights = np.array([len(pair[1]) for pair in part])
    lengths = np.repeat(widths, heights)  # (ΣT,)
    starts = np.cumsum(lengths) - lengths
    first = np.repeat(np.cumsum(widths) - widths, heights)  # where its source begins
    inside = np.arange(int(lengths.sum())) - np.repeat(starts - first, lengths)
    keys = source[inside] * target_size + np.repeat(target, lengths)
    known, cells = np.unique(keys, return_inverse=True)
    return _Block(cells.astype(np.int32), known, starts, lengths)


def _united(keys: Sequence[Integers]) -> Integers:
    """All keys once, increasing; two by two, so that no more than twice the result is in memory."""
    waiting = list(keys)
    while len(waiting) > 1:
        waiting.append(np.union1d(waiting.pop(0), waiting.pop(0)))
    return waiting[0]
