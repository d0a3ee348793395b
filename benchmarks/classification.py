"""How good classifiers become: the test accuracy of recipes over several seeds.

    python -m benchmarks.classification --train FILE --valid FILE --test FILE [--recipe NAME ...]
        [--seeds 3] [--set KEY=VALUE ...] [--json]

The weights of the best validation are kept; the test is read once, at the end of each training.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import click

import textgen
from benchmarks.measure import machine, say
from textgen.config import parse_value

RECIPES = ("classifier-small", "classifier-convolution")


def main() -> None:
    """Train every recipe with every seed and print mean and range."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("train", "valid", "test"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--recipe", nargs="+", default=RECIPES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    settings = {
        key: parse_value(value) for key, _, value in (each.partition("=") for each in asked.set)
    }
    found: dict[str, list[float]] = {}
    for recipe in asked.recipe:
        found[recipe] = [
            _accuracy(
                recipe, asked.train, asked.valid, asked.test, {**settings, "training.seed": seed}
            )
            for seed in range(asked.seeds)
        ]
    if asked.json:
        click.echo(json.dumps(found))
        return
    for recipe, values in found.items():
        mean, low, high = statistics.mean(values), min(values), max(values)
        click.echo(
            f"{recipe}: test accuracy {mean:.2%} ({low:.2%} to {high:.2%}), {len(values)} seeds"
        )
    click.echo(machine().line())


def _accuracy(
    recipe: str, train: Path, valid: Path, test: Path, settings: dict[str, object]
) -> float:
    """Test accuracy of one training."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        model = textgen.train(
            recipe,
            textgen.open_labelled([train]),
            valid=textgen.open_labelled([valid]),
            out=Path(folder) / "model",
            settings=settings,
            progress=False,
        )
        seconds = time.perf_counter() - began
        if not isinstance(model, textgen.LoadedClassifier):
            raise SystemExit(f"{recipe} makes no classifier.")
        report = model.evaluate(test)
    say(f"{recipe}, seed {settings['training.seed']}: {report}, trained for {seconds:.0f} s")
    return report.accuracy


if __name__ == "__main__":
    main()
