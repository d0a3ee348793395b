"""How good taggers become, and how fast they tag: test scores of settings over several seeds.

    python -m benchmarks.tagging --train FILE --valid FILE --test FILE [--column NAME]
        [--variant "KEY=VALUE KEY=VALUE" ...] [--seeds 3] [--json]

Each variant is a set of settings on top of the recipe. The weights of the best validation are kept;
the test is read once, at the end of each training.
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


def main() -> None:
    """Train every variant with every seed and print means and ranges."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("train", "valid", "test"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--column")
    parser.add_argument("--recipe", default="tagger-small")
    parser.add_argument("--variant", nargs="+", default=[""], metavar="'KEY=VALUE ...'")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = {
        variant or asked.recipe: [_trained(asked, variant, seed) for seed in range(asked.seeds)]
        for variant in asked.variant
    }
    if asked.json:
        click.echo(json.dumps(found))
        return
    for variant, rows in found.items():
        parts = [f"{name} {_spread([row[name] for row in rows])}" for name in rows[0]]
        click.echo(f"{variant}: {', '.join(parts)}; {len(rows)} seeds")
    click.echo(machine().line())


def _spread(values: list[float]) -> str:
    """Mean and range."""
    mean, low, high = statistics.mean(values), min(values), max(values)
    return f"{mean:.4g} ({low:.4g} to {high:.4g})"


def _trained(asked: argparse.Namespace, variant: str, seed: int) -> dict[str, float]:
    """Test scores of one training, its seconds, and sentences tagged per second."""
    sources = {
        name: textgen.open_tagged([getattr(asked, name)], column=asked.column)
        for name in ("train", "valid", "test")
    }
    settings: dict[str, object] = {
        key: parse_value(value)
        for key, _, value in (each.partition("=") for each in variant.split())
    }
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        model = textgen.train(
            asked.recipe,
            sources["train"],
            valid=sources["valid"],
            out=Path(folder) / "model",
            settings={**settings, "training.seed": seed},
            progress=False,
        )
        seconds = time.perf_counter() - began
    if not isinstance(model, textgen.LoadedTagger):
        raise SystemExit(f"{asked.recipe} makes no tagger.")
    words = [pair.source.split("\t") for pair in sources["test"].pairs()]
    began = time.perf_counter()
    model.predict(words)
    speed = len(words) / (time.perf_counter() - began)
    report = model.evaluate(sources["test"])
    say(f"{variant or asked.recipe}, seed {seed}: {report}, trained for {seconds:.0f} s")
    scores = {"accuracy": report.accuracy, "unknown words": report.unknown_accuracy}
    if report.spans is not None:
        scores["f1"] = report.spans.f1
    return {**scores, "seconds": seconds, "sentences/s": speed}


if __name__ == "__main__":
    main()
