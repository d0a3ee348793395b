"""Parallel corpora: pairs of sentences from two files, a table, or a Hugging Face data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from textgen.arguments import pairs_of
from textgen.data.documents import digest
from textgen.data.encodings import UTF8, check_encoding
from textgen.data.files import check_file, file_fingerprint, read_lines
from textgen.data.hub import HubTable, choose_table, load_tables
from textgen.data.splitting import Share
from textgen.data.tables import Row, cell, choose_column, open_table
from textgen.errors import DataError, nearest

_TRANSLATION = "translation"
_SHOWN = 80
"""Characters of an example in a message."""


class Pair(NamedTuple):
    """A sentence and its translation."""

    source: str
    target: str


class ParallelSource(Protocol):
    """Pairs that can be iterated more than once."""

    @property
    def name(self) -> str:
        """What the pairs are called in messages."""

    @property
    def endless(self) -> bool:
        """Whether each epoch has pairs of its own."""
        return False

    def pairs(self, epoch: int = 0) -> Iterator[Pair]:
        """The pairs of an epoch; without line ends, empty sides included.

        Raises:
            DataError: if they cannot be read; says what and where.
        """

    def fingerprint(self) -> str:
        """Changes whenever the pairs may have changed."""


class PairSplits(NamedTuple):
    """What to train on, what to judge by while training, and what to test on at the end."""

    train: ParallelSource
    valid: ParallelSource | None
    test: ParallelSource | None


class PairTexts(ParallelSource):
    """Pairs that are in memory already."""

    def __init__(self, pairs: Sequence[tuple[str, str]], name: str = "pairs") -> None:
        self._pairs = tuple(Pair(*pair) for pair in pairs_of(pairs))
        self._name = name

    @property
    def name(self) -> str:
        """What the pairs are called in messages."""
        return self._name

    def pairs(self, epoch: int = 0) -> Iterator[Pair]:  # noqa: ARG002 - the same in each epoch
        """The pairs."""
        return iter(self._pairs)

    def fingerprint(self) -> str:
        """A digest of the pairs."""
        return digest(side for pair in self._pairs for side in pair)


class PairFiles(ParallelSource):
    """Two text files, gzipped or not, whose lines belong together.

    Args:
        source: file of the source sentences.
        target: file of the target sentences, as many.
        encoding: of both.

    Raises:
        DataError: if a file cannot be read, or they differ in their number of lines.
    """

    def __init__(self, source: str | Path, target: str | Path, encoding: str = UTF8) -> None:
        self.source, self.target = sides = Path(source), Path(target)
        self.encoding = check_encoding(encoding)
        for path in sides:
            check_file(path, encoding)
        counts = [sum(1 for _ in read_lines(path, self.encoding)) for path in sides]
        if counts[0] != counts[1]:
            raise DataError(
                f"{source} has {counts[0]:,} lines, but {target} has {counts[1]:,}: "
                "line n of one must belong to line n of the other."
            )

    @property
    def name(self) -> str:
        """Both paths."""
        return f"{self.source} and {self.target}"

    def pairs(self, epoch: int = 0) -> Iterator[Pair]:  # noqa: ARG002 - the same in each epoch
        """The pairs, line by line."""
        sides = (read_lines(path, self.encoding) for path in (self.source, self.target))
        both = zip_longest(*sides)
        for number, (source, target) in enumerate(both, 1):
            if source is None or target is None:
                raise DataError(f"{self.name}: one ends before line {number}; it was changed.")
            yield Pair(source.rstrip("\r\n"), target.rstrip("\r\n"))

    def fingerprint(self) -> str:
        """A digest of the files' fingerprints."""
        files = file_fingerprint(self.source), file_fingerprint(self.target)
        return digest([*files, self.encoding])


class PairTable(ParallelSource):
    """Two columns of a csv, tsv, json, jsonl or parquet file.

    Args:
        path: the table.
        source: column of the source sentences, or the language in a column "translation"; a
            number, from 1, of a table without a header.
        target: column of the target sentences.
        encoding: of the file.

    Raises:
        DataError: if the file cannot be read, or has no such columns.
    """

    def __init__(self, path: str | Path, source: str, target: str, encoding: str = UTF8) -> None:
        path = Path(path)
        check_file(path, encoding)
        self.path = path
        self.table = open_table(path, [source, target], check_encoding(encoding))
        available = self.table.columns([source, target])
        self.source = choose_column(available, source, str(path))
        self.target = choose_column(available, target, str(path))

    @property
    def name(self) -> str:
        """The path and the columns."""
        return f"{self.path} ({self.source}, {self.target})"

    def pairs(self, epoch: int = 0) -> Iterator[Pair]:  # noqa: ARG002 - the same in each epoch
        """The pairs, row by row."""
        for where, row in self.table.rows():
            yield _pair(row, self.source, self.target, where)

    def fingerprint(self) -> str:
        """A digest of the file's fingerprint and the columns."""
        header = str(self.table.header)
        own = file_fingerprint(self.path), self.table.encoding, header
        return digest([*own, self.source, self.target])


