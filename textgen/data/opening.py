"""Files, folders and tables opened as sources of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from textgen.data.documents import Piece, TextSource, digest
from textgen.data.encodings import RAW, UTF8, check_encoding
from textgen.data.files import TABLE_ENDINGS, TextFile, ending
from textgen.data.tables import TableFile
from textgen.errors import DataError


def open_text(
    paths: str | Path | Sequence[str | Path],
    *,
    column: str | None = None,
    encoding: str = UTF8,
) -> TextSource:
    """Text from files, whatever their kind; by the endings of their names.

    Args:
        paths: a file, a folder (all its files, by name; hidden ones left out), or several of
            them. .csv, .tsv, .json, .jsonl and .parquet give a document for each row, other
            files are one document each; any of them may be gzipped.
        column: the column of tables that holds the text; needed where there are several and
            none is called "text".
        encoding: of the files, or "raw" for bytes of any kind, as a model of bytes reads them.

    Raises:
        DataError: if a file is missing, empty, binary or a pipe, or a column is missing.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    files = [file for path in given for file in _files(Path(path))]
    if not files:
        raise DataError("No file was given.")
    encoding = check_encoding(encoding)
    sources = [_open_file(file, column, encoding) for file in files]
    if len(sources) == 1:
        return sources[0]
    name = str(given[0]) if len(given) == 1 else f"{given[0]} and {len(given) - 1} more"
    return Chain(sources, name)


def _open_file(path: Path, column: str | None, encoding: str) -> TextSource:
    if ending(path) in TABLE_ENDINGS and encoding != RAW:
        return TableFile(path, column, encoding)
    return TextFile(path, encoding)


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


def joined(sources: Iterable[TextSource], name: str) -> TextSource:
    """Several sources as one; a single one stays itself."""
    found = list(sources)
    return found[0] if len(found) == 1 else Chain(found, name)
