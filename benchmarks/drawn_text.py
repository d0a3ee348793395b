"""How well drawn lines are read: the share of unseen lines that are exact, over several seeds.

    python -m benchmarks.drawn_text [--corpus drawn-text] [--recipe reader-small] [--seeds 3]
        [--minutes 5] [--plot FILE] [--json]

The test lines are read once, at the end of each training. --plot draws the attention over the first
of them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

import click

import textgen
from benchmarks.measure import machine, say
from textgen.data.drawn_text import DrawnText, to_picture
from textgen.evaluation.picture_attention import plot_picture_attention


def main() -> None:
    """Train with every seed and print mean and range."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", default="drawn-text")
    parser.add_argument("--recipe", default="reader-small")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = [_exact(asked, seed) for seed in range(asked.seeds)]
    if asked.json:
        click.echo(json.dumps({"exact": found}))
        return
    mean = statistics.mean(found)
    click.echo(
        f"{asked.recipe}, {asked.minutes:g} minutes: {mean:.2%} of unseen lines exact "
        f"({min(found):.2%} to {max(found):.2%}), {len(found)} seeds"
    )
    click.echo(machine().line())


def _exact(asked: argparse.Namespace, seed: int) -> float:
    """The share of test lines that one training reads exactly."""
    corpus = textgen.open_pair_corpus(asked.corpus)
    if not isinstance(corpus.test, DrawnText):
        raise SystemExit(f"{asked.corpus} draws no lines.")
    pairs = list(corpus.test.pairs())
    with tempfile.TemporaryDirectory() as folder:
        model = textgen.train(
            asked.recipe,
            corpus.train,
            valid=corpus.valid,
            out=Path(folder) / "model",
            settings={"training.minutes": asked.minutes, "training.seed": seed},
            progress=False,
        )
        if not isinstance(model, textgen.LoadedTranslator):
            raise SystemExit(f"{asked.recipe} makes no translator.")
        found = model.translate([pair.source for pair in pairs], attention=True)
    right = [each.text == pair.target for each, pair in zip(found, pairs, strict=True)]
    wrong = [(pair.target, each.text) for each, pair in zip(found, pairs, strict=True)]
    say(f"seed {seed}: {statistics.mean(right):.2%} exact")
    for target, text in [each for each in wrong if each[0] != each[1]][:5]:
        say(f"  {target!r} was read as {text!r}")
    if asked.plot is not None and seed == 0:
        best = found[0].candidates[0]
        if best.attention is not None:
            picture = to_picture(pairs[0].source, corpus.test.config.height)
            plot_picture_attention(
                asked.plot, picture, best.attention, best.pieces, pairs[0].target
            )
    return statistics.mean(right)


if __name__ == "__main__":
    main()
