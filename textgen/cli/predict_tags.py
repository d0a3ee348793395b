"""What ``textgen predict`` does with a tagger: lines, CoNLL-U and column files."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from textgen.cli.input_lines import input_lines
from textgen.cli.options import all_of, grouped_option
from textgen.cli.output import print_json
from textgen.errors import UsageError

if TYPE_CHECKING:
    from textgen.data.sentence_files import Sentence
    from textgen.loading import LoadedModel
    from textgen.tagging import TaggedSentence

_COLUMN_ENDINGS = {".conllu", ".conllup", ".conll", ".bio", ".iob", ".iob2", ".col", ".tsv"}

tag_file = all_of(
    [
        grouped_option(
            "--column",
            metavar="COLUMN",
            help="Taggers: column of FILE that receives the tags: upos, xpos, … of CoNLL-U, or a "
            "number.  [default: upos; the last]",
        ),
        grouped_option(
            "--format",
            "form",
            type=click.Choice(["auto", "lines", "columns"]),
            default="auto",
            show_default=True,
            help="Taggers: FILE has a sentence in each line, or a word in each line. auto: columns "
            "if its name ends as such files do (.conllu, .conll, .bio, .iob, .tsv).",
        ),
    ]
)


@dataclass(frozen=True)
class TagFile:
    """What the options of ``tag_file`` say."""

    column: str | None
    form: Literal["auto", "lines", "columns"]

    def has_columns(self, file: Path | None) -> bool:
        """Whether a file has a word in each line.

        Raises:
            UsageError: if standard input is to have columns, or --column goes with lines.
        """
        from textgen.data.files import ending
        from textgen.data.vectors import VECTOR_ENDINGS

        if file is not None and ending(file) in {*VECTOR_ENDINGS, ".json", ".jsonl", ".csv"}:
            raise UsageError(
                f"{file}: a tagger reads lines of words, CoNLL-U or columns, not {ending(file)}."
            )
        by_name = file is not None and ending(file) in _COLUMN_ENDINGS
        columns = self.form == "columns" or (self.form == "auto" and by_name)
        if columns and file is None:
            raise UsageError("--format columns: needs a FILE; stdin has a sentence in each line.")
        if self.column is not None and not columns:
            raise UsageError("--column: goes with a FILE in columns; --format columns reads one.")
        return columns


def print_tags(
    loaded: LoadedModel,
    file: Path | None,
    tag_file: TagFile,
    top: int | None,
    batch_size: int,
    *,
    as_json: bool,
) -> None:
    """Print the tags of a file's sentences.

    Args:
        loaded: a tagger.
        file: None reads lines from stdin.
        tag_file: what the file is like.
        top: sequences of each sentence; None: the best.
        batch_size: sentences per batch.
        as_json: print objects.
    """
    from textgen.tagging import tag

    columns = tag_file.has_columns(file)
    if columns and file is not None:
        from textgen.data.tagged import usual_column

        column = tag_file.column or usual_column(file, loaded.recipe.data.column)
        _print_columns(loaded, file, column, top, batch_size, as_json=as_json)
        return
    sentences = (line.split() for line in input_lines(file))
    for each in tag(loaded, sentences, batch_size=batch_size, n_best=top or 1):
        if as_json:
            print_json(tagged_as_dict(each))
        elif top is None:
            click.echo(" ".join(each.tags))
        else:
            click.echo("\n".join(_ranked(each)))
        if batch_size == 1:
            sys.stdout.flush()


def tagged_as_dict(tagged: TaggedSentence) -> dict[str, object]:
    """Plain data of a sentence."""
    return {
        "words": list(tagged.words),
        "tags": list(tagged.tags),
        "probabilities": list(tagged.probabilities),
        "log_prob": tagged.log_prob,
        "spans": [span._asdict() for span in tagged.spans],
        "n_best": [{"tags": list(each.tags), "log_prob": each.log_prob} for each in tagged.n_best],
    }


def _ranked(tagged: TaggedSentence) -> Iterator[str]:
    """A line for each sequence, and a blank line after them."""
    for each in tagged.n_best:
        yield f"{each.log_prob:.4f}\t{' '.join(each.tags)}"
    yield ""


def _print_columns(
    loaded: LoadedModel,
    file: Path,
    column: str | None,
    top: int | None,
    batch_size: int,
    *,
    as_json: bool,
) -> None:
    from textgen.data.tagged import open_sentences
    from textgen.tagging import tag

    if top is not None and not as_json:
        raise UsageError("--top: a file in columns has room for one sequence; use --json.")
    source, copy = itertools.tee(open_sentences(file, column).sentences())
    found = tag(loaded, (each.words for each in copy), batch_size=batch_size, n_best=top or 1)
    for sentence, tagged in zip(source, found, strict=True):
        if not as_json:
            _print_sentence(sentence, tagged)
        elif sentence.words:
            print_json(tagged_as_dict(tagged))


def _print_sentence(sentence: Sentence, tagged: TaggedSentence) -> None:
    for line in sentence.with_tags(tagged.tags):
        click.echo(line)
    click.echo()
