"""Pairs of sentences as token numbers; what was left out or cut is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from textgen.data.documents import Piece
from textgen.data.parallel import ParallelSource
from textgen.data.sequences import TokenSequences
from textgen.data.streams import StreamStatistics
from textgen.data.tokenising import count
from textgen.data.tokenizers.base import TextTokenizer, Tokens
from textgen.data.tokenizers.sampling import SubwordSampler
from textgen.data.tokenizers.subwords import SubwordTokenizer
from textgen.errors import DataError


@dataclass(frozen=True)
class PairLimits:
    """Which pairs are too long, and what is done with them."""

    source_tokens: Annotated[int, Ge(1), "longest source, in tokens"] = 200
    target_tokens: Annotated[int, Ge(1), "longest target, in tokens"] = 200
    over_long: Annotated[
        Literal["drop", "cut"], "leave a longer pair out, or keep its first tokens"
    ] = "drop"


@dataclass(frozen=True)
class PairStatistics:
    """What became of a parallel corpus.

    Attributes:
        pairs: kept.
        empty: left out because a side was blank.
        over_long: left out, or cut, because a side had too many tokens.
        source: counts of the kept source sentences, line ends not counted.
        target: counts of the kept target sentences.
    """

    pairs: int
    empty: int
    over_long: int
    source: StreamStatistics
    target: StreamStatistics

    def describe(self, limits: PairLimits) -> str:
        """One sentence for people."""
        text = f"{self.pairs:,} pairs"
        if self.empty:
            text += f"; {self.empty:,} with an empty side left out"
        if self.over_long:
            done = "left out" if limits.over_long == "drop" else "cut"
            longest = f"{limits.source_tokens} or {limits.target_tokens} tokens"
            text += f"; {self.over_long:,} longer than {longest} {done}"
        return text + "."


@dataclass(frozen=True)
class EncodedPairs:
    """Source and target sentences in the same order, without bos and eos."""

    source: TokenSequences
    target: TokenSequences
    statistics: PairStatistics

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True)
class PairEncoder:
    """Makes the token pairs of an epoch; the same ones for the same (seed, epoch).

    Attributes:
        corpus: the pairs.
        source: tokenizer of the source side.
        target: tokenizer of the target side.
        limits: on their lengths.
        source_dropout: of merges (BPE-dropout), or temperature of a unigram model's sampled
            segmentations; 0 always takes the best segmentation.
        target_dropout: likewise.
        seed: of the sampled segmentations.
    """

    corpus: ParallelSource
    source: TextTokenizer
    target: TextTokenizer
    limits: PairLimits = field(default_factory=PairLimits)
    source_dropout: Annotated[float, Ge(0), Le(1)] = 0.0
    target_dropout: Annotated[float, Ge(0), Le(1)] = 0.0
    seed: int = 0

    @property
    def varies(self) -> bool:
        """Whether epochs differ."""
        return self.corpus.endless or self.source_dropout > 0 or self.target_dropout > 0

    def __call__(self, epoch: int = 0) -> EncodedPairs:
        """Encode the pairs of an epoch.

        Raises:
            DataError: if no pair is left, or dropout is asked of a tokenizer without subwords.
        """
        limits = self.limits
        encode_source = self._encoder(self.source, self.source_dropout, (epoch, 0))
        encode_target = self._encoder(self.target, self.target_dropout, (epoch, 1))
        source, target = _Side(self.source), _Side(self.target)
        empty = over_long = 0
        for pair in self.corpus.pairs(epoch):
            texts = pair.source.strip(), pair.target.strip()
            tokens = encode_source(texts[0]), encode_target(texts[1])
            if not (len(tokens[0]) and len(tokens[1])):
                empty += 1
                continue
            if len(tokens[0]) > limits.source_tokens or len(tokens[1]) > limits.target_tokens:
                over_long += 1
                if limits.over_long == "drop":
                    continue
            source.add(texts[0], tokens[0][: limits.source_tokens])
            target.add(texts[1], tokens[1][: limits.target_tokens])
        if len(source.lengths) == 1:
            raise DataError(
                f"{self.corpus.name}: no pair is left to use: {empty:,} have an empty side, "
                f"{over_long:,} are too long."
            )
        counts = source.statistics, target.statistics
        statistics = PairStatistics(len(source.lengths) - 1, empty, over_long, *counts)
        return EncodedPairs(source.finish(), target.finish(), statistics)

    def _encoder(
        self, tokenizer: TextTokenizer, dropout: float, position: tuple[int, int]
    ) -> Callable[[str], Tokens]:
        """How a side is encoded; position: epoch and side."""
        if not dropout:
            return tokenizer.encode_array
        if not isinstance(tokenizer, SubwordTokenizer):
            raise DataError(
                f"Only subwords can be cut at random, but the tokens are {tokenizer.kind}: "
                "set the dropout of segmentation to 0, or tokenizer.kind to bpe or unigram."
            )
        seed = int(np.random.SeedSequence([self.seed, *position]).generate_state(1)[0])
        return SubwordSampler(tokenizer, dropout, seed).encode_array


class _Side:
    """Collects the sentences of one side."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self.tokenizer = tokenizer
        self.kind = tokenizer.dtype
        self.parts: list[NDArray[Any]] = []
        self.lengths = [0]
        self.statistics = StreamStatistics()

    def add(self, text: str, tokens: Tokens) -> None:
        """Append a sentence."""
        self.parts.append(tokens.astype(self.kind))
        self.lengths.append(len(tokens))
        piece = Piece(text, ends_document=True)
        self.statistics += count(piece, tokens, self.tokenizer, begins_document=True)

    def finish(self) -> TokenSequences:
        """All sentences in one array."""
        starts = np.cumsum(self.lengths, dtype=np.int64)
        return TokenSequences(np.concatenate(self.parts), starts, self.statistics)
