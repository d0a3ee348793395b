"""The text that a command works on: files, a known corpus, or a data set of the hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from textgen.cli.lazy import Several
from textgen.cli.options import PathOf, all_of, grouped_argument, grouped_option
from textgen.errors import UsageError

if TYPE_CHECKING:
    from textgen.data.documents import TextSource

column_option = grouped_option(
    "--column",
    metavar="NAME",
    help="Column of a table (csv, tsv, json, parquet) that holds the text.",
)

encoding_option = grouped_option(
    "--encoding",
    metavar="NAME",
    help="Encoding of the files, such as cp1251; raw: arbitrary bytes.  [default: utf-8; raw for "
    "byte "
    "models]",
)

dataset_options = all_of(
    [
        grouped_option(
            "--dataset",
            metavar="NAME[:CONFIG]",
            help="Use a Hugging Face data set instead, its splits train and validation.",
        ),
        grouped_option("--streaming", is_flag=True, help="Read --dataset without downloading it."),
    ]
)
file_encoding_option = grouped_option(
    "--encoding",
    metavar="NAME",
    default="utf-8",
    show_default=True,
    help="Encoding of the files, such as cp1251.",
)

training_texts = all_of(
    [
        grouped_option(
            "--train",
            cls=Several,
            multiple=True,
            type=PathOf(path_type=Path),
            metavar="FILE...",
            help="Training text: files (text, .gz, csv, tsv, json, jsonl, parquet) or folders.",
        ),
        grouped_option(
            "--valid",
            cls=Several,
            multiple=True,
            type=PathOf(path_type=Path),
            metavar="FILE...",
            help="Validation text; by default a part of --train is held out.",
        ),
        grouped_option(
            "--test",
            cls=Several,
            multiple=True,
            type=PathOf(path_type=Path),
            metavar="FILE...",
            help="Test text, on which the best weights are evaluated at the end.",
        ),
        grouped_option(
            "--corpus", metavar="NAME", help="Use a corpus of `textgen corpora` instead."
        ),
        dataset_options,
        column_option,
        encoding_option,
    ]
)


@dataclass(frozen=True)
class Texts:
    """The texts of a training; ``valid`` is None where a part of ``train`` is to be held out."""

    train: TextSource
    valid: TextSource | None
    test: TextSource | None


class Origins(Protocol):
    """The options that say where to learn from."""

    @property
    def train(self) -> tuple[Path, ...]:
        """Files."""

    @property
    def corpus(self) -> str | None:
        """A known corpus."""

    @property
    def dataset(self) -> str | None:
        """A Hugging Face data set."""

    @property
    def streaming(self) -> bool:
        """Read the data set as it comes."""


def require_one_origin(options: Origins, what: str, files: str) -> None:
    """Check that what is learnt from is given once.

    Args:
        options: of the command.
        what: "text" or "pairs".
        files: how files are given.

    Raises:
        UsageError: unless exactly one origin is given, or for streaming without a data set.
    """
    if sum(map(bool, (options.train, options.corpus, options.dataset))) != 1:
        raise UsageError(
            f"Give the {what} to learn once: {files}, --corpus NAME or --dataset NAME."
        )
    if options.streaming and not options.dataset:
        raise UsageError("--streaming goes with --dataset.")


@dataclass(frozen=True)
class TrainingTexts:
    """What the options of ``training_texts`` say."""

    train: tuple[Path, ...]
    valid: tuple[Path, ...]
    test: tuple[Path, ...]
    corpus: str | None
    dataset: str | None
    streaming: bool
    column: str | None
    encoding: str | None

    def open(self, *, raw: bool = False) -> Texts:
        """Open the texts.

        Args:
            raw: where no encoding is named, files are bytes of any kind.

        Raises:
            UsageError: unless exactly one of --train, --corpus and --dataset is given.
            DataError: if a text cannot be read.
        """
        require_one_origin(self, "text", "--train FILE...")
        if self.train:
            train, valid, test = self._open(self.train, raw=raw), None, None
        else:
            train, valid, test = self._known()
        if self.valid:
            valid = self._open(self.valid, raw=raw)
        return Texts(train, valid, self._open(self.test, raw=raw) if self.test else test)

    def _open(self, paths: tuple[Path, ...], *, raw: bool) -> TextSource:
        from textgen.data.opening import open_text

        return open_text(paths, column=self.column, encoding=_encoding(self.encoding, raw=raw))

    def _known(self) -> tuple[TextSource, TextSource | None, TextSource | None]:
        """The splits of --corpus or --dataset; a test that was not asked for stays unseen."""
        from textgen.data.corpora import card, open_dataset

        if self.corpus:
            splits = card(self.corpus).open()
        else:
            name, _, config = (self.dataset or "").partition(":")
            splits = open_dataset(name, config or None, self.column, streaming=self.streaming)
        return splits.train, splits.valid, None


one_text = all_of(
    [
        grouped_argument("file", required=False, type=PathOf(path_type=Path)),
        grouped_option("--corpus", metavar="NAME", help="Instead of FILE: a split of a corpus."),
        grouped_option(
            "--split",
            type=click.Choice(["train", "valid", "test"]),
            default="valid",
            show_default=True,
            help="Split of --corpus.",
        ),
        column_option,
        encoding_option,
    ]
)


def _encoding(name: str | None, *, raw: bool) -> str:
    from textgen.data.encodings import RAW, UTF8

    return name or (RAW if raw else UTF8)


@dataclass(frozen=True)
class OneText:
    """What the options of ``one_text`` say."""

    file: Path | None
    corpus: str | None
    split: str
    column: str | None
    encoding: str | None

    def open(self, *, raw: bool = False) -> TextSource:
        """Open the text.

        Args:
            raw: where no encoding is named, the file is bytes of any kind.

        Raises:
            UsageError: unless either a file or a corpus is given.
            DataError: if the text cannot be read.
        """
        if (self.file is None) == (self.corpus is None):
            raise UsageError("Give the text: either a FILE or --corpus NAME.")
        if self.file is not None:
            from textgen.data.opening import open_text

            encoding = _encoding(self.encoding, raw=raw)
            return open_text(self.file, column=self.column, encoding=encoding)
        from textgen.data.corpora import card

        source: TextSource | None = getattr(card(str(self.corpus)).open(), self.split)
        if source is None:
            raise UsageError(f"The corpus {self.corpus!r} has no split {self.split!r}.")
        return source
