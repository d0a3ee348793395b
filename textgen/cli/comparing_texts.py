"""Ways to decode compared on a language model: options, rows, table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.comparing import Wanted, attempt, figure, tell_failures, title
from textgen.cli.evaluation_pairs import FILE
from textgen.cli.failures import complain
from textgen.cli.options import all_of, grouped_option
from textgen.cli.output import print_json, print_table
from textgen.errors import DataError
from textgen.progress import counting

if TYPE_CHECKING:
    from textgen.evaluation.compare_decoding import Excerpt, Job, Row
    from textgen.evaluation.diversity import UnitKind
    from textgen.loading import LoadedModel

TEXTS = 32
"""Texts of each strategy where nothing else is said."""

text_options = all_of(
    [
        grouped_option(
            "--held-out",
            type=FILE,
            metavar="FILE",
            help="For language models: text by people, to compare with; its pieces are the "
            "prompts unless others are given.",
        ),
        grouped_option(
            "--pieces",
            type=click.IntRange(min=1),
            metavar="N",
            help=f"Of --held-out, where they are the prompts.  [default: {TEXTS}]",
        ),
        grouped_option("--prompts", type=FILE, metavar="FILE", help="Prompts, one a line."),
        grouped_option("--prompt", multiple=True, metavar="TEXT", help="A prompt; repeatable."),
        grouped_option(
            "--samples",
            type=click.IntRange(min=1),
            metavar="N",
            help="Number of texts per prompt.  [default: 1 for each piece of --held-out, else as "
            "many "
            f"as make {TEXTS}]",
        ),
        grouped_option(
            "--max-tokens",
            type=click.IntRange(min=1),
            metavar="N",
            help="Most tokens of a text.  [default: 256]",
        ),
        grouped_option(
            "--units",
            type=click.Choice(["words", "characters"]),
            help="Units of n-grams.  [default: words]",
        ),
    ]
)


@dataclass(frozen=True)
class TextJob:
    """What the options of ``text_options`` say; None where they are not given."""

    held_out: Path | None
    pieces: int | None
    prompts: Path | None
    prompt: tuple[str, ...]
    samples: int | None
    max_tokens: int | None
    units: Any

    def given(self) -> list[str]:
        """The options that are given."""
        named = {
            "--held-out": self.held_out,
            "--pieces": self.pieces,
            "--prompts": self.prompts,
            "--prompt": self.prompt,
            "--samples": self.samples,
            "--max-tokens": self.max_tokens,
            "--units": self.units,
        }
        return [name for name, value in named.items() if value]

    def open(self, loaded: LoadedModel, seed: int) -> tuple[Job, list[Excerpt]]:
        """The job, and pieces of the text by people.

        Raises:
            DataError: if a file cannot be read or has nothing to go on from.
        """
        from textgen.evaluation.compare_decoding import Job, cut_excerpts

        prompts = self._prompts()
        units: UnitKind = self.units or "words"
        length = self.max_tokens or 256
        excerpts: list[Excerpt] = []
        if self.held_out is not None:
            from textgen.data.opening import open_text

            count = self.pieces or (
                len(prompts) * self._samples(len(prompts)) if prompts else TEXTS
            )
            excerpts = cut_excerpts(loaded, open_text(self.held_out), count, length)
            if len(excerpts) < count:
                complain(
                    f"Warning: {self.held_out} is enough for {len(excerpts):,} pieces of "
                    f"{length:,} tokens, not for {count:,}."
                )
        if not prompts and excerpts:
            samples = self.samples or 1
            prompts = tuple(each.prompt for each in excerpts)
        else:
            prompts = prompts or ("",)
            samples = self._samples(len(prompts))
        return Job(prompts, samples, length, seed, units), excerpts

    def _samples(self, prompts: int) -> int:
        return self.samples or math.ceil(TEXTS / prompts)

    def _prompts(self) -> tuple[str, ...]:
        """Those given by hand."""
        from textgen.evaluation.lines import read_lines

        lines = [] if self.prompts is None else read_lines(self.prompts)
        if self.prompts is not None and not lines:
            raise DataError(f"{self.prompts}: has no lines.")
        return (*lines, *map(_as_text, self.prompt))


def _as_text(prompt: str) -> str:
    """A prompt of the command line as UTF-8 text."""
    try:
        return prompt.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"--prompt: byte {error.start + 1} is not UTF-8 text.") from None


def compare_texts(
    loaded: LoadedModel,
    ways: Sequence[Wanted],
    asked: TextJob,
    *,
    seed: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Compare, and tell the figures.

    Raises:
        DataError: if a file cannot be read or written.
        TextgenError: at the end, if a way failed.
    """
    from textgen.evaluation.compare_decoding import Row, measure_decoding, measure_people
    from textgen.evaluation.decoding_plot import plot_texts

    job, excerpts = asked.open(loaded, seed)

    def work(each: Wanted) -> Row:
        with counting("prompts") as progress:
            return measure_decoding(loaded, each.name, each.chain, job, progress)

    rows = [measure_people(loaded, excerpts, job.units)] if excerpts else []
    for each, result in zip(ways, attempt(ways, work), strict=True):
        row = Row(each.name, each.decode, error=result) if isinstance(result, str) else result
        rows.append(row)
    _warn(rows)
    if as_json:
        print_json(_as_dict(loaded, job, rows))
    else:
        _print(rows)
    if plot is not None and any(row.figures for row in rows):
        texts = len(job.prompts) * job.samples
        what = f"{texts:,} texts of {job.max_tokens:,} tokens"
        plot_texts(plot, rows, title(loaded, what))
    tell_failures(rows, as_json=as_json)


def _warn(rows: Sequence[Row]) -> None:
    """Distinct-n falls and self-BLEU rises with the size of the sample."""
    sizes = {row.name: row.figures.words for row in rows if row.figures}
    most = max(sizes.values(), default=0)
    few = [name for name, size in sizes.items() if size < most / 2]
    if few:
        complain(
            f"Warning: {', '.join(few)}: less than half as many words as the longest. Distinct-n "
            "and self-BLEU compare only between samples of one size: give more prompts, or "
            "--held-out, and one sample of each."
        )


def _as_dict(loaded: LoadedModel, job: Job, rows: Sequence[Row]) -> dict[str, Any]:
    """All that --json tells."""
    return {
        "model": loaded.name,
        "kind": loaded.kind,
        "prompts": len(job.prompts),
        "samples": job.samples,
        "max_tokens": job.max_tokens,
        "seed": job.seed,
        "units": job.units,
        "strategies": [row.as_dict() for row in rows],
    }


_HEAD = (
    "DECODING",
    "NATS/TOKEN",
    "DISTINCT-1",
    "-2",
    "-3",
    "SEQ-REP-4",
    "LOOPS",
    "SELF-BLEU",
    "TEXTS",
    "TOKENS",
    "CHARACTERS/S",
)


def _print(rows: Sequence[Row]) -> None:
    """A table with a row for each."""
    print_table([_HEAD, *map(_cells, rows)])


def _cells(row: Row) -> tuple[str, ...]:
    found = row.figures
    if found is None:
        return (row.name, "failed", *("-" * (len(_HEAD) - 2)))
    return (
        row.name,
        figure(found.nats_per_token, 3),
        figure(found.distinct_1, 3),
        figure(found.distinct_2, 3),
        figure(found.distinct_3, 3),
        figure(found.repetition, 3),
        f"{found.loops:.0%}" if math.isfinite(found.loops) else "-",
        figure(found.self_bleu, 1),
        f"{found.texts:,}",
        figure(found.tokens, 0),
        figure(row.speed, 0),
    )
