"""Text of Hugging Face data sets, by name, map-style or streaming, through ``datasets``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from textgen.data.documents import Piece, TextSource, digest
from textgen.data.tables import Row, cell, choose_column
from textgen.errors import DataError, nearest

Rows = Literal["documents", "lines"]

_VALID_NAMES = ("validation", "valid", "val", "dev")
_ROWS_AT_ONCE = 1000


class HubText(TextSource):
    """One split of a data set.

    Args:
        table: its rows.
        column: of the text; None where there is one only, or one called "text".
        rows: "documents": each row is one; "lines": all rows are the lines of one document.

    Raises:
        DataError: if there is no such column.
    """

    def __init__(
        self, table: HubTable, column: str | None = None, rows: Rows = "documents"
    ) -> None:
        self.table, self.rows = table, rows
        self.column = choose_column(table.columns(), column, table.name)

    @property
    def name(self) -> str:
        """Name of data set and split."""
        return self.table.name

    def pieces(self) -> Iterator[Piece]:
        """Each row as a piece; empty rows are left out of documents."""
        lines = self.rows == "lines"
        for number, row in enumerate(self.table.rows(), 1):
            text = cell(row, self.column, f"{self.name}, row {number}")
            if lines:
                yield Piece(text if text.endswith("\n") else text + "\n", ends_document=False)
            elif text:
                yield Piece(text, ends_document=True)
        if lines:
            yield Piece("", ends_document=True)

    def fingerprint(self) -> str:
        """A digest of what was asked for, and of the data where they are known."""
        return digest([self.table.fingerprint(), self.column, self.rows])


class HubTable:
    """The rows of one split.

    Args:
        dataset: a ``datasets.Dataset`` or ``datasets.IterableDataset``.
        name: what it is called in messages.
    """

    def __init__(self, dataset: Any, name: str) -> None:
        self._dataset, self.name = dataset, name

    def columns(self) -> list[str]:
        """The names of the columns.

        Raises:
            DataError: if the data set has no rows.
        """
        names = self._dataset.column_names
        if names is None:
            names = list(next(self.rows(), {}))
        if not names:
            raise DataError(f"{self.name}: has no rows.")
        return list(names)

    def class_names(self, column: str) -> list[str]:
        """The names that a column's whole numbers stand for (``ClassLabel``); empty if none."""
        feature = (self._dataset.features or {}).get(column)
        while feature is not None and not hasattr(feature, "names"):
            feature = getattr(feature, "feature", None)
        return list(getattr(feature, "names", None) or ())

    def rows(self) -> Iterator[Row]:
        """All rows.

        Raises:
            DataError: if they cannot be fetched.
        """
        try:
            for batch in self._dataset.iter(batch_size=_ROWS_AT_ONCE):
                names = list(batch)
                for values in zip(*batch.values(), strict=True):
                    yield dict(zip(names, values, strict=True))
        except _failures() as error:
            raise DataError(f"{self.name}: cannot be read: {error}") from None

    def fingerprint(self) -> str:
        """A digest of the name and of the data, where ``datasets`` knows one."""
        return digest([self.name, str(getattr(self._dataset, "_fingerprint", ""))])


def open_hub(
    name: str,
    config: str | None = None,
    split: str = "train",
    column: str | None = None,
    *,
    streaming: bool = False,
    rows: Rows = "documents",
    revision: str | None = None,
) -> TextSource:
    """One split of a data set as text.

    Args:
        name: of the data set, as ``ORGANISATION/NAME``, or a folder that ``datasets`` can read.
        config: which of its configurations.
        split: "train", "validation", ...
        column: of the text; None where there is one only, or one called "text".
        streaming: read rows as they are needed, without downloading the whole first.
        rows: "documents": each row is one; "lines": all rows are the lines of one document.
        revision: a tag, branch or commit of the data set.

    Raises:
        DataError: if it cannot be fetched, or has no such configuration, split or column.
    """
    tables = load_tables(name, config, streaming=streaming, revision=revision)
    return HubText(choose_table(tables, split, name), column, rows)


def load_tables(
    name: str, config: str | None = None, *, streaming: bool = False, revision: str | None = None
) -> dict[str, HubTable]:
    """All splits of a data set.

    Raises:
        DataError: if it cannot be fetched, or there is no such configuration.
    """
    import datasets

    called = f"{name}:{config}" if config else name
    try:
        loaded = datasets.load_dataset(name, config, streaming=streaming, revision=revision)
    except _failures() as error:
        raise DataError(
            f"The data set {called!r} cannot be loaded: {_first_line(error)} Check its name and "
            "the network; what was loaded before is found again without one."
        ) from None
    return {split: HubTable(data, f"{called} ({split})") for split, data in loaded.items()}


def choose_table(tables: dict[str, HubTable], split: str, name: str) -> HubTable:
    """One split.

    Raises:
        DataError: if there is none of that name; with the nearest.
    """
    if split not in tables:
        raise DataError(f"{name}: there is no split {split!r}.{nearest(split, tables)}")
    return tables[split]


def standard_tables(
    tables: dict[str, HubTable], name: str
) -> tuple[HubTable, HubTable | None, HubTable | None]:
    """The splits to train on, to judge by and to test on, by their usual names.

    Raises:
        DataError: if there is none called "train".
    """
    train = choose_table(tables, "train", name)
    valid = next((tables[each] for each in _VALID_NAMES if each in tables), None)
    return train, valid, tables.get("test")


def _failures() -> tuple[type[Exception], ...]:
    """What ``datasets`` raises where data cannot be had."""
    import pyarrow as pa
    from datasets.exceptions import DatasetsError

    return (DatasetsError, OSError, ValueError, RuntimeError, pa.ArrowException)


def _first_line(error: Exception) -> str:
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line if line.endswith(".") else line + "."
