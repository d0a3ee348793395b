"""The labelled texts that a command works on: a table, a folder, two files, or a data set."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textgen.cli.lazy import Several
from textgen.cli.options import PathOf, all_of, grouped_option
from textgen.cli.pairs import known_splits
from textgen.cli.texts import dataset_options, file_encoding_option, require_one_origin

if TYPE_CHECKING:
    from textgen.data.parallel import PairSplits, ParallelSource

columns = all_of(
    [
        grouped_option(
            "--text",
            metavar="COLUMN",
            default="text",
            show_default=True,
            help="Column of the texts in a table; its number, from 1, where it has no header.",
        ),
        grouped_option(
            "--label",
            metavar="COLUMN",
            default="label",
            show_default=True,
            help="Column of the labels.",
        ),
        file_encoding_option,
    ]
)
_files = functools.partial(
    grouped_option,
    cls=Several,
    multiple=True,
    type=PathOf(path_type=Path),
    metavar="FILE|DIR",
)
training_labelled = all_of(
    [
        _files(
            "--train",
            help="Labelled texts: a table (csv, tsv, json, jsonl, parquet), a folder with one "
            "folder for each label, or two files TEXTS LABELS.",
        ),
        _files("--valid", help="Validation texts; by default a part of --train is held out."),
        _files("--test", help="Test texts, on which the best weights are evaluated at the end."),
        grouped_option(
            "--corpus",
            metavar="NAME[:KEY=VALUE,...]",
            help="Use pairs of `textgen corpora` instead, the source as text, the target as label.",
        ),
        dataset_options,
        columns,
    ]
)


@dataclass(frozen=True)
class Columns:
    """What the options of ``columns`` say."""

    text: str
    label: str
    encoding: str

    def open(self, paths: tuple[Path, ...], separator: str) -> ParallelSource:
        """Open labelled texts; see ``open_labelled``."""
        from textgen.data.labelled import open_labelled

        return open_labelled(
            paths,
            text=self.text,
            label=self.label,
            separator=separator,
            encoding=self.encoding,
        )


@dataclass(frozen=True)
class TrainingLabelled(Columns):
    """What the options of ``training_labelled`` say."""

    train: tuple[Path, ...]
    valid: tuple[Path, ...]
    test: tuple[Path, ...]
    corpus: str | None
    dataset: str | None
    streaming: bool

    def splits(self, separator: str) -> PairSplits:
        """Open the texts; a test that was not asked for stays unseen.

        Args:
            separator: between several labels, where a list is read.

        Raises:
            UsageError: unless exactly one of --train, --corpus and --dataset is given.
            DataError: if the texts cannot be read.
        """
        from textgen.data.labelled import LabelledHub
        from textgen.data.parallel import PairSplits

        require_one_origin(self, "labelled texts", "--train FILE")
        if self.train:
            train, valid = self.open(self.train, separator), None
        else:
            train, valid, _ = known_splits(
                self, lambda table: LabelledHub(table, self.text, self.label, separator)
            )
        return PairSplits(
            train,
            self.open(self.valid, separator) if self.valid else valid,
            self.open(self.test, separator) if self.test else None,
        )
