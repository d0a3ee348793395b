"""A corpus as many short rows of token numbers: sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textgen.data.documents import Piece, TextSource
from textgen.data.streams import StreamStatistics
from textgen.data.token_digest import digest_of_sequences
from textgen.data.tokenising import count
from textgen.data.tokenizers.base import TextTokenizer, Tokens
from textgen.errors import DataError


class TokenSequences:
    """Sentences, one after the other in one array, and where each begins.

    Args:
        tokens: (T,) all sentences joined.
        starts: (sentences + 1,) int64.
        statistics: counts of the text they were made from.
    """

    def __init__(
        self, tokens: NDArray[Any], starts: NDArray[np.int64], statistics: StreamStatistics
    ) -> None:
        self.tokens, self.starts, self.statistics = tokens, starts, statistics

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(sentences,) int64, bos and eos not counted."""
        return np.diff(self.starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def digest(self, eos: int) -> str:
        """Of the tokens with eos between the sentences; see ``TokenDigest``."""
        return digest_of_sequences(self.tokens, self.starts, eos)

    def __getitem__(self, index: int) -> Tokens:
        """Sentence ``index`` as (T_i,) int32; of vectors (T_i, D) float32."""
        tokens: NDArray[Any] = self.tokens[self.starts[index] : self.starts[index + 1]]
        return tokens if tokens.ndim == 2 else tokens.astype(np.int32)


def sequences_of(rows: Sequence[Sequence[int]]) -> TokenSequences:
    """Sentences that are tokens already."""
    lengths = [len(row) for row in rows]
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    tokens = np.array([token for row in rows for token in row], dtype=np.int32)
    return TokenSequences(tokens, starts, StreamStatistics(len(rows), len(tokens)))


def tokenise_sequences(source: TextSource, tokenizer: TextTokenizer) -> TokenSequences:
    """Encode each document (with ``documents.Lines``: each line) as one sentence.

    A line end is counted as one character and one byte of each, since eos stands for it.

    Raises:
        DataError: if there is no text.
    """
    kind = tokenizer.dtype
    parts: list[NDArray[Any]] = []
    lengths = [0]
    statistics = StreamStatistics()
    line_end = StreamStatistics(characters=1, bytes=1)
    for document in source.documents():
        tokens = tokenizer.encode_array(document)
        parts.append(tokens.astype(kind))
        lengths.append(len(tokens))
        piece = Piece(document, ends_document=True)
        statistics += count(piece, tokens, tokenizer, begins_document=True) + line_end
    if not parts:
        raise DataError(f"{source.name}: there is no text in it.")
    return TokenSequences(np.concatenate(parts), np.cumsum(lengths, dtype=np.int64), statistics)
