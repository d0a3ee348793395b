"""Texts that can be read again and again, in pieces, without being held in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from textgen.arguments import listed


class Piece(NamedTuple):
    """A part of a document.

    Attributes:
        text: cut where no tokenizer joins characters: before white space, or after a line's end.
        ends_document: no further piece of this document follows.
    """

    text: str
    ends_document: bool


class TextSource(Protocol):
    """Documents that can be iterated more than once; ``pieces`` is what a source must offer."""

    @property
    def name(self) -> str:
        """What the text is called in messages."""

    def pieces(self) -> Iterator[Piece]:
        """The documents in pieces of bounded size.

        Raises:
            DataError: if the text cannot be read; says what and where.
        """

    def fingerprint(self) -> str:
        """Changes whenever the text may have changed; by it token streams are cached."""

    def documents(self) -> Iterator[str]:
        """The documents, each whole (a document must fit in memory)."""
        parts: list[str] = []
        for piece in self.pieces():
            parts.append(piece.text)
            if piece.ends_document:
                yield "".join(parts)
                parts = []


class Texts(TextSource):
    """Documents that are in memory already."""

    def __init__(self, documents: Sequence[str], name: str = "text") -> None:
        self._documents = tuple(listed(documents, "documents"))
        self._name = name

    @property
    def name(self) -> str:
        """What the text is called in messages."""
        return self._name

    def pieces(self) -> Iterator[Piece]:
        """Each document as one piece."""
        return (Piece(document, ends_document=True) for document in self._documents)

    def fingerprint(self) -> str:
        """A digest of the documents."""
        return digest(self._documents)


class Part(TextSource):
    """Characters ``start`` to ``stop`` of a source, all its documents counted as one text."""

    def __init__(self, source: TextSource, start: int, stop: int, name: str) -> None:
        self.source, self.start, self.stop = source, start, stop
        self._name = name

    @property
    def name(self) -> str:
        """What the part is called in messages."""
        return self._name

    def pieces(self) -> Iterator[Piece]:
        """The pieces that lie inside, cut at the borders."""
        position = 0
        for text, ends_document in self.source.pieces():
            begin, end = position, position + len(text)
            position = end
            inside = text[max(self.start - begin, 0) : max(self.stop - begin, 0)]
            last = end >= self.stop
            if inside or (ends_document and begin > self.start):
                yield Piece(inside, ends_document=ends_document or last)
            if last:
                return

    def fingerprint(self) -> str:
        """A digest of the source's fingerprint and the borders."""
        return digest([self.source.fingerprint(), str(self.start), str(self.stop)])


class Lines(TextSource):
    """The lines of a source, each a document without its line end; blank lines are left out.

    Args:
        source: whose lines.
        choose: keeps a line if true; None keeps all.
        name: what the lines are called; None takes the source's name.
        tag: tells this choice from others in the fingerprint.
    """

    def __init__(
        self,
        source: TextSource,
        choose: LineChoice | None = None,
        name: str | None = None,
        tag: str = "",
    ) -> None:
        self.source, self.choose, self.tag = source, choose, tag
        self._name = name or source.name

    @property
    def name(self) -> str:
        """What the lines are called in messages."""
        return self._name

    def pieces(self) -> Iterator[Piece]:
        """Each line as one document."""
        for line in split_lines(self.source.pieces()):
            if line.strip() and (self.choose is None or self.choose(line)):
                yield Piece(line, ends_document=True)

    def fingerprint(self) -> str:
        """A digest of the source's fingerprint and the choice."""
        return digest([self.source.fingerprint(), "lines", self.tag])


class LineChoice(Protocol):
    """Decides on a line."""

    def __call__(self, line: str, /) -> bool:
        """Keep the line?"""


def split_lines(pieces: Iterable[Piece]) -> Iterator[str]:
    r"""The lines of all documents without their ends (``\n`` or ``\r\n``)."""
    rest = ""
    for text, ends_document in pieces:
        lines = (rest + text).split("\n") if rest else text.split("\n")
        rest = lines.pop()
        yield from (line.removesuffix("\r") for line in lines)
        if ends_document and rest:
            yield rest.removesuffix("\r")
            rest = ""


def digest(parts: Iterable[str]) -> str:
    """A hexadecimal digest of strings; their borders count."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()
