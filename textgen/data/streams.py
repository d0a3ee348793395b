"""A corpus as one long row of token numbers, in memory or mapped from disk."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from textgen.data.tokenizers.base import Tokens

Numbers = NDArray[Any]


@dataclass(frozen=True)
class StreamStatistics:
    """What a stream was made from; perplexities are taken over these counts.

    Attributes:
        documents: number of documents.
        tokens: length of the stream, the eos between documents included.
        characters: code points of the text as the tokenizer gives it back.
        bytes: bytes of it in UTF-8.
        words: words of the original text; see ``count_words``.
        unknown: tokens that are the unknown token.
        altered: lines that the tokenizer does not give back as they were.
    """

    documents: int = 0
    tokens: int = 0
    characters: int = 0
    bytes: int = 0
    words: int = 0
    unknown: int = 0
    altered: int = 0

    def __add__(self, other: StreamStatistics) -> StreamStatistics:
        """The counts of two texts together."""
        return StreamStatistics(
            self.documents + other.documents,
            self.tokens + other.tokens,
            self.characters + other.characters,
            self.bytes + other.bytes,
            self.words + other.words,
            self.unknown + other.unknown,
            self.altered + other.altered,
        )


class Chunks(Protocol):
    """Where a stream's tokens are."""

    def arrays(self) -> Sequence[Numbers]:
        """Arrays (T_i,) of small integers whose concatenation is the stream."""

    def touched(self, start: int, stop: int) -> None:
        """Told of each part that is read, so that mapped memory can be given back."""


class InMemory:
    """Tokens in one array."""

    def __init__(self, tokens: Numbers) -> None:
        self._arrays = (tokens,)

    def arrays(self) -> Sequence[Numbers]:
        """The one array."""
        return self._arrays

    def touched(self, start: int, stop: int) -> None:
        """Nothing is to be given back."""


class TokenStream:
    """Token numbers of a corpus, and what they were made from.

    Args:
        chunks: where the tokens are.
        statistics: counts of the text they were made from.
        digest: of the tokens; see ``TokenDigest``.
    """

    def __init__(self, chunks: Chunks, statistics: StreamStatistics, digest: str = "") -> None:
        self.statistics, self.digest = statistics, digest
        self._chunks = chunks
        lengths = [len(array) for array in chunks.arrays()]
        self._starts: list[int] = [0, *np.cumsum(lengths).tolist()]

    def __len__(self) -> int:
        return self._starts[-1]

    def slice(self, start: int, stop: int) -> Tokens:
        """Tokens ``start`` to ``stop`` as a new array (stop − start,) int32.

        Raises:
            IndexError: unless 0 ≤ start ≤ stop ≤ length.
        """
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"{start} to {stop} of a stream of {len(self)} tokens")
        result = np.empty(stop - start, dtype=np.int32)
        arrays = self._chunks.arrays()
        index = bisect.bisect_right(self._starts, start) - 1
        position = start
        while position < stop:
            inside = position - self._starts[index]
            part = arrays[index][inside : inside + stop - position]
            result[position - start : position - start + len(part)] = part
            position += len(part)
            index += 1
        self._chunks.touched(start, stop)
        return result


def stream_of(tokens: Sequence[int] | Numbers) -> TokenStream:
    """A stream of tokens at hand; of its text nothing but their number is known."""
    array = np.asarray(tokens, dtype=np.int32)
    return TokenStream(InMemory(array), StreamStatistics(documents=1, tokens=len(array)))
