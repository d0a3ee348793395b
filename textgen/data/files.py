"""Plain and gzipped text files, read in pieces, with errors that say what is wrong and where."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from textgen.data.documents import Piece, TextSource, digest
from textgen.errors import DataError

TABLE_ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")

_BLOCK = 1 << 20
_LONGEST = 1 << 24
_GZIP = b"\x1f\x8b"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def open_text(paths: str | Path | Sequence[str | Path], *, column: str | None = None) -> TextSource:
    """Text from files, whatever their kind; by the endings of their names.

    Args:
        paths: a file, a folder (all its files, by name; hidden ones left out), or several of
            them. .csv, .tsv, .json, .jsonl and .parquet give a document for each row, other
            files are one document each; any of them may be gzipped.
        column: the column of tables that holds the text; needed where there are several and
            none is called "text".

    Raises:
        DataError: if a file is missing, empty, binary or a pipe, or a column is missing.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    files = [file for path in given for file in _files(Path(path))]
    if not files:
        raise DataError("No file was given.")
    sources = [_open_file(file, column) for file in files]
    if len(sources) == 1:
        return sources[0]
    name = str(given[0]) if len(given) == 1 else f"{given[0]} and {len(given) - 1} more"
    return Chain(sources, name)


def _open_file(path: Path, column: str | None) -> TextSource:
    from textgen.data.tables import TableFile

    if ending(path) in TABLE_ENDINGS:
        return TableFile(path, column)
    return TextFile(path)


class TextFile(TextSource):
    """One file of UTF-8 text, gzipped or not; one document.

    Args:
        path: the file; its beginning is looked at.

    Raises:
        DataError: if it is missing, empty, binary or a pipe.
    """

    def __init__(self, path: Path) -> None:
        check_file(path)
        self.path = path

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self.path)

    def pieces(self) -> Iterator[Piece]:
        """The text in pieces of about a million bytes."""
        previous: str | None = None
        for text in read_pieces(self.path):
            if previous is not None:
                yield Piece(previous, ends_document=False)
            previous = text
        if previous is not None:
            yield Piece(previous, ends_document=True)

    def fingerprint(self) -> str:
        """A digest of path, size and time of change."""
        return file_fingerprint(self.path)


class Chain(TextSource):
    """Several sources, one after the other."""

    def __init__(self, sources: Sequence[TextSource], name: str) -> None:
        self.sources = tuple(sources)
        self._name = name

    @property
    def name(self) -> str:
        """What the whole is called in messages."""
        return self._name

    def pieces(self) -> Iterator[Piece]:
        """The pieces of each source in turn."""
        for source in self.sources:
            yield from source.pieces()

    def fingerprint(self) -> str:
        """A digest of the sources' fingerprints."""
        return digest(source.fingerprint() for source in self.sources)


def ending(path: Path) -> str:
    """The ending of a file's name in lower case, ``.gz`` left out."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def file_fingerprint(path: Path) -> str:
    """A digest of a file's path, size and time of change."""
    status = path.stat()
    return digest([str(path.resolve()), str(status.st_size), str(status.st_mtime_ns)])


def _files(path: Path) -> list[Path]:
    """The path itself, or the files of a folder."""
    if not path.is_dir():
        return [path]
    found = sorted(
        each
        for each in path.rglob("*")
        if each.is_file()
        and not any(part.startswith(".") for part in each.relative_to(path).parts)
        and each.stat().st_size
    )
    if not found:
        raise DataError(f"{path}: the folder holds no files with text.")
    return found


def check_file(path: Path) -> None:
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
    if ending(path) == ".parquet":
        return
    if start.startswith(_UTF16):
        raise DataError(f"{path}: is UTF-16 text: convert it to UTF-8, for example with iconv.")
    if b"\0" in start:
        raise DataError(f"{path}: is binary data, not text (a zero byte at {start.index(0)}).")


def open_bytes(path: Path) -> IO[bytes]:
    """A file for reading; gzipped data, known by its first bytes, is unpacked on the way.

    Raises:
        DataError: if it cannot be opened.
    """
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == _GZIP
        return gzip.open(path) if zipped else path.open("rb")  # type: ignore[return-value]
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from None


def read_pieces(path: Path) -> Iterator[str]:
    """The text of a file, cut where no tokenizer joins characters; a byte order mark is dropped.

    Raises:
        DataError: if the file cannot be read or is not UTF-8; names the byte and the line.
    """
    decoder = _Utf8(path)
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


def read_lines(path: Path) -> Iterator[str]:
    r"""The lines of a file with their ends; only ``\n`` ends a line.

    Raises:
        DataError: as ``read_pieces``.
    """
    rest = ""
    for text in read_pieces(path):
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
        self._pending = data[used:]
        first = self._offset == 0
        self._offset += used
        self._lines += data.count(b"\n", 0, used)
        return text.removeprefix("\ufeff") if first else text

    def _error(self, data: bytes, start: int) -> DataError:
        line = self._lines + data.count(b"\n", 0, start)
        return DataError(
            f"{self.path}: is not UTF-8 text: byte 0x{data[start]:02x} at offset "
            f"{self._offset + start} (line {line}). Convert the file to UTF-8 first."
        )


def _read(file: IO[bytes], size: int, path: Path) -> bytes:
    try:
        return file.read(size)
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: the gzipped data is damaged: {error}.") from None
    except EOFError:
        raise DataError(f"{path}: the gzipped data ends too early.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from None


def joined(sources: Iterable[TextSource], name: str) -> TextSource:
    """Several sources as one; a single one stays itself."""
    found = list(sources)
    return found[0] if len(found) == 1 else Chain(found, name)
