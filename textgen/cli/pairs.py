"""The sentence pairs that a command works on: two files, a table, a corpus, or a data set."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textgen.cli.lazy import Several
from textgen.cli.options import PathOf, all_of, grouped_option
from textgen.cli.texts import (
    Origins,
    dataset_options,
    file_encoding_option,
    require_one_origin,
)
from textgen.errors import UsageError

if TYPE_CHECKING:
    from textgen.data.hub import HubTable
    from textgen.data.parallel import PairSplits, ParallelSource

TABLES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")


_files = functools.partial(
    grouped_option,
    cls=Several,
    multiple=True,
    type=PathOf(path_type=Path),
    metavar="SOURCE TARGET",
)


_train = _files(
    "--train",
    help="Training pairs: two files, line by line, or one table with columns. The first of two may "
    "hold vectors (npy, npz, safetensors, parquet) for source_tokenizer.kind=vectors.",
)
_others = all_of(
    [
        grouped_option(
            "--corpus",
            metavar="NAME[:KEY=VALUE,...]",
            help="Use a corpus of pairs of `textgen corpora` instead, such as dates:source=uk.",
        ),
        dataset_options,
        file_encoding_option,
        grouped_option(
            "--source",
            metavar="COLUMN",
            help="Column (or language) of the source sentences; its number, from 1, where the "
            "table has no header.",
        ),
        grouped_option(
            "--target", metavar="COLUMN", help="Column (or language) of the target sentences."
        ),
    ]
)
training_pairs = all_of(
    [
        _train,
        _files("--valid", help="Validation pairs; by default a part of --train is held out."),
        _files("--test", help="Test pairs, on which the best weights are evaluated at the end."),
        _others,
    ]
)
learning_pairs = all_of([_train, _files("--valid", help="Validation pairs."), _others])


def known_splits(options: Origins, read_table: Callable[[HubTable], ParallelSource]) -> PairSplits:
    """The splits of --corpus or --dataset.

    Args:
        options: one of the two is given.
        read_table: gives the pairs of a split of a data set.

    Raises:
        DataError: if they cannot be read.
    """
    from textgen.data.corpora import open_pair_corpus
    from textgen.data.hub import load_tables, standard_tables
    from textgen.data.parallel import PairSplits

    if options.corpus:
        return open_pair_corpus(options.corpus)
    name, _, config = (options.dataset or "").partition(":")
    tables = load_tables(name, config or None, streaming=options.streaming)
    train, valid, test = standard_tables(tables, name)
    return PairSplits(
        read_table(train),
        read_table(valid) if valid else None,
        read_table(test) if test else None,
    )


@dataclass(frozen=True)
class LearningPairs:
    """What the options of ``learning_pairs`` say."""

    train: tuple[Path, ...]
    valid: tuple[Path, ...]
    corpus: str | None
    dataset: str | None
    streaming: bool
    encoding: str
    source: str | None
    target: str | None

    def open(self) -> PairSplits:
        """Open the pairs; there is no test among them.

        Raises:
            UsageError: unless exactly one of --train, --corpus and --dataset is given.
            DataError: if the pairs cannot be read.
        """
        from textgen.data.parallel import PairSplits

        require_one_origin(self, "pairs", "--train SOURCE TARGET")
        if self.train:
            train, valid = self._open("--train", self.train), None
        else:
            train, valid, _ = self._known()
        if self.valid:
            valid = self._open("--valid", self.valid)
        return PairSplits(train, valid, None)

    def _open(self, option: str, paths: tuple[Path, ...]) -> ParallelSource:
        """Pairs of two files or of a table."""
        from textgen.data.parallel import PairFiles, PairTable
        from textgen.data.vectors import VectorPairs, is_vector_file

        if len(paths) == 2:
            if option == "--train" and (self.source or self.target):
                raise UsageError("--source and --target name columns: they go with one table.")
            if is_vector_file(paths[0]):
                return VectorPairs(*paths, encoding=self.encoding)
            return PairFiles(*paths, encoding=self.encoding)
        if len(paths) != 1:
            raise UsageError(
                f"{option}: expected two files, SOURCE TARGET, or one table "
                f"({', '.join(TABLES)}) with --source and --target."
            )
        return PairTable(paths[0], *self._columns(option), encoding=self.encoding)

    def _columns(self, option: str) -> tuple[str, str]:
        """The names of both columns."""
        if not (self.source and self.target):
            raise UsageError(
                f"{option}: say with --source COLUMN and --target COLUMN where the pairs are."
            )
        return self.source, self.target

    def _known(self) -> PairSplits:
        """The splits of --corpus or --dataset."""
        from textgen.data.parallel import HubPairs

        columns = ("", "") if self.corpus else self._columns("--dataset")
        return known_splits(self, lambda table: HubPairs(table, *columns))


@dataclass(frozen=True)
class TrainingPairs(LearningPairs):
    """What the options of ``training_pairs`` say."""

    test: tuple[Path, ...]

    def open(self) -> PairSplits:
        """Open the pairs; a test that was not asked for stays unseen.

        Raises:
            UsageError: unless exactly one of --train, --corpus and --dataset is given.
            DataError: if the pairs cannot be read.
        """
        splits = super().open()
        return splits._replace(test=self._open("--test", self.test)) if self.test else splits
