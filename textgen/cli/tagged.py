"""The tagged sentences that a command works on: a file, a table, two files, or a data set."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textgen.cli.lazy import Several
from textgen.cli.options import PathOf, all_of, grouped_option
from textgen.cli.pairs import known_splits
from textgen.cli.texts import dataset_options, file_encoding_option, require_one_origin
from textgen.errors import UsageError

if TYPE_CHECKING:
    from textgen.data.parallel import PairSplits, ParallelSource

tag_columns = all_of(
    [
        grouped_option(
            "--column",
            metavar="COLUMN",
            help="Column of the tags: upos, xpos, feats, … of CoNLL-U; a number of a column file; "
            "a name of a table.  [default: upos; the last; tags]",
        ),
        grouped_option(
            "--words",
            metavar="COLUMN",
            default="tokens",
            show_default=True,
            help="Column of the words in a table.",
        ),
        file_encoding_option,
    ]
)
_files = functools.partial(
    grouped_option,
    cls=Several,
    multiple=True,
    type=PathOf(path_type=Path),
    metavar="FILE",
)
training_tagged = all_of(
    [
        _files(
            "--train",
            help="Tagged sentences: CoNLL-U (.conllu), a file with columns, a table (json, jsonl, "
            "parquet), or two files WORDS TAGS with a sentence in each line.",
        ),
        _files("--valid", help="Validation sentences; by default a part of --train is held out."),
        _files("--test", help="Test sentences, on which the best weights are evaluated."),
        grouped_option(
            "--corpus", metavar="NAME[:KEY=VALUE,...]", help="Use a corpus of `textgen corpora`."
        ),
        dataset_options,
        tag_columns,
    ]
)


@dataclass(frozen=True)
class TagColumns:
    """What the options of ``tag_columns`` say."""

    column: str | None
    words: str
    encoding: str

    def open(self, paths: tuple[Path, ...], trained: str | None = None) -> ParallelSource:
        """Open tagged sentences; see ``open_tagged``.

        Args:
            paths: of the files.
            trained: ``data.column`` of the recipe.
        """
        from textgen.data.tagged import open_tagged, usual_column

        column = self.column or usual_column(paths[0], trained)
        return open_tagged(paths, column=column, words=self.words, encoding=self.encoding)


@dataclass(frozen=True)
class TrainingTagged(TagColumns):
    """What the options of ``training_tagged`` say."""

    train: tuple[Path, ...]
    valid: tuple[Path, ...]
    test: tuple[Path, ...]
    corpus: str | None
    dataset: str | None
    streaming: bool

    def splits(self, trained: str | None) -> PairSplits:
        """Open the sentences; a test that was not asked for stays unseen.

        Args:
            trained: ``data.column`` of the recipe.

        Raises:
            UsageError: unless exactly one of --train, --corpus and --dataset is given.
            DataError: if the sentences cannot be read.
        """
        from textgen.data.parallel import PairSplits
        from textgen.data.tagged import TaggedHub

        require_one_origin(self, "tagged sentences", "--train FILE")
        if self.train:
            train, valid = self.open(self.train, trained), None
        else:
            if self.corpus:
                _require_tagged(self.corpus)
            column = self.column or trained or "tags"
            train, valid, _ = known_splits(self, lambda table: TaggedHub(table, self.words, column))
        return PairSplits(
            train,
            self.open(self.valid, trained) if self.valid else valid,
            self.open(self.test, trained) if self.test else None,
        )


def _require_tagged(spec: str) -> None:
    """See that a corpus has tagged sentences.

    Raises:
        UsageError: if it has none; with those that have.
    """
    from textgen.data.corpora import card, cards
    from textgen.registry import parse_spec

    name = parse_spec(spec).name
    if not card(name).tagged:
        allowed = ", ".join(each.name for each in cards() if each.tagged)
        raise UsageError(f"The corpus {name!r} has no tagged sentences. Allowed: {allowed}.")