class HubPairs(ParallelSource):
    """Two columns of a Hugging Face data set, or two languages of its "translation" column.

    Args:
        table: one split.
        source: column or language of the source sentences.
        target: column or language of the target sentences.

    Raises:
        DataError: if there are no such columns or languages.
    """

    def __init__(self, table: HubTable, source: str, target: str) -> None:
        self.table, self.source, self.target = table, source, target
        self._nested = _TRANSLATION in table.columns() and source not in table.columns()
        if self._nested:
            first = next(table.rows(), {}).get(_TRANSLATION) or {}
            for language in (source, target):
                if language not in first:
                    raise DataError(
                        f"{table.name}: there is no translation into {language!r}."
                        f"{nearest(language, first)}"
                    )
        else:
            for column in (source, target):
                choose_column(table.columns(), column, table.name)

    @property
    def name(self) -> str:
        """Name of the data set, its split and the columns."""
        return f"{self.table.name} ({self.source}, {self.target})"

    def pairs(self, epoch: int = 0) -> Iterator[Pair]:  # noqa: ARG002 - the same in each epoch
        """The pairs, row by row."""
        for number, row in enumerate(self.table.rows(), 1):
            inner: Row = (row[_TRANSLATION] or {}) if self._nested else row
            yield _pair(inner, self.source, self.target, f"{self.table.name}, row {number}")

    def fingerprint(self) -> str:
        """A digest of the table's fingerprint and the columns."""
        return digest([self.table.fingerprint(), self.source, self.target])


def open_pair_hub(
    name: str,
    config: str | None = None,
    *,
    source: str,
    target: str,
    split: str = "train",
    streaming: bool = False,
    revision: str | None = None,
) -> ParallelSource:
    """One split of a data set as pairs.

    Args:
        name: of the data set, as ``ORGANISATION/NAME``, or a folder that ``datasets`` can read.
        config: which of its configurations.
        source: column of the source sentences, or their language in a "translation" column.
        target: likewise.
        split: "train", "validation", ...
        streaming: read rows as they are needed.
        revision: a tag, branch or commit of the data set.

    Raises:
        DataError: if it cannot be fetched, or lacks what was asked for.
    """
    tables = load_tables(name, config, streaming=streaming, revision=revision)
    return HubPairs(choose_table(tables, split, name), source, target)


class _Chosen(ParallelSource):
    """The pairs whose source sentence falls on one side of a border."""

    def __init__(self, whole: ParallelSource, share: Share, name: str, *, held_out: bool) -> None:
        self._whole, self._share, self._held_out = whole, share, held_out
        self._name = name

    @property
    def name(self) -> str:
        """What the part is called in messages."""
        return self._name

    def pairs(self, epoch: int = 0) -> Iterator[Pair]:
        """The pairs of this side."""
        for pair in self._whole.pairs(epoch):
            if self._share.holds_out(pair.source) == self._held_out:
                yield pair

    def fingerprint(self) -> str:
        """A digest of the whole's fingerprint and the side."""
        return digest([self._whole.fingerprint(), str(self._share), str(self._held_out)])


def hold_out_pairs(source: ParallelSource, share: float) -> tuple[ParallelSource, ParallelSource]:
    """Divide pairs into a part to train on and a part that is held out.

    A hash of the source sentence decides, so that a sentence with several translations falls on
    one side with all of them. The share is met on average; at least one pair is held out.

    Raises:
        DataError: if a part would be empty.
    """
    chosen = Share.of((pair.source for pair in source.pairs()), share, source.name)
    percent = f"{share:.0%} of the pairs"
    return (
        _Chosen(source, chosen, f"{source.name} (without {percent})", held_out=False),
        _Chosen(source, chosen, f"{source.name} ({percent})", held_out=True),
    )


@dataclass(frozen=True)
class Overlap:
    """What pairs to judge by share with those that are trained on.

    Attributes:
        pairs: pairs that stand in the training part as they are.
        sources: pairs whose source sentence stands there.
        total: pairs to judge by.
        example: one of ``pairs``, else of ``sources``, or None.
        labelled: the pairs are texts and labels, not sentences and translations.
    """

    pairs: int
    sources: int
    total: int
    example: Pair | None
    labelled: bool = False

    def __str__(self) -> str:
        if self.example is None:
            return f"None of the {self.total:,} pairs is trained on."
        source, target = (_shortened(side) for side in self.example)
        sources, right = (
            ("texts", "label") if self.labelled else ("source sentences", "translation")
        )
        same = f"{self.pairs:,} with the same {right}, such as {source!r} → {target!r}"
        other = f"none with the same {right}; one is {source!r}"
        return (
            f"{self.sources:,} of the {self.total:,} {sources} are also trained on, "
            f"{same if self.pairs else other}: scores will be too good."
        )


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def find_overlap(train: ParallelSource, test: ParallelSource, *, labelled: bool = False) -> Overlap:
    """Look for test pairs among the training pairs; outer spaces do not count."""
    tested = [Pair(pair.source.strip(), pair.target.strip()) for pair in test.pairs()]
    wanted = {pair.source for pair in tested}
    found: set[Pair] = set()
    sources: set[str] = set()
    for pair in train.pairs():
        source = pair.source.strip()
        if source in wanted:
            sources.add(source)
            found.add(Pair(source, pair.target.strip()))
    shared = [pair for pair in tested if pair.source in sources and pair.source]
    same = [pair for pair in shared if pair in found]
    example = next(iter(same or shared), None)
    return Overlap(len(same), len(shared), len(tested), example, labelled)


def _pair(row: Any, source: str, target: str, where: str) -> Pair:
    """A row's pair, each sentence on one line."""
    return Pair(_one_line(cell(row, source, where)), _one_line(cell(row, target, where)))


def _one_line(text: str) -> str:
    return " ".join(text.splitlines()) if "\n" in text or "\r" in text else text
