"""Batches for training: lanes of a stream, and sentences grouped by length.

Letters: B rows, T tokens of the longest row. A position in the data is (epoch, index): batches
depend on the seed and on these two alone, so that nothing else is needed to go on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import TypeVar, override

from textgen.data.sequences import TokenSequences
from textgen.data.streams import TokenStream
from textgen.data.tensor_batch import TensorBatch
from textgen.errors import DataError
from textgen.protocols import SpecialTokens


@dataclass(frozen=True)
class TrainingBatch(TensorBatch):
    """Tokens that a model reads, and those that it must predict.

    Attributes:
        inputs: (B, T) int64, pad after a row's end.
        targets: (B, T) int64, the token after each input; pad where nothing is predicted.
        lengths: (B,) int64, inputs of each row; None means all T.
        continues: the rows go on where the rows of the batch before ended.
        count: number of targets that are no pad.
        fresh: (B,) bool, rows that begin anew although the others go on; None: none.
        source: (B, S) int64, right-padded, or None.
        source_lengths: (B,) int64, or None.
        real: (count,) int64, numbers of the targets (B·T) that are no pad; found by ``to``, on the
            CPU, since a GPU would have to be waited for. None where all are real.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor | None
    continues: bool
    count: int
    fresh: Tensor | None = None
    source: Tensor | None = None
    source_lengths: Tensor | None = None
    real: Tensor | None = None

    @override
    def rows(self, index: slice) -> Self:
        part = super().rows(index)
        return replace(part, count=int(torch.count_nonzero(part.targets)))  # pad is 0

    @override
    def to(self, device: torch.device) -> Self:
        if self.count == self.targets.numel():
            return super().to(device)
        real = self.targets.flatten().nonzero().squeeze(1)
        return super(TrainingBatch, replace(self, real=real)).to(device)


BatchT_co = TypeVar("BatchT_co", bound=TensorBatch, default=TrainingBatch, covariant=True)


class Batches(Protocol[BatchT_co]):
    """Batches of a corpus, epoch by epoch."""

    def iterate(self, epoch: int, start: int = 0) -> Iterator[BatchT_co]:
        """The batches of an epoch from number ``start`` on."""

    def __len__(self) -> int:
        """Number of batches in an epoch."""


