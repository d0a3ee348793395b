"""Sentence pairs to measure by: a file of sources with its translations, or a corpus."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from textgen.cli.options import PathOf, all_of, grouped_option
from textgen.errors import DataError, UsageError

if TYPE_CHECKING:
    from textgen.data.parallel import ParallelSource

FILE = PathOf(path_type=Path, dir_okay=False)

source_option = grouped_option(
    "--source", type=FILE, metavar="FILE", help="Source sentences, one a line."
)
corpus_options = all_of(
    [
        grouped_option(
            "--corpus",
            metavar="NAME[:KEY=VALUE,...]",
            help="Instead of files: pairs of a corpus, as in dates:source=uk.",
        ),
        grouped_option(
            "--split",
            type=click.Choice(["train", "valid", "test"]),
            default="test",
            show_default=True,
            help="Split of --corpus.",
        ),
        grouped_option(
            "--limit", type=click.IntRange(min=1), metavar="N", help="Use only the first N pairs."
        ),
    ]
)


@dataclass(frozen=True)
class EvaluationPairs:
    """What ``source_option`` and ``corpus_options`` say."""

    source: Path | None
    corpus: str | None
    split: str
    limit: int | None

    def split_of_corpus(self) -> ParallelSource | None:
        """The pairs of --corpus, None where files are named instead.

        Raises:
            UsageError: if both or neither are given, or the corpus has no such split.
            DataError: if it cannot be had.
        """
        if (self.source is None) == (self.corpus is None):
            raise UsageError("Give the sentences once: either --source FILE or --corpus NAME.")
        if self.corpus is None:
            return None
        from textgen.data.corpora import open_pair_corpus

        found: ParallelSource | None = getattr(open_pair_corpus(self.corpus), self.split)
        if found is None:
            raise UsageError(f"The corpus {self.corpus!r} has no split {self.split!r}.")
        return found

    def texts(self, references: Sequence[Path]) -> tuple[list[str], list[list[str]]]:
        """Lines to translate, and their right translations: (lines, one list a reference).

        Raises:
            UsageError: if it is not said clearly where they are.
            DataError: if a file cannot be read, or has no lines.
        """
        split = self.split_of_corpus()
        if split is not None:
            if references:
                raise UsageError(
                    "--reference goes with --source: a corpus has its own translations."
                )
            pairs = list(itertools.islice(split.pairs(), self.limit))
            return [pair.source for pair in pairs], [[pair.target for pair in pairs]]
        if not references:
            raise UsageError("--source needs --reference FILE: the right translations.")
        lines = self.lines(Path(str(self.source)))
        return lines, [self.lines(path) for path in references]

    def lines(self, path: Path) -> list[str]:
        """The lines of a file that are used.

        Raises:
            DataError: if it cannot be read, or has no lines.
        """
        from textgen.evaluation.lines import read_lines

        lines = read_lines(path)
        if not lines:
            raise DataError(f"{path}: has no lines.")
        return lines[: self.limit]
