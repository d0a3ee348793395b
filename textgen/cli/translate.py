"""``textgen translate``: source lines in, translations out, one for each, in order."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

import click

from textgen import atomic
from textgen.cli.decoding_options import chosen_chain, decoding_options, say_how
from textgen.cli.failures import complain, warn
from textgen.cli.lazy import SeveralCommand, examples
from textgen.cli.many_cores import Cores, translating_cores
from textgen.cli.options import PathOf, collected
from textgen.cli.output import json_lines_option, jsonl_option
from textgen.cli.translating import (
    Models,
    Translating,
    models_option,
    translating_options,
)
from textgen.cli.translation_output import Layout, Writer
from textgen.data.line_reader import LineReader
from textgen.errors import DataError, UsageError
from textgen.progress import counting
from textgen.short_options import DEFAULT_TRANSLATING
from textgen.shortfall import Shortfall

if TYPE_CHECKING:
    from textgen.decoding.chain import Chain
    from textgen.loading import LoadedModel
    from textgen.translation import SourceLine, Translation, TranslationOptions
    from textgen.translation.lines import Translations
    from textgen.translation.pools import TranslationPool

_FILE = PathOf(path_type=Path, dir_okay=False)


@click.command(
    "translate",
    cls=SeveralCommand,
    epilog=examples(
        "textgen translate --model checkpoints/dates < dates.txt",
        "textgen translate --model checkpoints/dates --decode beam:width=9 < dates.txt",
        "textgen translate --model checkpoints/dates --n-best 3 --scores < dates.txt",
        "textgen translate --model checkpoints/dates --json --alignments links.txt < dates.txt",
        "textgen translate --model checkpoints/dates checkpoints/dates-2 < dates.txt",
        "textgen translate --model checkpoints/dates --jsonl < sources.jsonl",
        "textgen translate --model checkpoints/dates --processes 2 < dates.txt",
    ),
)
@models_option
@decoding_options
@click.option(
    "--n-best",
    type=click.IntRange(min=1),
    metavar="N",
    help="Write the N best translations of each line: INDEX ||| TRANSLATION ||| SCORE. A number in "
    "--decode (n_best) does the same.",
)
@click.option(
    "--scores",
    is_flag=True,
    help="Write score, sum of log-probabilities and each token's before the translation, "
    "separated by tabs; in an n-best list after it.",
)
@click.option(
    "--alignments",
    type=_FILE,
    metavar="FILE",
    help="Write word alignments i-j to FILE, one line per line of output.",
)
@click.option(
    "--replace-unknown",
    is_flag=True,
    help="Put the source word that it attends to in the place of an unknown word, for characters "
    "and subwords the source's character.",
)
@click.option(
    "--dictionary",
    type=_FILE,
    metavar="FILE.tsv",
    help="For --replace-unknown: source word, tab, target word.",
)
@click.option(
    "--prefix",
    type=_FILE,
    metavar="FILE",
    help="Beginnings that are forced upon the translations, a line for each line; may be empty. "
    "They are written as they are given, and count in lengths, limits and scores.",
)
@click.option(
    "--vectors",
    type=_FILE,
    metavar="FILE",
    help="Read vectors from FILE (npy, npz, safetensors, parquet) instead of lines, with a model "
    "that was trained on such.",
)
@translating_options
@translating_cores
@click.option("-v", "--verbose", is_flag=True, help="Report how texts are decoded.")
@json_lines_option
@jsonl_option
def command(
    *,
    n_best: int | None,
    scores: bool,
    alignments: Path | None,
    replace_unknown: bool,
    dictionary: Path | None,
    prefix: Path | None,
    vectors: Path | None,
    verbose: bool,
    as_json: bool,
    jsonl: bool,
) -> None:
    """Translate the lines of stdin.

    Each input line yields one output line, in order; blank lines stay blank. Output is written
    while the input is still being read. The default strategy is beam search of width 5.

    --jsonl requests have the keys source, prefix, decode, filters (a list), allow_unknown,
    [short keys], seed, n_best and max_length; what one does not say it takes from the options
    here. The answers are those of --json.
    """
    as_json = as_json or jsonl
    if jsonl and vectors is not None:
        raise UsageError("--vectors: is for plain lines; --jsonl reads its sources from stdin.")
    if jsonl and (alignments is not None or prefix is not None):
        raise UsageError(
            "--jsonl: the requests have a prefix, the answers attention; --prefix and --alignments "
            "are for plain lines."
        )
    cores = collected(Cores)
    if jsonl and cores.processes is not None:
        raise UsageError("--processes is for plain lines: --jsonl uses --threads.")
    if dictionary is not None and not replace_unknown:
        raise UsageError("--dictionary goes with --replace-unknown.")
    if as_json and scores:
        raise UsageError("--scores is for plain lines: --json has the scores anyway.")
    words = _read_dictionary(dictionary) if replace_unknown else None
    chain = chosen_chain(DEFAULT_TRANSLATING)
    results = chain.results(n_best)
    options = collected(Translating).options(
        candidates=n_best if jsonl else results,
        attention=as_json or alignments is not None or replace_unknown,
    )
    options = dataclasses.replace(options, workers=cores.workers, allow_unknown=replace_unknown)
    lists = n_best is not None or results > 1
    layout = Layout(lists, scores, as_json, words, str(chain), options.seed)
    with cores.translators(options) as pool:
        loaded = collected(Models).load()
        if alignments is not None and not loaded.attends:
            raise UsageError(f"--alignments: {loaded.name} has no attention to align by.")
        if verbose:
            say_how(chain, loaded.precision, loaded.device.type)
            complain(f"seed: {options.seed}")
        if jsonl:
            from textgen.cli.translate_requests import answer_requests

            answer_requests(loaded, layout, chain, options)
            return
        job = Job(loaded, chain, options, pool)
        _translate_lines(job, layout, alignments=alignments, prefix=prefix, vectors=vectors)


@dataclass(frozen=True)
class Job:
    """What translates, and how."""

    loaded: LoadedModel
    chain: Chain
    options: TranslationOptions
    pool: TranslationPool | None

    def translations(self, windows: Iterable[list[SourceLine]]) -> Translations:
        """The translations of lines that come in groups, in their order."""
        from textgen.translation import translate_windows

        return translate_windows(self.loaded, windows, self.chain, self.options, pool=self.pool)


def _translate_lines(
    job: Job,
    layout: Layout,
    *,
    alignments: Path | None,
    prefix: Path | None,
    vectors: Path | None,
) -> None:
    """Translate and write line by line."""
    stdin, total = _input(vectors)
    reader = LineReader(stdin)
    forced = None if prefix is None else _lines(prefix)
    windows = _with_prefixes(reader.groups(job.options.window), forced, prefix)
    cut, shortfall = 0, Shortfall("lines", warn)
    with (
        _opened(alignments) as file,
        _progress(total) as tell,
        contextlib.closing(job.translations(windows)) as found,
    ):
        writer = Writer(job.loaded, layout, file)
        for translation in found:
            writer.write(translation)
            cut += translation.cut
            if translation.source_tokens:
                wanted = job.chain.results(job.options.candidates)
                shortfall.note(len(translation.candidates), wanted, job.chain.name)
            tell(translation)
    _tell_trouble(reader, cut, job.options.max_source)
    shortfall.tell()
    if forced is not None and next(forced, None) is not None:
        complain(f"Warning: {prefix} has more lines than there were to translate.")


def _input(vectors: Path | None) -> tuple[BinaryIO, int | None]:
    """Where the lines come from, and their number where it is to be shown."""
    if vectors is not None:
        from textgen.data.vectors import vector_lines

        lines = vector_lines(vectors)
        return io.BytesIO("\n".join(lines).encode()), len(lines) if sys.stderr.isatty() else None
    return _stdin(), _lines_to_show()


def _stdin() -> BinaryIO:
    """Standard input."""
    if sys.stdin.isatty():
        complain("Lines to translate, one at a time; Ctrl-D ends them.")
    return sys.stdin.buffer


def _lines(path: Path) -> Iterator[str]:
    """Lines of a file, without their ends."""
    from textgen.data.files import check_file, read_lines

    if not path.is_fifo():  # read once, as from <(…)
        check_file(path)
    return (line.rstrip("\r\n") for line in read_lines(path))


def _read_dictionary(path: Path | None) -> dict[str, str]:
    """Source words to target words; the first of several entries counts."""
    words: dict[str, str] = {}
    for number, line in enumerate(_lines(path) if path is not None else (), start=1):
        if not line.strip():
            continue
        source, tab, target = line.partition("\t")
        if not tab or not source.strip():
            raise DataError(
                f"{path}, line {number}: expected a source word, a tab and a target word."
            )
        words.setdefault(source.strip(), target.partition("\t")[0].strip())
    return words


def _with_prefixes(
    groups: Iterable[list[str]], prefixes: Iterator[str] | None, path: Path | None
) -> Iterator[list[SourceLine]]:
    """Each line with its forced beginning."""
    from textgen.translation import SourceLine

    count = 0
    for group in groups:
        window: list[SourceLine] = []
        for text in group:
            prefix = "" if prefixes is None else next(prefixes, None)
            if prefix is None:
                yield window
                raise DataError(f"{path}: has {count:,} lines, but there are more to translate.")
            window.append(SourceLine(text, prefix))
            count += 1
        yield window


@contextlib.contextmanager
def _opened(path: Path | None) -> Iterator[IO[str] | None]:
    """The file of alignments; an old one is replaced when all lines are translated."""
    if path is None:
        yield None
        return
    with atomic.open_text(path) as file:
        yield file


@contextlib.contextmanager
def _progress(total: int | None) -> Iterator[Callable[[Translation], None]]:
    """Show how far it is, where the number of lines is known."""
    if total is None:
        yield lambda _: None
        return
    with counting("lines") as show:
        yield lambda translation: show(translation.index + 1, total)


def _lines_to_show() -> int | None:
    """Lines of stdin before any is read; None unless it is a file whose progress can be seen."""
    if sys.stdout.isatty() or not sys.stderr.isatty():
        return None
    try:
        handle = sys.stdin.fileno()
        place, lines, last = os.lseek(handle, 0, os.SEEK_CUR), 0, b"\n"
        while data := os.pread(handle, 1 << 20, place):
            place += len(data)
            lines += data.count(b"\n")
            last = data[-1:]
    except (OSError, ValueError):
        return None
    return lines + (last != b"\n")


def _tell_trouble(reader: LineReader, cut: int, longest: int) -> None:
    """What was not as it should be, on stderr."""
    if reader.undecodable:
        have = "1 line has" if reader.undecodable == 1 else f"{reader.undecodable:,} lines have"
        complain(
            f"Warning: {have} bytes that are no UTF-8 text, which were read as "
            "\N{REPLACEMENT CHARACTER}."
        )
    if cut:
        were = "1 line was" if cut == 1 else f"{cut:,} lines were"
        complain(f"Warning: {were} cut after {longest:,} tokens (--max-source).")
