"""Tagged sentences: a tag for each word, from CoNLL-U, column files, tables and pairs of lines.

A sentence is a pair of texts like that of a parallel corpus: its words, and its tags, each joined
by tabs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from typing_extensions import override

from textgen.data.documents import digest
from textgen.data.encodings import UTF8
from textgen.data.files import TABLE_ENDINGS, ending, file_fingerprint
from textgen.data.hub import HubTable
from textgen.data.labelled import name_classes
from textgen.data.parallel import HubPairs, Pair, PairFiles, ParallelSource
from textgen.data.sentence_files import (
    CONLLU_COLUMNS,
    ColumnFile,
    ConlluFile,
    SentenceFile,
    tagged_pair,
)
from textgen.data.tables import Row, open_table
from textgen.errors import DataError, UsageError, nearest


class TaggedTable(ParallelSource):
    """Two columns with lists of a json, jsonl or parquet file: words and tags.

    Args:
        path: the table.
        words: column of the words.
        tags: column of the tags.
        encoding: of the file.

    Raises:
        DataError: if the file cannot be read, or has no such columns.
    """

    def __init__(
        self, path: str | Path, words: str = "tokens", tags: str = "tags", encoding: str = UTF8
    ) -> None:
        self.words, self.tags = words, tags
        self.table = open_table(Path(path), (words, tags), encoding)
        self.path, self.encoding = Path(path), encoding
        available = self.table.columns((words, tags))
        for column in (words, tags):
            if column not in available:
                raise DataError(
                    f"{path}: there is no column {column!r}.{nearest(column, available)}"
                )

    @property
    @override
    def name(self) -> str:
        return str(self.path)

    @override
    def pairs(self, epoch: int = 0) -> Iterator[Pair]:
        for where, row in self.table.rows():
            yield tagged_row(row, self.words, self.tags, where)

    @override
    def fingerprint(self) -> str:
        return digest([file_fingerprint(self.path), self.encoding, self.words, self.tags])


class TaggedHub(HubPairs):
    """Two columns of a Hugging Face data set with lists of words and of their tags.

    Args:
        table: one split.
        words: column of the words.
        tags: column of the tags; numbers of classes become their names.
    """

    def __init__(self, table: HubTable, words: str, tags: str) -> None:
        super().__init__(table, words, tags)
        self.names = table.class_names(tags)

    @override
    def pairs(self, epoch: int = 0) -> Iterator[Pair]:
        for number, row in enumerate(self.table.rows(), 1):
            where = f"{self.table.name}, row {number}"
            named = name_classes(row, self.target, self.names)
            yield tagged_row(named, self.source, self.target, where)


def tagged_row(row: Row, words: str, tags: str, where: str) -> Pair:
    """The sentence of a row with two lists.

    Raises:
        DataError: if a list is missing, or they do not fit.
    """
    return tagged_pair(_strings(row, words, where), _strings(row, tags, where), where)


def _strings(row: Row, column: str, where: str) -> list[str]:
    value = row.get(column)
    strings = isinstance(value, list) and all(isinstance(each, str | int) for each in value)
    if not isinstance(value, list) or not strings:
        raise DataError(f"{where}: {column!r} must be a list of texts, one for each word.")
    return [str(each) for each in value]


class TaggedLines(PairFiles):
    """Two files: a sentence in each line, words and tags separated by spaces."""

    @override
    def pairs(self, epoch: int = 0) -> Iterator[Pair]:
        for number, (words, tags) in enumerate(super().pairs(epoch), start=1):
            yield tagged_pair(words.split(), tags.split(), f"{self.name}, line {number}")


def open_tagged(
    paths: Sequence[str | Path],
    *,
    column: str | None = None,
    words: str = "tokens",
    encoding: str = UTF8,
) -> ParallelSource:
    """Tagged sentences of a file, by the ending of its name; or of two files of lines.

    Args:
        paths: CoNLL-U (.conllu); a table (.json, .jsonl, .parquet) with a list of words and one of
            tags in each row; any other file has columns; or two files, a sentence in each line.
        column: of the tags: ``upos``, ``xpos``, ``feats``, … of CoNLL-U (default upos), a number
            of a column file (default the last), a name of a table (default tags).
        words: column of the words in a table.
        encoding: of the files.

    Raises:
        UsageError: for another number of paths, or a column that the format cannot have.
        DataError: if the sentences cannot be read.
    """
    if len(paths) == 2:
        return TaggedLines(paths[0], paths[1], encoding)
    if len(paths) != 1:
        raise UsageError(
            "Expected one file of tagged sentences, or two files, WORDS TAGS, with a sentence in "
            f"each line; got {len(paths)} paths."
        )
    path = Path(paths[0])
    if ending(path) in TABLE_ENDINGS and ending(path) not in {".tsv", ".csv"}:
        return TaggedTable(path, words, column or "tags", encoding)
    return open_sentences(path, column, encoding)


def usual_column(path: str | Path, trained: str | None) -> str | None:
    """The column that a model was trained on, where a file of this name may have it; else None."""
    if trained is None:
        return None
    conllu = ending(Path(path)) in {".conllu", ".conllup"}
    table = ending(Path(path)) in TABLE_ENDINGS and ending(Path(path)) != ".tsv"
    named = trained.lower() in CONLLU_COLUMNS
    return trained if (conllu and named) or (not conllu and (table or not named)) else None


def open_sentences(path: Path, column: str | None, encoding: str = UTF8) -> SentenceFile:
    """A CoNLL-U or column file; see ``open_tagged``."""
    if path.is_dir():
        raise DataError(f"{path}: is a folder; a file of tagged sentences is expected.")
    if ending(path) in {".conllu", ".conllup"} or (column or "").lower() in CONLLU_COLUMNS:
        return ConlluFile(path, column or "upos", encoding)
    return ColumnFile(path, column, encoding)
