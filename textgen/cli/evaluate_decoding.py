"""``textgen evaluate decoding``: ways to decode compared on one trained model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.comparing import FOR_TEXTS, FOR_TRANSLATIONS, Wanted, wanted
from textgen.cli.comparing_texts import TextJob, compare_texts, text_options
from textgen.cli.comparing_translations import compare_translations
from textgen.cli.evaluation_pairs import FILE, EvaluationPairs, corpus_options, source_option
from textgen.cli.failures import complain
from textgen.cli.lazy import Several, SeveralCommand, examples
from textgen.cli.options import Seed, collected, plugin_registries, plugins_option
from textgen.cli.output import json_option
from textgen.cli.threads import Threads, set_threads, threads_option
from textgen.cli.translating import Models, models_option
from textgen.errors import DataError, UsageError

if TYPE_CHECKING:
    from textgen.loading import LoadedModel


@click.command(
    "decoding",
    cls=SeveralCommand,
    epilog=examples(
        "textgen evaluate decoding --model checkpoints/py --held-out other.txt --max-tokens 100 "
        "--plot decoding.png",
        "textgen evaluate decoding --model checkpoints/py --prompt 'The ' --decode greedy "
        "--decode 'temperature:0.8 | top-k:40 | sample' --samples 4 --max-tokens 50",
        "textgen evaluate decoding --model checkpoints/dates --source dates.txt "
        "--reference iso.txt --plot beams.svg",
        "textgen evaluate decoding --model checkpoints/dates --corpus dates --limit 20 "
        "--decode greedy --decode beam:width=2 --decode beam:width=5 --json",
    ),
)
@models_option
@click.option(
    "--decode",
    "decode",
    multiple=True,
    metavar="SPEC",
    help="A way to decode: strategy and filters in one text, as in "
    "'temperature:0.8 | top-k:40 | sample'; repeatable.  [default: the usual ones]",
)
@text_options
@source_option
@click.option(
    "--reference",
    "references",
    cls=Several,
    multiple=True,
    type=FILE,
    metavar="FILE...",
    help="For translators: right translations, line by line.",
)
@corpus_options
@click.option(
    "--seed",
    type=Seed(),
    default=0,
    show_default=True,
    metavar="N|random",
    help="Random seed; `random` draws one, which -v and --json tell.",
)
@click.option("--plot", type=FILE, metavar="FILE", help="Plot the metrics to FILE: .png or .svg.")
@plugins_option
@threads_option
@click.option("-v", "--verbose", is_flag=True, help="Report how texts are decoded.")
@json_option
def command(
    *,
    decode: tuple[str, ...],
    references: tuple[Path, ...],
    seed: int,
    plot: Path | None,
    verbose: bool,
    as_json: bool,
) -> None:
    """Compare decoding strategies.

    A language model goes on from prompts: from --prompt and --prompts, or from the beginnings of
    pieces of --held-out, a text of its kind that it has not seen and that is measured for
    comparison. Told are nats per token under the model, distinct n-grams, repetition, self-BLEU and
    speed. A translator (--source and --reference, or --corpus) is measured by BLEU, chrF and speed.
    One that fails is told in its row; the others go on.
    """
    from textgen.decoding.chain import Registries

    if plot is not None:
        from textgen.evaluation.plot_page import check_format

        check_format(plot)
    registries = Registries(*plugin_registries())
    given = wanted(decode, (), registries)
    set_threads(collected(Threads).threads)
    loaded = _load(collected(Models))
    translator = loaded.source_tokenizer is not None
    _check_options(loaded, references)
    usual = FOR_TRANSLATIONS if translator else FOR_TEXTS
    ways = given or wanted((), usual, registries)
    if verbose:
        _tell(ways, seed)
    if translator:
        lines, known = _pairs(collected(EvaluationPairs), references)
        compare_translations(loaded, ways, lines, known, seed=seed, plot=plot, as_json=as_json)
    else:
        compare_texts(loaded, ways, collected(TextJob), seed=seed, plot=plot, as_json=as_json)


def _load(models: Models) -> LoadedModel:
    from textgen.loading import load_ensemble

    return load_ensemble(models.models, models.device, models.ensemble, models.precision)


def _tell(ways: list[Wanted], seed: int) -> None:
    """The resolved chains and the seed."""
    for each in ways:
        complain(f"{each.name}: {each.decode}")
    complain(f"seed: {seed}")


def _check_options(loaded: LoadedModel, references: tuple[Path, ...]) -> None:
    """See that nothing is asked of a model that is for models of another kind."""
    pairs, job = collected(EvaluationPairs), collected(TextJob)
    for_translators: dict[str, Any] = {
        "--source": pairs.source,
        "--reference": references,
        "--corpus": pairs.corpus,
        "--limit": pairs.limit,
    }
    if loaded.source_tokenizer is None:
        wrong = [name for name, value in for_translators.items() if value]
        if wrong:
            raise UsageError(
                f"{loaded.name} is a {loaded.kind}: {_are(wrong)} for translators. It goes "
                "on from --held-out FILE, --prompts FILE or --prompt TEXT."
            )
        return
    wrong = job.given()
    if wrong:
        raise UsageError(
            f"{loaded.name} is a {loaded.kind}: {_are(wrong)} for language models. It "
            "needs --source FILE and --reference FILE, or --corpus NAME."
        )


def _are(names: Sequence[str]) -> str:
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'}"


def _pairs(
    known: EvaluationPairs, references: tuple[Path, ...]
) -> tuple[list[str], list[list[str]]]:
    """Lines to translate, and their translations: as many, before anything is decoded."""
    lines, texts = known.texts(references)
    for path, text in zip(references, texts, strict=False):
        if len(text) != len(lines):
            raise DataError(
                f"{known.source} has {len(lines):,} lines, but {path} has {len(text):,}: line n of "
                "one must be the translation of line n of the other."
            )
    return lines, texts