class LaneBatches:
    """A stream cut into B lanes that are read side by side, the state carried over.

    Every token of the stream is a target exactly once in an epoch. The first input of a lane is
    bos. In each epoch the lanes begin elsewhere, the stream being taken as a ring. Now and then a
    lane begins anew with bos, as a text to generate or to judge does: a model that has only ever
    gone on knows states that no fresh start leads to (Melis et al. 2018 reset likewise).

    Args:
        stream: N tokens, not empty.
        lanes: B; no more than N are made.
        window: T, tokens between two updates (truncated back-propagation).
        special: of the tokenizer.
        seed: of the lanes' beginnings; None always begins at the first token.
        reset: probability that a lane begins anew at a window; needs a seed.

    Raises:
        DataError: if the stream is empty.
    """

    def __init__(
        self,
        stream: TokenStream,
        lanes: int,
        window: int,
        special: SpecialTokens,
        seed: int | None = None,
        *,
        reset: float = 0.0,
    ) -> None:
        if not len(stream):
            raise DataError("A stream without tokens cannot be cut into lanes.")
        self.stream, self.window, self.special, self.seed = stream, window, special, seed
        self.reset = reset
        lanes = min(lanes, len(stream))
        borders = [lane * len(stream) // lanes for lane in range(lanes + 1)]
        self._starts = np.array(borders[:-1], dtype=np.int64)
        self._stops = np.array(borders[1:], dtype=np.int64)
        self._longest = int((self._stops - self._starts).max())

    @property
    def lanes(self) -> int:
        """Number of lanes B."""
        return len(self._starts)

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return math.ceil(self._longest / self.window)

    def iterate(self, epoch: int, start: int = 0) -> Iterator[TrainingBatch]:
        """The batches of an epoch from number ``start`` on; the last may be narrower."""
        offset = self._offset(epoch)
        for index in range(start, len(self)):
            yield self._batch(offset, index, self._fresh(epoch, index))

    def _fresh(self, epoch: int, index: int) -> NDArray[np.bool_] | None:
        """(B,) which lanes begin anew at a window; None where none does."""
        if self.seed is None or self.reset == 0 or index == 0:
            return None
        generator = np.random.default_rng([self.seed, epoch, index])
        fresh = generator.random(self.lanes) < self.reset
        return fresh if fresh.any() else None

    def _offset(self, epoch: int) -> int:
        if self.seed is None:
            return 0
        generator = np.random.default_rng([self.seed, epoch])
        return int(generator.integers(len(self.stream)))

    def _batch(self, offset: int, index: int, fresh: NDArray[np.bool_] | None) -> TrainingBatch:
        begin = index * self.window
        width = min(self.window, self._longest - begin)
        # (B, T + 1): the token before the window, and the window
        tokens = np.full((self.lanes, width + 1), self.special.pad, dtype=np.int64)
        real = 0
        for lane in range(self.lanes):
            first = int(self._starts[lane]) + begin
            count = min(width, int(self._stops[lane]) - first)
            if begin == 0:
                tokens[lane, 0] = self.special.bos
                tokens[lane, 1 : count + 1] = self._ring(offset + first, count)
            else:
                tokens[lane, : count + 1] = self._ring(offset + first - 1, count + 1)
            real += count
        if fresh is not None:
            tokens[fresh, 0] = self.special.bos
        both = torch.from_numpy(tokens)
        return TrainingBatch(
            inputs=both[:, :-1].contiguous(),
            targets=both[:, 1:].contiguous(),
            lengths=None,  # pads stand only at the end of the last window: no state follows
            continues=index > 0,
            count=real,
            fresh=None if fresh is None else torch.from_numpy(fresh),
        )

    def _ring(self, start: int, count: int) -> NDArray[np.int32]:
        """``count`` tokens from ``start`` on, the first after the last."""
        size = len(self.stream)
        start %= size
        if start + count <= size:
            return self.stream.slice(start, start + count)
        rest = start + count - size
        return np.concatenate([self.stream.slice(start, size), self.stream.slice(0, rest)])


class SentenceBatches:
    """Sentences of like length side by side: bos + sentence → sentence + eos.

    Args:
        sequences: the sentences.
        batch_tokens: most targets in a batch, padding included; a longer sentence stands alone.
        special: of the tokenizer.
        seed: of the order; None keeps one fixed order, the shortest first.

    Raises:
        DataError: if there is no sentence.
    """

    def __init__(
        self,
        sequences: TokenSequences,
        batch_tokens: int,
        special: SpecialTokens,
        seed: int | None = None,
    ) -> None:
        if not len(sequences):
            raise DataError("There is no sentence to make batches of.")
        self.sequences, self.batch_tokens = sequences, batch_tokens
        self.special, self.seed = special, seed
        self._lengths = sequences.lengths + 1  # eos, or bos
        self._borders = np.array(bucket_borders(np.sort(self._lengths).tolist(), batch_tokens))

    @property
    def padding_ratio(self) -> float:
        """Cells of all batches for each real token: 1 is no padding."""
        ordered = np.sort(self._lengths)
        sizes = np.diff(self._borders)
        cells = int((sizes * ordered[self._borders[1:] - 1]).sum())
        return cells / int(ordered.sum())

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return len(self._borders) - 1

    def iterate(self, epoch: int, start: int = 0) -> Iterator[TrainingBatch]:
        """The batches of an epoch from number ``start`` on."""
        order, batches = self._plan(epoch)
        for number in batches[start:]:
            yield self._batch(order[self._borders[number] : self._borders[number + 1]])

    def _plan(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Sentences by length, equal ones in random order; and the order of the batches."""
        if self.seed is None:
            return np.argsort(self._lengths, kind="stable"), np.arange(len(self))
        generator = np.random.default_rng([self.seed, epoch])
        shuffled = generator.permutation(len(self._lengths))
        order = shuffled[np.argsort(self._lengths[shuffled], kind="stable")]
        return order, generator.permutation(len(self))

    def _batch(self, chosen: NDArray[np.int64]) -> TrainingBatch:
        rows = [self.sequences[int(each)] for each in chosen]
        lengths = self._lengths[chosen]
        inputs = pad_rows(rows, self.special.pad, before=self.special.bos)
        targets = pad_rows(rows, self.special.pad, after=self.special.eos)
        return TrainingBatch(
            inputs=inputs,
            targets=targets,
            lengths=torch.from_numpy(lengths),
            continues=False,
            count=int(lengths.sum()),
        )


def bucket_borders(
    lengths: Iterable[int], budget: int, widths: Iterable[int] | None = None
) -> list[int]:
    """Cut rows of ascending length into buckets of at most ``budget`` cells, padding included.

    Args:
        lengths: of the rows.
        budget: most cells, rows × longest row, of a bucket; a row that has more stands alone.
        widths: of a row's other side, in any order, where cells are rows × longest × widest.

    Returns:
        Where the buckets begin and, last, where the last one ends.
    """
    borders, end, rows, widest = [0], 0, 0, 0
    sides = itertools.repeat(1) if widths is None else widths
    for length, width in zip(lengths, sides, strict=False):
        rows += 1
        widest = max(widest, width)
        if rows * length * widest > budget and rows > 1:
            end += rows - 1
            borders.append(end)
            rows, widest = 1, width
    return [*borders, end + rows] if rows else borders


def pad_rows(
    rows: list[NDArray[np.int32]],
    pad: int,
    *,
    before: int | None = None,
    after: int | None = None,
    width: int = 0,
) -> Tensor:
    """Rows of tokens as (B, T) int64, with a mark before or after each, then pad.

    T is the longest row's length, special tokens counted, or ``width`` where that is more. Rows of
    vectors (S, D) give (B, T, D) float32; their marks and padding are zero vectors.
    """
    extra = int(before is not None)
    width = max(width, max(len(row) for row in rows) + extra + int(after is not None))
    if rows[0].ndim == 2:
        return _pad_vectors(rows, width)
    result = np.full((len(rows), width), pad, dtype=np.int64)
    for index, row in enumerate(rows):
        result[index, extra : extra + len(row)] = row
        if after is not None:
            result[index, extra + len(row)] = after
    if before is not None:
        result[:, 0] = before
    return torch.from_numpy(result)


def _pad_vectors(rows: Sequence[NDArray[Any]], width: int) -> Tensor:
    result = np.zeros((len(rows), width, rows[0].shape[1]), dtype=np.float32)
    for index, row in enumerate(rows):
        result[index, : len(row)] = row
    return torch.from_numpy(result)
