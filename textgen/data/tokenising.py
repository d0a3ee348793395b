"""Texts encoded as streams of tokens, kept in the cache where they are large."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from textgen.data.documents import Piece, TextSource, digest
from textgen.data.streams import InMemory, Numbers, StreamStatistics, TokenStream
from textgen.data.token_digest import TokenDigest
from textgen.data.tokenizers.base import TextTokenizer, Tokens
from textgen.data.whitespace import count_words
from textgen.errors import DataError

IN_MEMORY = 1 << 26
"""Streams of more bytes than this are written to disk and mapped."""

_COUNTED = "3"
"""How statistics are counted; another way is another number."""
_GATHERED = 1 << 20
_WRITTEN = 1 << 24


def tokenise_stream(
    source: TextSource,
    tokenizer: TextTokenizer,
    *,
    cache: Path | None = None,
    in_memory: int = IN_MEMORY,
) -> TokenStream:
    """Encode a corpus: its documents one after the other, eos between them.

    A stream of at most ``in_memory`` bytes stays in memory. A longer one is written to an Arrow
    file and mapped, so that its size does not matter; it is found again there as long as neither
    text nor tokenizer changes.

    Args:
        source: read once.
        tokenizer: encodes it.
        cache: folder of the Arrow files; None takes ``cache_folder()``.
        in_memory: bytes.

    Raises:
        DataError: if the text is empty, cannot be read, or the disk is full.
    """
    from textgen.data.mapped import MappedWriter, cache_folder, open_mapped

    key = [_COUNTED, source.fingerprint(), tokenizer.fingerprint()]
    folder = (cache or cache_folder()) / digest(key)
    found = open_mapped(folder)
    if found is not None:
        return found
    kind = tokenizer.dtype
    parts: list[Numbers] = []
    held = 0
    writer: MappedWriter | None = None
    statistics, known = StreamStatistics(), TokenDigest()
    try:
        for tokens, counts in _gathered(_encoded(source, tokenizer), kind):
            statistics += counts
            known.add(tokens)
            parts.append(tokens)
            held += tokens.nbytes
            if held > in_memory:
                writer = writer or MappedWriter(folder, kind)
                writer.write(np.concatenate(parts))
                parts, held, in_memory = [], 0, min(in_memory, _WRITTEN)
    except BaseException:  # Ctrl-C too
        if writer is not None:
            writer.abandon()
        raise
    if not statistics.tokens:
        raise DataError(f"{source.name}: there is no text in it.")
    if writer is None:
        return TokenStream(InMemory(np.concatenate(parts)), statistics, known.text())
    return writer.finish(parts, statistics, known.text())


def _gathered(
    encoded: Iterator[tuple[Tokens, StreamStatistics]], kind: np.dtype[Any]
) -> Iterator[tuple[Numbers, StreamStatistics]]:
    """Join short arrays to longer ones of the smallest dtype."""
    parts: list[Tokens] = []
    statistics, length = StreamStatistics(), 0
    for tokens, counts in encoded:
        parts.append(tokens)
        statistics += counts
        length += len(tokens)
        if length >= _GATHERED:
            yield np.concatenate(parts).astype(kind), statistics
            parts, statistics, length = [], StreamStatistics(), 0
    if parts:
        yield np.concatenate(parts).astype(kind), statistics


def _encoded(
    source: TextSource, tokenizer: TextTokenizer
) -> Iterator[tuple[Tokens, StreamStatistics]]:
    """The tokens of each piece with its counts; eos before each document but the first."""
    eos = np.array([tokenizer.special.eos], dtype=np.int32)
    begun = ended = False
    for piece in source.pieces():
        if ended:
            yield eos, StreamStatistics(tokens=1)
        tokens = tokenizer.encode_array(piece.text)
        yield tokens, count(piece, tokens, tokenizer, begins_document=ended or not begun)
        begun, ended = True, piece.ends_document


def count(
    piece: Piece, tokens: Tokens, tokenizer: TextTokenizer, *, begins_document: bool
) -> StreamStatistics:
    """The counts of one piece and its tokens."""
    ends = piece.ends_document
    text = tokenizer.restored(piece.text, begins=begins_document, ends=ends)
    unknown = tokenizer.special.unknown
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))
    return StreamStatistics(
        documents=int(begins_document),
        tokens=len(tokens),
        characters=len(text),
        bytes=size,
        words=count_words(piece.text),
        unknown=0 if unknown is None else int(np.count_nonzero(tokens == unknown)),
        altered=_differing_lines(piece.text, text),
    )


def _differing_lines(text: str, other: str) -> int:
    if text == other:
        return 0
    pairs = itertools.zip_longest(text.split("\n"), other.split("\n"))
    return sum(a != b for a, b in pairs)
