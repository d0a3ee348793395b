"""Rows of csv, tsv, json, jsonl and parquet files, read one by one."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textgen.data.documents import Piece, TextSource, digest
from textgen.data.encodings import UTF8, has_surrogate
from textgen.data.files import check_file, ending, file_fingerprint, read_lines, read_pieces
from textgen.errors import DataError, nearest

Row = Mapping[str, Any]

_LONGEST_FIELD = 1 << 30
_DEFAULT_COLUMN = "text"
_TRANSLATION = "translation"
_LOOKED_AT = 1000
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_DOUBLED = re.compile(r'"(?:[^"]|"")*""(?:[^"]|"")*"')


class TableFile(TextSource):
    """A document for each row of a table; rows whose column is empty or missing are left out.

    Args:
        path: a .csv, .tsv, .json, .jsonl or .parquet file.
        column: which column is the text; None where there is one only, or one called "text"; a
            number, from 1, of a table without a header.
        encoding: of the file.

    Raises:
        DataError: if the file cannot be read, or has no such column.
    """

    def __init__(self, path: Path, column: str | None, encoding: str = UTF8) -> None:
        check_file(path, encoding)
        wanted = [] if column is None else [column]
        self.table = open_table(path, wanted, encoding)
        self.path = path
        self.column = choose_column(self.table.columns(wanted), column, str(path))

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self.path)

    def pieces(self) -> Iterator[Piece]:
        """Each row as one document."""
        for where, row in self.table.rows():
            text = cell(row, self.column, where)
            if text:
                yield Piece(text, ends_document=True)

    def fingerprint(self) -> str:
        """A digest of the file's fingerprint, its encoding and the column."""
        return digest([file_fingerprint(self.path), self.table.encoding, self.column])


@dataclass(frozen=True)
class Table:
    """A table as a file.

    In .csv and .tsv files (and others that are no tables by their names, read as .tsv) the first
    line names the columns, unless ``header`` is false: then they are called 1, 2, …

    Attributes:
        path: the file.
        header: whether the first line names the columns.
        encoding: of the file.
    """

    path: Path
    header: bool = True
    encoding: str = UTF8

    def rows(self) -> Iterator[tuple[str, Row]]:
        """Each row, names to values, and where it stands: file and line, or file and row.

        Raises:
            DataError: if the file is not what its ending says; names the row or line.
        """
        return _READERS.get(ending(self.path), _read_tsv)(self)

    def columns(self, wanted: Sequence[str] = ()) -> list[str]:
        """The names of the columns: those of the first rows, until all that are wanted occurred.

        Raises:
            DataError: if there is no row.
        """
        found: dict[str, None] = {}
        for number, (_, row) in enumerate(self.rows()):
            found.update(dict.fromkeys(row))
            enough = _LOOKED_AT if wanted else 0
            if number >= enough or (wanted and all(name in found for name in wanted)):
                break
        if not found:
            raise DataError(f"{self.path}: has no rows.")
        return list(found)


def open_table(path: Path, wanted: Sequence[str], encoding: str = UTF8) -> Table:
    """A table, with a header unless the columns that are wanted are numbers that it does not name.

    Raises:
        DataError: if it cannot be read.
    """
    table = Table(path, encoding=encoding)
    delimited = ending(path) not in {".json", ".jsonl", ".ndjson", ".parquet"}
    if delimited and wanted and all(name.isdecimal() for name in wanted):
        first = next((list(row) for _, row in table.rows()), [])
        if not set(wanted) <= set(first):
            return Table(path, header=False, encoding=encoding)
    return table


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
    if has_surrogate(value):
        raise DataError(
            f"{where}: the column {column!r} has half of a surrogate pair (\\ud800 to \\udfff), "
            "which is no character: repair the text."
        )
    return value


def _read_csv(table: Table) -> Iterator[tuple[str, Row]]:
    lines = list(itertools.islice(read_lines(table.path, table.encoding), 2))
    return _rows_of(table, _parsed(table, _delimiter(lines), csv.QUOTE_MINIMAL))


def _delimiter(lines: Sequence[str]) -> str:
    """The comma; another mark if the header has none and the first row agrees about it."""
    header = lines[0] if lines else ""
    if "," not in header:
        for mark in ";\t|":
            counts = {len(next(csv.reader([line], delimiter=mark), [])) for line in lines}
            if mark in header and len(counts) == 1:
                return mark
    return ","


