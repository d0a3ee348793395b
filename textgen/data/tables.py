"""Rows of csv, tsv, json, jsonl and parquet files, read one by one."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from textgen.data.documents import Piece, TextSource, digest
from textgen.data.files import check_file, ending, file_fingerprint, read_lines, read_pieces
from textgen.errors import DataError, nearest

Row = Mapping[str, Any]

_LONGEST_FIELD = 1 << 30
_DEFAULT_COLUMN = "text"


class TableFile(TextSource):
    """A document for each row of a table; rows whose column is empty are left out.

    Args:
        path: a .csv, .tsv, .json, .jsonl or .parquet file.
        column: which column is the text; None where there is one only, or one called "text".

    Raises:
        DataError: if the file cannot be read, or has no such column.
    """

    def __init__(self, path: Path, column: str | None) -> None:
        check_file(path)
        self.path = path
        self.column = choose_column(columns(path), column, str(path))

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self.path)

    def pieces(self) -> Iterator[Piece]:
        """Each row as one document."""
        for number, row in enumerate(read_rows(self.path), 1):
            text = cell(row, self.column, f"{self.path}, row {number}")
            if text:
                yield Piece(text, ends_document=True)

    def fingerprint(self) -> str:
        """A digest of the file's fingerprint and the column."""
        return digest([file_fingerprint(self.path), self.column])


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a table, each as names to values.

    In .csv and .tsv files the first line names the columns. Quotes mean something in .csv only:
    in .tsv they are text.

    Raises:
        DataError: if the file is not what its ending says; names the row or line.
    """
    return _READERS[ending(path)](path)


def columns(path: Path) -> list[str]:
    """The names of a table's columns: those of the first row.

    Raises:
        DataError: if there is no row.
    """
    first = next(iter(read_rows(path)), None)
    if first is None:
        raise DataError(f"{path}: has no rows.")
    return list(first)


def choose_column(available: Sequence[str], wanted: str | None, where: str) -> str:
    """The column that holds the text.

    Raises:
        DataError: if there is no such column (with the nearest), or the choice is open.
    """
    if wanted is not None:
        if wanted not in available:
            raise DataError(f"{where}: there is no column {wanted!r}.{nearest(wanted, available)}")
        return wanted
    if len(available) == 1:
        return available[0]
    if _DEFAULT_COLUMN in available:
        return _DEFAULT_COLUMN
    raise DataError(f"{where}: say which column holds the text: {', '.join(available)}.")


def cell(row: Row, column: str, where: str) -> str:
    """The text of a row's column; empty if it is missing or null.

    Raises:
        DataError: if it is no text.
    """
    value = row.get(column)
    if value is None:
        return ""
    if not isinstance(value, str):
        kind = type(value).__name__
        raise DataError(f"{where}: the column {column!r} holds {kind}, not text: {value!r:.40}.")
    return value


def _read_csv(path: Path) -> Iterator[Row]:
    return _read_delimited(path, ",", csv.QUOTE_MINIMAL)


def _read_tsv(path: Path) -> Iterator[Row]:
    return _read_delimited(path, "\t", csv.QUOTE_NONE)


def _read_delimited(path: Path, delimiter: str, quoting: Any) -> Iterator[Row]:
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(read_lines(path), delimiter=delimiter, quoting=quoting, strict=True)
    try:
        header = next(reader, [])
        for fields in reader:
            if not fields:
                continue
            if len(fields) != len(header):
                raise DataError(
                    f"{path}, line {reader.line_num}: {len(fields)} fields, "
                    f"but the first line names {len(header)}: {', '.join(header)}."
                )
            yield dict(zip(header, fields, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}.") from None


def _read_json_lines(path: Path) -> Iterator[Row]:
    for number, line in enumerate(read_lines(path), 1):
        if line.strip():
            yield _json_row(line, f"{path}, line {number}")


def _json_row(text: str, where: str) -> Row:
    try:
        row = json.loads(text)
    except ValueError as error:
        raise DataError(f"{where}: is not valid JSON: {error}.") from None
    return _as_row(row, where)


def _as_row(row: Any, where: str) -> Row:
    if isinstance(row, str):
        return {_DEFAULT_COLUMN: row}
    if not isinstance(row, dict):
        raise DataError(f"{where}: a row must be an object or a text, not {type(row).__name__}.")
    return row


def _read_json(path: Path) -> Iterator[Row]:
    """A list of objects, or of texts; or the single list of an object."""
    try:
        data = json.loads("".join(read_pieces(path)))
    except ValueError as error:
        raise DataError(f"{path}: is not valid JSON: {error}.") from None
    if isinstance(data, dict):
        lists = [value for value in data.values() if isinstance(value, list)]
        data = lists[0] if len(lists) == 1 else [data]
    if not isinstance(data, list):
        raise DataError(f"{path}: a list of rows is expected, not {type(data).__name__}.")
    for number, row in enumerate(data, 1):
        yield _as_row(row, f"{path}, row {number}")


def _read_parquet(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: is not a Parquet file that can be read: {error}") from None


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".json": _read_json,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".parquet": _read_parquet,
}
