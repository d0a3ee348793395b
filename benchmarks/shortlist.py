"""What a shortlist gives and costs: speed, BLEU, and how many tokens are looked at.

    python -m benchmarks.shortlist --model DIR --source FILE --reference FILE [--json]

The model's folder needs a lexicon (`textgen lexicon`). The text is translated with the whole
vocabulary and with shortlists of several sizes n: part by part in turn, so that what else the
machine does meets all of them alike, in several rounds of which each part's median counts. Times
are of the processor, on one thread. Choose n on pairs that are no test.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import torch

from benchmarks.measure import machine, say
from textgen.decoding.chain import default_registries, resolve
from textgen.evaluation.lines import read_lines
from textgen.evaluation.translation_metrics import score_translation
from textgen.loading import LoadedModel, load_model
from textgen.translation import (
    TranslationOptions,
    default_length,
    load_lexicon,
    translate_windows,
)
from textgen.translation.coverage import coverage
from textgen.translation.grouping import Encoder, SourceLine, batches
from textgen.translation.shortlist import make_shortlists

PARTS = 4
SIZES = "5,10,20,50"


@dataclass(frozen=True)
class Result:
    """What came of one setting.

    Attributes:
        precision: of the weights.
        shortlist: n; None for the whole vocabulary.
        batch_tokens: source tokens decoded at once; 1 for one line at a time.
        tokens: of a batch's shortlist on average, V'.
        covered: share of the reference's tokens that their lines may become.
        bleu: of the translations.
        same: share of the lines that are translated as with the whole vocabulary.
        speed: sentences for each second of the processor.
    """

    precision: str
    shortlist: int | None
    batch_tokens: int
    tokens: float
    covered: float
    bleu: float
    same: float
    speed: float


@click.command()
@click.option("--model", required=True, help="A translator's folder, with a lexicon.")
@click.option("--source", required=True, type=click.Path(path_type=Path))
@click.option("--reference", required=True, type=click.Path(path_type=Path))
@click.option("--sizes", default=SIZES, show_default=True, help="Shortlists, n of each.")
@click.option("--precisions", default="float32,bfloat16", show_default=True)
@click.option("--decode", default="beam:width=5", show_default=True)
@click.option("--lines", default=1024, show_default=True, help="Most that are translated.")
@click.option("--alone", default=100, show_default=True, help="Most lines one at a time; 0: none.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(
    model: str,
    source: Path,
    reference: Path,
    sizes: str,
    precisions: str,
    decode: str,
    lines: int,
    alone: int,
    rounds: int,
    as_json: bool,
) -> None:
    """Translate with several shortlists in turn and compare."""
    torch.set_num_threads(1)
    settings = [None, *(int(size) for size in sizes.split(","))]
    pairs = list(zip(read_lines(source), read_lines(reference), strict=True))[:lines]
    results = []
    for precision in precisions.split(","):
        loaded = load_model(model, "cpu", precision)
        results += _compare(loaded, pairs, settings, decode, 1024, rounds)
        if alone:
            results += _compare(loaded, pairs[:alone], settings, decode, 1, rounds)
    if as_json:
        data = {"machine": machine()._asdict(), "results": [asdict(each) for each in results]}
        click.echo(json.dumps(data))
    else:
        click.echo(f"{machine().line()}; {decode}, vocabulary {loaded.tokenizer.size:,}\n")
        click.echo(_table(results))


def _compare(
    loaded: LoadedModel,
    pairs: Sequence[tuple[str, str]],
    settings: Sequence[int | None],
    decode: str,
    batch_tokens: int,
    rounds: int,
) -> list[Result]:
    """All settings on the same lines, in turn."""
    chain = resolve(decode, [], default_registries())
    spent: dict[tuple[int | None, int], list[float]] = {}
    texts: dict[int | None, list[str]] = {}
    for number in range(rounds):
        for part in range(PARTS):
            lines = [SourceLine(pair[0]) for pair in pairs[part::PARTS]]
            for size in settings:
                options = TranslationOptions(shortlist=size, batch_tokens=batch_tokens)
                began = time.process_time()
                found = [each.text for each in translate_windows(loaded, [lines], chain, options)]
                spent.setdefault((size, part), []).append(time.process_time() - began)
                if not number:
                    texts.setdefault(size, []).extend(found)
        say(f"{loaded.precision}, {batch_tokens} tokens at once: round {number + 1} of {rounds}")
    right = [pair[1] for part in range(PARTS) for pair in pairs[part::PARTS]]
    results = []
    for size in settings:
        seconds = sum(statistics.median(spent[size, part]) for part in range(PARTS))
        same = sum(map(str.__eq__, texts[size], texts[None])) / len(pairs)
        bleu = score_translation(texts[size], [right]).scores["bleu"].score
        tokens, covered = _sizes(loaded, pairs, size, batch_tokens)
        speed = len(pairs) / seconds
        results.append(
            Result(loaded.precision, size, batch_tokens, tokens, covered, bleu, same, speed)
        )
    return results


def _sizes(
    loaded: LoadedModel, pairs: Sequence[tuple[str, str]], size: int | None, batch_tokens: int
) -> tuple[float, float]:
    """Tokens of a batch's shortlist, and the share of the reference that lines may become."""
    options = TranslationOptions(shortlist=size)
    shortlists = make_shortlists(loaded, options)
    if size is None or shortlists is None:
        return float(loaded.tokenizer.size), 1.0
    encode = Encoder(loaded, options, default_length(loaded), loaded.binder())
    lines = [encode(number, SourceLine(pair[0])) for number, pair in enumerate(pairs)]
    lengths = [
        len(shortlists([line.tokens for line in batch], [line.prefix for line in batch]))
        for batch in batches([line for line in lines if line.tokens], batch_tokens)
    ]
    covered = coverage(loaded, load_lexicon(loaded), pairs, size).covered
    return statistics.fmean(lengths), covered


def _table(results: Sequence[Result]) -> str:
    """The results as a Markdown table."""
    head = "weights | lines | shortlist | looked at | covered | BLEU | unchanged | sentences/s | ×"
    rows = [f"| {head} |", f"|{'---|' * (head.count('|') + 1)}"]
    whole = 1.0
    for each in results:
        whole = each.speed if each.shortlist is None else whole
        rows.append(
            f"| {each.precision} | {'one at a time' if each.batch_tokens == 1 else 'batches'} "
            f"| {each.shortlist or 'off'} | {each.tokens:,.0f} | {each.covered:.1%} "
            f"| {each.bleu:.2f} | {each.same:.0%} | {each.speed:.0f} | {each.speed / whole:.2f} |"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    main()
