"""What bfloat16 costs and gives: the same trainings in both precisions, several seeds of each.

    python benchmarks/precision.py --steps 600 --seeds 3 [--train FILE] [--json]

Prints the validation loss (mean and standard deviation over seeds) and tokens per second (median)
of float32 and bfloat16; the loss is what `train` reports, on the held-out tenth of the text.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import click

from textgen.data.corpora import card
from textgen.data.opening import open_text
from textgen.recipes import load_recipe
from textgen.tasks.language_model import train_language_model
from textgen.training.events import Step, Validated

PRECISIONS = ("float32", "bfloat16")


@click.command()
@click.option("--recipe", default="char-small", show_default=True)
@click.option("--steps", default=600, show_default=True, help="Of each training.")
@click.option("--seeds", default=3, show_default=True, help="Trainings in each precision.")
@click.option("--train", type=click.Path(path_type=Path), help="A text; else python-reference.")
@click.option("--json", "as_json", is_flag=True)
def main(recipe: str, steps: int, seeds: int, train: Path | None, as_json: bool) -> None:
    """Train in turn in both precisions and compare."""
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in PRECISIONS}
    for seed in range(seeds):
        for precision in PRECISIONS:
            runs[precision].append(_run(recipe, steps, seed, precision, train))
            loss, speed = runs[precision][-1]
            click.echo(f"seed {seed}  {precision:9}  {loss:.4f}  {speed:,.0f} tokens/s", err=True)
    result = {name: _summary(found) for name, found in runs.items()}
    if as_json:
        click.echo(json.dumps(result))
        return
    click.echo(f"{'precision':10} {'loss (nats)':>18} {'tokens/s':>10}")
    for name, figures in result.items():
        loss = f"{figures['loss']:.4f} ± {figures['deviation']:.4f}"
        click.echo(f"{name:10} {loss:>18} {figures['tokens_per_second']:>10,.0f}")


def _run(
    recipe: str, steps: int, seed: int, precision: str, train: Path | None
) -> tuple[float, float]:
    """Validation loss and median tokens per second of one training."""
    settings = [
        f"training.steps={steps}",
        f"training.seed={seed}",
        f"training.precision={precision}",
        "training.validate_every=0",
    ]
    text = open_text(train) if train else card("python-reference").open().train
    speeds, loss = [], float("nan")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "model"
        for event in train_language_model(load_recipe(recipe, settings), text, None, out):
            if isinstance(event, Step):
                speeds.append(event.tokens_per_second)
            elif isinstance(event, Validated):
                loss = event.metrics["loss"]
    return loss, statistics.median(speeds)


def _summary(found: list[tuple[float, float]]) -> dict[str, Any]:
    losses = [loss for loss, _ in found]
    return {
        "loss": statistics.fmean(losses),
        "deviation": statistics.stdev(losses) if len(losses) > 1 else 0.0,
        "tokens_per_second": statistics.median(speed for _, speed in found),
        "losses": losses,
    }


if __name__ == "__main__":
    main()