def _read_tsv(table: Table) -> Iterator[tuple[str, Row]]:
    quoting = csv.QUOTE_MINIMAL if _is_quoted(table) else csv.QUOTE_NONE
    return _rows_of(table, _parsed(table, "\t", quoting))


def _is_quoted(table: Table) -> bool:
    """Whether quotes in a .tsv file are those of a program that writes csv.

    In plain ones they are text: a sentence may begin with a quote. They are a program's if the
    header or some field has them as only a program writes them (around all names of the header,
    or around a field with quotes in it, doubled), or if lines have too few fields without them;
    and if the file can be read that way.
    """
    lines = list(itertools.islice(read_lines(table.path, table.encoding), _LOOKED_AT))
    plain = [line.rstrip("\r\n").split("\t") for line in lines]
    if not plain or not any('"' in line for line in lines):
        return False
    written = all(_QUOTED.fullmatch(name) for name in plain[0]) or any(
        _DOUBLED.fullmatch(field) for fields in plain for field in fields
    )
    odd = len({len(fields) for fields in plain if fields != [""]}) > 1
    if not (written or odd):
        return False
    reader = csv.reader(lines, delimiter="\t", strict=True)
    counts: set[int] = set()
    try:
        counts.update(len(fields) for fields in reader if fields)
    except csv.Error:
        if reader.line_num < len(lines) or len(lines) < _LOOKED_AT:  # else a row goes on
            return False
    return counts == {len(next(csv.reader(lines, delimiter="\t")))}


def _parsed(table: Table, delimiter: str, quoting: Any) -> Iterator[tuple[int, list[str]]]:
    """The fields of each row, blank lines left out, and the line on which it ends."""
    csv.field_size_limit(_LONGEST_FIELD)
    lines = read_lines(table.path, table.encoding)
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
    try:
        for fields in reader:
            if fields:
                yield reader.line_num, fields
    except csv.Error as error:
        problem = str(error)
        if "new-line character" in problem:
            problem = "a carriage return (\\r) stands in a field without quotes around it"
        raise DataError(f"{table.path}, line {reader.line_num}: {problem}.") from None


def _rows_of(table: Table, parsed: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[str, Row]]:
    """Rows with the names of their columns."""
    names: list[str] | None = None
    for number, fields in parsed:
        if names is None:
            names = fields if table.header else [str(n) for n in range(1, len(fields) + 1)]
            if table.header:
                continue
        if len(fields) != len(names):
            raise DataError(
                f"{table.path}, line {number}: {len(fields)} fields, "
                f"but the first line names {len(names)}: {', '.join(names)}."
            )
        yield f"{table.path}, line {number}", dict(zip(names, fields, strict=True))


def _read_json_lines(table: Table) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(read_lines(table.path, table.encoding), 1):
        if line.strip():
            where = f"{table.path}, line {number}"
            yield where, _json_row(line, where)


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
    nested = row.get(_TRANSLATION)
    return {**nested, **row} if isinstance(nested, dict) else row


def _read_json(table: Table) -> Iterator[tuple[str, Row]]:
    """A list of objects, or of texts; or the single list of an object."""
    path = table.path
    try:
        data = json.loads("".join(read_pieces(path, table.encoding)))
    except ValueError as error:
        raise DataError(f"{path}: is not valid JSON: {error}.") from None
    if isinstance(data, dict):
        lists = [value for value in data.values() if isinstance(value, list)]
        data = lists[0] if len(lists) == 1 else [data]
    if not isinstance(data, list):
        raise DataError(f"{path}: a list of rows is expected, not {type(data).__name__}.")
    for number, row in enumerate(data, 1):
        where = f"{path}, row {number}"
        yield where, _as_row(row, where)


def _read_parquet(table: Table) -> Iterator[tuple[str, Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, number = table.path, 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    where = f"{path}, row {number}"
                    yield where, _as_row(row, where)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: is not a Parquet file that can be read: {error}") from None


_READERS: dict[str, Callable[[Table], Iterator[tuple[str, Row]]]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".json": _read_json,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".parquet": _read_parquet,
}
