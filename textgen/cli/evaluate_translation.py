"""``textgen evaluate translation``: translate a text and score what comes out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from textgen import atomic
from textgen.cli.decoding_options import chosen_chain, decoding_options
from textgen.cli.evaluation_pairs import FILE, EvaluationPairs, corpus_options, source_option
from textgen.cli.failures import complain
from textgen.cli.lazy import Several, SeveralCommand, examples
from textgen.cli.many_cores import Cores, translating_cores
from textgen.cli.options import collected
from textgen.cli.output import json_option, print_json, print_table
from textgen.cli.threads import set_threads
from textgen.cli.translating import (
    Models,
    Translating,
    models_option,
    translating_options,
)
from textgen.errors import UsageError
from textgen.evaluation.translation_metrics import check_tokenizer
from textgen.progress import counting
from textgen.short_options import DEFAULT_TRANSLATING

if TYPE_CHECKING:
    from textgen.evaluation.given_translations import GivenTranslation
    from textgen.evaluation.report import TranslationReport


@click.command(
    "translation",
    cls=SeveralCommand,
    epilog=examples(
        "textgen evaluate translation --model checkpoints/dates --corpus dates",
        "textgen evaluate translation --model checkpoints/dates --source dates.txt "
        "--reference iso.txt --json",
        "textgen evaluate translation --model checkpoints/dates --corpus dates --decode greedy",
        "textgen evaluate translation --model checkpoints/dates --source dates.txt "
        "--hypothesis iso.txt --scores",
    ),
)
@models_option
@source_option
@click.option(
    "--reference",
    "references",
    cls=Several,
    multiple=True,
    type=FILE,
    metavar="FILE...",
    help="Reference translations, line by line; several files are several references.",
)
@corpus_options
@decoding_options
@translating_options
@translating_cores
@click.option("--output", type=FILE, metavar="FILE", help="Write the translations to FILE.")
@click.option(
    "--tokenizer",
    default="13a",
    show_default=True,
    metavar="NAME",
    help="BLEU's tokenizer: 13a, intl, char, zh, ja-mecab, ko-mecab, none, ...",
)
@click.option(
    "--hypothesis",
    type=FILE,
    metavar="FILE",
    help="With --scores: translations that are there, line by line or as n-best lists.",
)
@click.option(
    "--scores",
    is_flag=True,
    help="Write how likely the model finds each line of --hypothesis: score, log-probability, that "
    "of each token, text.",
)
@json_option
def command(
    *,
    references: tuple[Path, ...],
    output: Path | None,
    tokenizer: str,
    hypothesis: Path | None,
    scores: bool,
    as_json: bool,
) -> None:
    """Translate a text and score it with BLEU, chrF and TER.

    The computation is sacreBLEU's on plain text; quote the signature with the score. "exact" is
    the share of the lines that equal a reference. With --hypothesis and --scores nothing is
    translated: each given translation gets its log-probability, one line out for each line in, so
    that anybody's n-best lists can be ranked by the model.
    """
    if hypothesis is not None or scores:
        _score_given(hypothesis, references, scores=scores, as_json=as_json)
        return
    from textgen.evaluation.report import translate_and_score

    check_tokenizer(tokenizer)
    lines, known = collected(EvaluationPairs).texts(references)
    chain = chosen_chain(DEFAULT_TRANSLATING)
    cores = collected(Cores)
    options = replace(collected(Translating).options(), workers=cores.workers)
    with _written(output) as write, cores.translators(options) as pool:
        loaded = collected(Models).load()
        with counting("lines") as progress:
            report = translate_and_score(
                loaded,
                lines,
                known,
                chain,
                options,
                pool=pool,
                tokenizer=tokenizer,
                progress=progress,
            )
        write(report.translations)
    for warning in report.scores.warnings:
        complain(f"Warning: {warning}")
    complain(
        f"{len(lines):,} lines in {report.seconds:.1f} s: {report.speed:,.1f} sentences a second."
    )
    if as_json:
        print_json(report.as_dict())
    else:
        _print(report)


def _score_given(
    hypothesis: Path | None, references: tuple[Path, ...], *, scores: bool, as_json: bool
) -> None:
    """The log-probability of each given translation, in order, as they come."""
    from textgen.evaluation.given_translations import paired_with_sources, score_given

    known = collected(EvaluationPairs)
    if hypothesis is None or not scores:
        raise UsageError(
            "--hypothesis FILE and --scores go together. For BLEU of a file there is "
            "`textgen evaluate bleu`."
        )
    if references or known.source is None:
        raise UsageError("--scores needs --source FILE and --hypothesis FILE, and nothing else.")
    set_threads(collected(Cores).threads)
    pairs = paired_with_sources(known.lines(known.source), known.lines(hypothesis), str(hypothesis))
    loaded = collected(Models).load()
    cut = 0
    with counting("lines") as progress:
        found = score_given(loaded, ((source, text) for _, source, text in pairs))
        for place, ((number, _, _), each) in enumerate(zip(pairs, found, strict=True), start=1):
            cut += each.cut
            _print_given(number, each, as_json=as_json)
            progress(place, len(pairs))
    if cut:
        complain(f"Warning: {cut:,} lines were cut: a side has too many tokens.")


def _print_given(number: int, given: GivenTranslation, *, as_json: bool) -> None:
    """As ``translate --scores`` and ``--json`` write their own."""
    if as_json:
        print_json(
            {
                "index": number,
                "source": given.source,
                "translation": given.text,
                "score": given.score,
                "log_prob": given.log_prob,
                "token_log_probs": list(given.token_log_probs),
                "unknown": given.unknown,
                "cut": given.cut,
            }
        )
        return
    each = " ".join(f"{value:.4f}" for value in given.token_log_probs)
    click.echo(f"{given.score:.6f}\t{given.log_prob:.6f}\t{each}\t{given.text}")


@contextlib.contextmanager
def _written(output: Path | None) -> Iterator[Callable[[Iterable[str]], None]]:
    """What writes the translations; a file that cannot be written is told before the work."""
    if output is None:
        yield lambda _: None
        return
    with atomic.open_text(output) as file:
        yield lambda lines: file.writelines(f"{line}\n" for line in lines)


def _print(report: TranslationReport) -> None:
    """A table, then what else there is to quote."""
    rows = [
        (score.name, f"{score.score:.2f}", score.signature)
        for score in report.scores.scores.values()
    ]
    print_table([("METRIC", "SCORE", "SIGNATURE"), *rows])
    click.echo(f"\nexact  {report.exact:.2%} of {report.scores.lines:,} lines")
    click.echo(f"decode {' | '.join(report.decode)}")
