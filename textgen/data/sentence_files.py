"""Files with a line for each word: CoNLL-U, CoNLL-2003 and other columns; sentences as pairs."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from typing_extensions import override

from textgen.data.documents import digest
from textgen.data.encodings import UTF8, check_encoding
from textgen.data.files import check_file, file_fingerprint, read_lines
from textgen.data.parallel import Pair, ParallelSource
from textgen.errors import DataError, UsageError

JOIN = "\t"
CONLLU_COLUMNS = (
    "id",
    "form",
    "lemma",
    "upos",
    "xpos",
    "feats",
    "head",
    "deprel",
    "deps",
    "misc",
)
_DOCUMENT = "-DOCSTART-"


def items(side: str) -> list[str]:
    """Words or tags of a side of a pair."""
    return side.split(JOIN) if side else []


def tagged_pair(words: Sequence[str], tags: Sequence[str], where: str) -> Pair:
    """A sentence as a pair.

    Raises:
        DataError: if the numbers differ, there is no word, or a word or tag is empty.
    """
    if len(words) != len(tags):
        raise DataError(f"{where}: {len(words)} words have {len(tags)} tags.")
    if not words:
        raise DataError(f"{where}: is empty.")
    for kind, each in (("word", words), ("tag", tags)):
        for number, item in enumerate(each, start=1):
            if not item.strip() or JOIN in item or "\n" in item:
                raise DataError(f"{where}: {kind} {number} is {item!r}; a {kind} is expected.")
    return Pair(JOIN.join(words), JOIN.join(tags))


@dataclass(frozen=True)
class Sentence:
    """A sentence as it stands in a file.

    Attributes:
        words: of the sentence.
        tags: one for each word; empty where the file has none.
        where: file and line, for messages.
        lines: of the file, without line ends.
        places: numbers of the lines that hold the words.
        column: of the tag in them, from 0; None where it is missing.
    """

    words: list[str]
    tags: list[str]
    where: str
    lines: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    column: int | None = None

    def with_tags(self, tags: Sequence[str]) -> list[str]:
        """The lines with other tags in the place of the present ones, or behind the words."""
        lines = list(self.lines)
        for place, tag in zip(self.places, tags, strict=True):
            lines[place] = _replaced(lines[place], self.column, tag)
        return lines


def _columns(line: str) -> list[str]:
    """Columns separated by tabs, or in a line without tabs by any number of spaces."""
    return line.split("\t") if "\t" in line else line.split()


def _replaced(line: str, column: int | None, tag: str) -> str:
    """A line with a tag in a column, or behind all; everything else as it is."""
    tabs = "\t" in line
    if column is None:
        return line.rstrip() + ("\t" if tabs else " ") + tag
    if tabs:
        columns = line.split("\t")
        columns[column] = tag
        return "\t".join(columns)
    found = list(re.finditer(r"\S+", line))[column]
    return f"{line[: found.start()]}{tag}{line[found.end() :]}"


class SentenceFile(ParallelSource):
    """A file with a line for each word and a blank line after each sentence.

    Args:
        path: of the file.
        encoding: of the file.

    Raises:
        DataError: if the file cannot be read.
    """

    def __init__(self, path: str | Path, encoding: str = UTF8) -> None:
        self.path, self.encoding = Path(path), check_encoding(encoding)
        check_file(self.path, self.encoding)

    @property
    @override
    def name(self) -> str:
        return str(self.path)

    @property
    @abstractmethod
    def column(self) -> str:
        """Which column holds the tags."""

    @override
    def pairs(self, epoch: int = 0) -> Iterator[Pair]:
        for sentence in self.sentences():
            if not sentence.words:
                continue
            if not sentence.tags:
                raise DataError(f"{sentence.where}: there is no column of tags.")
            yield tagged_pair(sentence.words, sentence.tags, sentence.where)

    @override
    def fingerprint(self) -> str:
        return digest([file_fingerprint(self.path), self.encoding, self.column])

    def sentences(self) -> Iterator[Sentence]:
        """The sentences, one at a time; lines without words, such as comments, come too.

        Raises:
            DataError: if a line is broken; says which.
        """
        lines: list[str] = []
        begin = 1
        for number, raw in enumerate(read_lines(self.path, self.encoding), start=1):
            line = raw.rstrip("\r\n")
            if line.strip():
                if not lines:
                    begin = number
                lines.append(line)
            elif lines:
                yield self.parse(lines, begin)
                lines = []
            else:
                yield Sentence([], [], f"{self.path}, line {number}")
        if lines:
            yield self.parse(lines, begin)

    @abstractmethod
    def parse(self, lines: list[str], begin: int) -> Sentence:
        """A sentence of its lines, the first of which is number ``begin`` of the file."""


class ConlluFile(SentenceFile):
    """CoNLL-U (Universal Dependencies): ten columns; comments, multiword and empty tokens pass.

    Args:
        path: of the file.
        column: of the tags: upos, xpos, feats or another one of the format.
        encoding: of the file.

    Raises:
        UsageError: if there is no such column.
        DataError: if the file cannot be read.
    """

    def __init__(self, path: str | Path, column: str = "upos", encoding: str = UTF8) -> None:
        if column.lower() not in CONLLU_COLUMNS[2:]:
            raise UsageError(
                f"CoNLL-U has no column {column!r} of tags. Allowed: "
                f"{', '.join(CONLLU_COLUMNS[2:])}."
            )
        super().__init__(path, encoding)
        self._column = column.lower()

    @property
    @override
    def column(self) -> str:
        return self._column

    @override
    def parse(self, lines: list[str], begin: int) -> Sentence:
        number = CONLLU_COLUMNS.index(self._column)
        words, tags, places = [], [], []
        for place, line in enumerate(lines):
            if line.startswith("#"):
                continue
            columns = line.split("\t")
            if len(columns) != len(CONLLU_COLUMNS):
                raise DataError(
                    f"{self.path}, line {begin + place}: has {len(columns)} columns; CoNLL-U has "
                    f"{len(CONLLU_COLUMNS)}, separated by tabs."
                )
            if not columns[0].isdigit():  # 3-4 and 3.1: no words of their own
                continue
            words.append(columns[1])
            tags.append(columns[number])
            places.append(place)
        where = f"{self.path}, line {begin}"
        return Sentence(words, tags, where, lines, places, number)


class ColumnFile(SentenceFile):
    """Columns separated by tabs or spaces: CoNLL-2003 and its like; the word comes first.

    Args:
        path: of the file.
        column: number of the tags' column, from 1; None: the last one.
        encoding: of the file.

    Raises:
        UsageError: if the column is no number.
        DataError: if the file cannot be read.
    """

    def __init__(self, path: str | Path, column: str | None = None, encoding: str = UTF8) -> None:
        if column is not None and not (column.isascii() and column.isdigit() and int(column) > 1):
            raise UsageError(
                f"{path}: its columns have no names: say the number of the tags' column, from 2 "
                f"(the word is column 1), not {column!r}."
            )
        super().__init__(path, encoding)
        self._column = column

    @property
    @override
    def column(self) -> str:
        return self._column or "last"

    @override
    def parse(self, lines: list[str], begin: int) -> Sentence:
        width: int | None = None
        words, tags, places = [], [], []
        for place, line in enumerate(lines):
            columns = _columns(line)
            if columns[0] == _DOCUMENT:
                continue
            where = f"{self.path}, line {begin + place}"
            width = width or len(columns)
            if len(columns) != width:
                raise DataError(f"{where}: has {len(columns)} columns, those before {width}.")
            number = self._number(width, where)
            words.append(columns[0])
            if number is not None:
                tags.append(columns[number])
            places.append(place)
        where = f"{self.path}, line {begin}"
        column = self._number(width, where) if width else None
        return Sentence(words, tags, where, lines, places, column)

    def _number(self, width: int, where: str) -> int | None:
        """The column of the tags, from 0; None where there are only words."""
        if width == 1:
            return None
        number = width if self._column is None else int(self._column)
        if number > width:
            raise DataError(f"{where}: has {width} columns, none of them is number {number}.")
        return number - 1
