"""Batches of sentence pairs, grouped by length.

Letters: B pairs, S tokens of the longest source, rounded up, T tokens of the longest target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from textgen.data.batching import TrainingBatch, bucket_borders, pad_rows
from textgen.data.pairs import EncodedPairs
from textgen.errors import DataError
from textgen.protocols import SpecialTokens

Renew = Callable[[int], EncodedPairs]

_JITTER = 2.0


class PairBatches:
    """Pairs of like length side by side: source + eos; bos + target → target + eos.

    Pairs are ordered by the length of the target, then of the source; pairs of equal lengths
    come in another order in each epoch, and so do the batches.

    Args:
        pairs: those of epoch 0.
        batch_tokens: most target tokens in a batch, eos and padding counted; a longer target
            stands alone.
        special: of both tokenizers.
        seed: of the order; None keeps one fixed order, the shortest first.
        renew: makes the pairs of an epoch where epochs differ (sampled segmentations, endless
            corpora); None takes ``pairs`` in each. The number of batches stays that of epoch 0.

    Attributes:
        padding_ratio: cells of both sides of the batches of epoch 0 for each real token, eos
            counted: 1 is no padding.

    Raises:
        DataError: if there is no pair.
    """

    def __init__(
        self,
        pairs: EncodedPairs,
        batch_tokens: int,
        special: SpecialTokens,
        seed: int | None = None,
        renew: Renew | None = None,
    ) -> None:
        if not len(pairs):
            raise DataError("There is no pair to make batches of.")
        self.batch_tokens, self.special, self.seed, self.renew = batch_tokens, special, seed, renew
        self._pairs, self._epoch = pairs, 0
        self._count = len(pairs)
        lengths = np.sort(pairs.target.lengths + 1)
        self._borders = np.array(bucket_borders(lengths.tolist(), batch_tokens))
        self.padding_ratio = self._padding(pairs)

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return len(self._borders) - 1

    def iterate(self, epoch: int, start: int = 0) -> Iterator[TrainingBatch]:
        """The batches of an epoch from number ``start`` on."""
        pairs = self._of(epoch)
        order, batches = self._plan(pairs, epoch)
        borders = self._borders if len(pairs) == self._count else self._scaled(len(pairs))
        for number in batches[start:]:
            yield self._batch(pairs, order[borders[number] : borders[number + 1]])

    def _of(self, epoch: int) -> EncodedPairs:
        """The pairs of an epoch; those of the last one asked for are kept."""
        if self.renew is not None and epoch != self._epoch:
            self._pairs, self._epoch = self.renew(epoch), epoch
            if len(self._pairs) < len(self):
                raise DataError(f"Epoch {epoch} has fewer pairs than there are batches.")
        return self._pairs

    def _scaled(self, count: int) -> NDArray[np.int64]:
        """The groups' borders for another number of pairs, at least one in each."""
        groups = np.arange(len(self._borders))
        borders = np.round(self._borders * (count / self._count)).astype(np.int64)
        borders = np.maximum.accumulate(borders - groups) + groups
        return np.minimum(borders, count - groups[::-1])

    def _padding(self, pairs: EncodedPairs) -> float:
        order, _ = self._plan(pairs, 0)
        cells = 0
        for side, width in ((pairs.source, source_width), (pairs.target, np.asarray)):
            longest = np.maximum.reduceat(side.lengths[order] + 1, self._borders[:-1])
            longest = width(longest)
            cells += int((longest * np.diff(self._borders)).sum())
        real = int(pairs.source.lengths.sum() + pairs.target.lengths.sum()) + 2 * len(pairs)
        return cells / real

    def _plan(self, pairs: EncodedPairs, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pairs by length, and the order of the batches."""
        sources, targets = pairs.source.lengths, pairs.target.lengths
        # up and down in turn, so that lengths of sources do not leap where targets get longer
        turn = np.where(targets % 2, 1, -1)
        if self.seed is None:
            return np.lexsort((turn * sources, targets)), np.arange(len(self))
        generator = np.random.default_rng([self.seed, epoch])
        # noise lets pairs of nearly equal length change their neighbours from epoch to epoch
        noisy = sources + generator.uniform(0, _JITTER, len(sources))
        order = np.lexsort((turn * noisy, targets))
        return order, generator.permutation(len(self))

    def _batch(self, pairs: EncodedPairs, chosen: NDArray[np.int64]) -> TrainingBatch:
        sources = [pairs.source[int(each)] for each in chosen]
        targets = [pairs.target[int(each)] for each in chosen]
        lengths = pairs.target.lengths[chosen] + 1
        source_lengths = pairs.source.lengths[chosen] + 1
        return TrainingBatch(
            inputs=pad_rows(targets, self.special.pad, before=self.special.bos),
            targets=pad_rows(targets, self.special.pad, after=self.special.eos),
            lengths=torch.from_numpy(lengths),
            continues=False,
            count=int(lengths.sum()),
            source=pad_rows(
                sources,
                self.special.pad,
                after=self.special.eos,
                width=int(source_width(source_lengths.max())),
            ),
            source_lengths=torch.from_numpy(source_lengths),
        )


def source_width(longest: ArrayLike) -> NDArray[np.int64]:
    """S for the longest source: a multiple of 2, and of 4 from 12 on.

    Each new shape costs a compilation of the recurrent kernels, so shapes are kept few.
    """
    lengths = np.asarray(longest, dtype=np.int64)
    return lengths + -lengths % np.where(lengths < 12, 2, 4)
