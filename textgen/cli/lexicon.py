"""``textgen lexicon``: what a translator's tokens become, for shortlists."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import click

from textgen.cli.failures import complain
from textgen.cli.lazy import SeveralCommand, examples
from textgen.cli.options import collected, model_option, whole_number
from textgen.cli.output import json_option, print_json, print_table
from textgen.cli.pairs import LearningPairs, learning_pairs
from textgen.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textgen.translation.coverage import Coverage
    from textgen.translation.lexicon import Round

SIZES = (5, 10, 20, 50)


@click.command(
    "lexicon",
    cls=SeveralCommand,
    epilog=examples(
        "textgen lexicon --model checkpoints/dates --corpus dates",
        "textgen lexicon --model checkpoints/dates --train train.en train.de --valid val.en val.de",
    ),
)
@model_option
@learning_pairs
@whole_number("--rounds", 5, "Rounds of expectation maximisation.")
@json_option
def command(*, model: str, rounds: int, as_json: bool) -> None:
    """Learn what a translator's source tokens become, for shortlists.

    IBM model 1 learns it from the pairs that the translator was trained on, and the best target
    tokens of each source token are kept in the model's folder. `textgen translate --shortlist N`
    then looks at these alone instead of the whole vocabulary, which is faster. With pairs to judge
    by, a table shows for several N how many tokens a line may become, and what share of the right
    translations' tokens is among them.
    """
    from textgen.loading import load_model
    from textgen.translation.coverage import coverage
    from textgen.translation.direction import LOOKED_AT, look_exchanged
    from textgen.translation.lexicon import learn_lexicon, save_lexicon

    pairs = collected(LearningPairs).open()
    loaded = load_model(model, "cpu")
    loaded.require_source()
    for option, part in (("--train", pairs.train), ("--valid", pairs.valid)):
        some = [] if part is None else list(itertools.islice(part.pairs(), LOOKED_AT))
        if look_exchanged(loaded, some):
            raise UsageError(
                f"{option}: these pairs suit {model} better the other way round: the source comes "
                "first, then the target (--source and --target of a table)."
            )
    began = time.perf_counter()
    lexicon = learn_lexicon(loaded, pairs.train.pairs(), rounds=rounds, listener=_tell)
    seconds = time.perf_counter() - began
    path = save_lexicon(lexicon, loaded)
    judged = list(pairs.valid.pairs()) if pairs.valid is not None else []
    found = [coverage(loaded, lexicon, judged, size) for size in SIZES] if judged else []
    entries, size = len(lexicon.targets), path.stat().st_size
    if as_json:
        print_json(
            {
                "file": str(path),
                "pairs": lexicon.pairs,
                "entries": entries,
                "bytes": size,
                "seconds": round(seconds, 3),
                "vocabulary": loaded.tokenizer.size,
                "coverage": [vars(each) for each in found],
            }
        )
        return
    click.echo(
        f"{path}: {entries:,} entries from {lexicon.pairs:,} pairs, {size / 1e6:.1f} MB, "
        f"in {seconds:.1f} s."
    )
    _print(found, loaded.tokenizer.size)


def _tell(done: Round) -> None:
    """One round is over."""
    complain(
        f"round {done.number} of {done.rounds}  {done.pairs:,} pairs  {done.nats:.3f} nats/token"
    )


def _print(found: Sequence[Coverage], vocabulary: int) -> None:
    """A table of sizes and what they cover."""
    if not found:
        return
    click.echo("")
    rows = [(str(each.best), f"{each.size:,.0f}", f"{each.covered:.2%}") for each in found]
    head = ("SHORTLIST", f"TOKENS OF {vocabulary:,}", "RIGHT TOKENS AMONG THEM")
    print_table([head, *rows])
