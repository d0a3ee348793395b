"""Plain and gzipped text files, read in pieces, with errors that say what is wrong and where."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from textgen.data.documents import Piece, TextSource, digest
from textgen.data.encodings import RAW, UTF8
from textgen.errors import DataError

TABLE_ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")

_BLOCK = 1 << 20
_LONGEST = 1 << 24
_GZIP = b"\x1f\x8b"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class TextFile(TextSource):
    """One file of text, gzipped or not; one document.

    Args:
        path: the file; its beginning is looked at.
        encoding: see ``open_text``.

    Raises:
        DataError: if it is missing, empty, binary or a pipe.
    """

    def __init__(self, path: Path, encoding: str = UTF8) -> None:
        check_file(path, encoding)
        self.path, self.encoding = path, encoding

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self.path)

    def pieces(self) -> Iterator[Piece]:
        """The text in pieces of about a million bytes."""
        previous: str | None = None
        for text in read_pieces(self.path, self.encoding):
            if previous is not None:
                yield Piece(previous, ends_document=False)
            previous = text
        if previous is not None:
            yield Piece(previous, ends_document=True)

    def fingerprint(self) -> str:
        """A digest of path, size and time of change."""
        return digest([file_fingerprint(self.path), self.encoding])


def ending(path: Path) -> str:
    """The ending of a file's name in lower case, ``.gz`` left out."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def file_fingerprint(path: Path) -> str:
    """A digest of a file's path, size and time of change."""
    status = path.stat()
    return digest([str(path.resolve()), str(status.st_size), str(status.st_mtime_ns)])


def check_file(path: Path, encoding: str = UTF8) -> None:
    """Refuse what is certainly no text, before anything is begun.

    Raises:
        DataError: if the file is missing, empty, binary, in UTF-16, or a pipe.
    """
    if path.is_fifo():
        raise DataError(
            f"{path}: is a pipe, but a corpus is read more than once: write it to a file first."
        )
    with open_bytes(path) as file:
        start = _read(file, 8192, path)
    if not start:
        raise DataError(f"{path}: is empty.")
    if ending(path) == ".parquet" or encoding != UTF8:
        return
    if start.startswith(_UTF16):
        raise DataError(f"{path}: is UTF-16 text: say --encoding utf-16, or convert it to UTF-8.")
    if b"\0" in start:
        raise _binary(path, start.index(0))


def _binary(path: Path, offset: int) -> DataError:
    return DataError(
        f"{path}: is binary data, not text (a zero byte at offset {offset}). A model of bytes "
        "(tokenizer.kind=bytes) reads any data."
    )


def open_bytes(path: Path) -> IO[bytes]:
    """A file for reading; gzipped data, known by its first bytes, is unpacked on the way.

    Raises:
        DataError: if it cannot be opened.
    """
    try:
        file = path.open("rb")
        # looked at without being taken: a pipe is read once
        zipped = file.peek(2)[:2] == _GZIP
        return _Unzipped(file) if zipped else file  # type: ignore[return-value]
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from None


class _Unzipped(gzip.GzipFile):
    """Gzipped data of an open file, which is closed with it."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(fileobj=file)
        self._file = file

    def close(self) -> None:
        """Close both."""
        super().close()
        self._file.close()


def read_pieces(path: Path, encoding: str = UTF8) -> Iterator[str]:
    """The text of a file, cut where no tokenizer joins characters; a byte order mark is dropped.

    Raises:
        DataError: if the file cannot be read, or is not text in its encoding, or has a zero byte;
            names the place.
    """
    decoder = _Utf8(path) if encoding == UTF8 else _Other(path, encoding)
    rest: list[str] = []
    length = 0
    with open_bytes(path) as file:
        while block := _read(file, _BLOCK, path):
            text = decoder.decode(block)
            cut = _cut(text, force=length > _LONGEST)
            if cut is None:
                rest.append(text)
                length += len(text)
                continue
            yield "".join([*rest, text[:cut]])
            rest, length = [text[cut:]], len(text) - cut
    rest.append(decoder.decode(b"", final=True))
    if last := "".join(rest):
        yield last


def read_lines(path: Path, encoding: str = UTF8) -> Iterator[str]:
    r"""The lines of a file with their ends; only ``\n`` ends a line.

    Raises:
        DataError: as ``read_pieces``.
    """
    rest = ""
    for text in read_pieces(path, encoding):
        lines = (rest + text).split("\n")
        rest = lines.pop()
        yield from (line + "\n" for line in lines)
    if rest:
        yield rest


def _cut(text: str, *, force: bool) -> int | None:
    """Where a text may be cut: after its last line end, else before its last space.

    None if there is no such place, unless ``force``: then at its end.
    """
    cut = text.rfind("\n") + 1 or text.rfind(" ")
    if cut > 0:
        return cut
    return len(text) if force and text else None


class _Utf8:
    """Decodes blocks of bytes and knows where a wrong one stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pending = b""
        self._offset = 0
        self._lines = 1

    def decode(self, block: bytes, *, final: bool = False) -> str:
        """The text that is complete with this block."""
        data = self._pending + block if self._pending else block
        try:
            text, used = codecs.utf_8_decode(data, "strict", final)
        except UnicodeDecodeError as error:
            raise self._error(data, error.start) from None
        if b"\0" in block:
            raise _binary(self.path, self._offset + data.index(0))
        self._pending = data[used:]
        first = self._offset == 0
        self._offset += used
        self._lines += data.count(b"\n", 0, used)
        return text.removeprefix("\ufeff") if first else text

    def _error(self, data: bytes, start: int) -> DataError:
        line = self._lines + data.count(b"\n", 0, start)
        return DataError(
            f"{self.path}: is not UTF-8 text: byte 0x{data[start]:02x} at offset "
            f"{self._offset + start} (line {line}). Name its encoding, as --encoding cp1251, or "
            "convert the file to UTF-8."
        )


class _Other:
    """Decodes blocks of bytes in another encoding, or keeps them as they are."""

    def __init__(self, path: Path, encoding: str) -> None:
        self.path, self.encoding = path, encoding
        errors = "surrogateescape" if encoding == RAW else "strict"
        name = UTF8 if encoding == RAW else encoding
        self._decoder = codecs.getincrementaldecoder(name)(errors)
        self._characters = 0

    def decode(self, block: bytes, *, final: bool = False) -> str:
        """The text that is complete with this block."""
        try:
            text = self._decoder.decode(block, final)
        except UnicodeError as error:
            raise DataError(
                f"{self.path}: is not {self.encoding} text, after {self._characters:,} characters: "
                f"{error}."
            ) from None
        if self.encoding != RAW:
            if "\0" in text:
                place = self._characters + text.index("\0")
                raise DataError(
                    f"{self.path}: is no {self.encoding} text: character {place} is zero."
                )
            text = text.removeprefix("\ufeff") if not self._characters else text
        self._characters += len(text)
        return text


def _read(file: IO[bytes], size: int, path: Path) -> bytes:
    try:
        return file.read(size)
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: the gzipped data is damaged: {error}.") from None
    except EOFError:
        raise DataError(f"{path}: the gzipped data ends too early.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from None
