"""What a large vocabulary costs with a full and with an adaptive softmax.

    python -m benchmarks.large_vocabulary [--sizes 4000,128000] [--json]

For each size V: the output layer and loss of one training step, forward and backward (bfloat16
products where the machine has them); the log-probabilities of one decoding step (float32) of one
row and of 64; parameters; memory that training adds. Targets follow the law of Zipf and
Mandelbrot, p(r) ∝ 1 / (r + 2.7). Both are timed in turn.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from benchmarks.measure import fast_products, figure, interleaved, machine, peak_memory, run
from textgen.models.config import LanguageModelConfig
from textgen.models.language_model import LanguageModel
from textgen.recipes.training import TrainingConfig
from textgen.training.loss import output_loss
from textgen.training.precision import MixedPrecision

OUTPUTS = ("full", "adaptive")
SIZES = "4000,8000,16000,32000,64000,128000"
WIDE = 64
DRAWS = 8
"""Different targets: as many rare ones are never met twice in a training."""


@click.command()
@click.option("--sizes", default=SIZES, show_default=True, help="Of the vocabulary.")
@click.option("--hidden", default=512, show_default=True, help="Width of the features.")
@click.option("--targets", default=32 * 35, show_default=True, help="Of one training step.")
@click.option("--rounds", default=5, show_default=True, help="Of each timing; the median counts.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--memory-of", hidden=True, help="Tell the bytes of training and end.")
def main(
    sizes: str, hidden: int, targets: int, rounds: int, as_json: bool, memory_of: str | None
) -> None:
    """Time both outputs, one size after the other."""
    each = [int(size) for size in sizes.split(",")]
    if memory_of is not None:
        click.echo(_added_memory(memory_of, each[0], hidden, targets))
        return
    rows = []
    for size in each:
        rows.append({"size": size, **_timings(size, hidden, targets, rounds)})
        for output in OUTPUTS:
            rows[-1][output]["bytes"] = _memory(output, size, hidden, targets)
        click.echo(f"{size:,} done", err=True)
    if as_json:
        click.echo(json.dumps({"machine": machine()._asdict(), "rows": rows}))
        return
    click.echo(machine().line() + "\n")
    click.echo("\n".join(_table(rows)))


def model_of(output: str, size: int, hidden: int) -> LanguageModel:
    """A model of which only the output layer is of interest."""
    torch.manual_seed(0)
    config = LanguageModelConfig(layers=1, hidden=hidden, embedding=1, output=output)  # type: ignore[arg-type]
    return LanguageModel(config, size)


def zipf(size: int, count: int) -> Tensor:
    """Targets (count,) int64 whose numbers are their ranks."""
    weights = 1 / (torch.arange(size, dtype=torch.float64) + 2.7)
    return torch.multinomial(weights, count, replacement=True)


def training_step(model: LanguageModel, count: int) -> Callable[[], None]:
    """Output layer and loss, forward and backward, of random features; each call other targets."""
    features = torch.randn(count, model.config.hidden, requires_grad=True)
    draws = itertools.cycle([zipf(model.vocabulary_size, count) for _ in range(DRAWS)])
    mixed_precision = MixedPrecision(TrainingConfig(steps=1, device="cpu"))

    def step() -> None:
        model.zero_grad(set_to_none=True)
        features.grad = None
        with mixed_precision.autocast():
            loss, _ = output_loss(model, features, next(draws))
        loss.backward()  # type: ignore[no-untyped-call]

    return step


def decoding_step(model: LanguageModel, count: int) -> Callable[[], None]:
    """The log-probabilities (N, V) that a search asks for."""
    features = torch.randn(count, model.config.hidden)

    def step() -> None:
        with torch.inference_mode():
            torch.log_softmax(model.output(features), dim=-1, dtype=torch.float32)

    return step


def _timings(size: int, hidden: int, count: int, rounds: int) -> dict[str, Any]:
    """Milliseconds and parameters of both outputs."""
    models = {output: model_of(output, size, hidden) for output in OUTPUTS}
    works = {
        "training": {name: training_step(model, count) for name, model in models.items()},
        "one row": {name: decoding_step(model, 1) for name, model in models.items()},
        f"{WIDE} rows": {name: decoding_step(model, WIDE) for name, model in models.items()},
    }
    found: dict[str, dict[str, float]] = {name: {} for name in OUTPUTS}
    with fast_products():
        for what, both in works.items():
            for name, spent in interleaved(both, rounds=rounds).items():
                found[name][what] = 1000 * spent
    for name, model in models.items():
        found[name]["parameters"] = parameters(model)
    adaptive = models["adaptive"].factored
    head = 0 if adaptive is None else adaptive.common
    cutoffs = LanguageModelConfig(output="adaptive").cutoffs_for(size)
    share = float((zipf(size, 100_000) < head).double().mean())
    return {"cutoffs": cutoffs, "head_share": share, **found}


def parameters(model: LanguageModel) -> int:
    """Numbers that are trained in the output layer."""
    layer = model.projection if model.factored is None else model.factored
    return sum(each.numel() for each in layer.parameters())


def _memory(output: str, size: int, hidden: int, count: int) -> int:
    """Bytes that a few training steps add to a process of its own."""
    options = ["--memory-of", output, "--sizes", str(size)]
    options += ["--hidden", str(hidden), "--targets", str(count)]
    module = f"benchmarks.{Path(__file__).stem}"
    return int(run([sys.executable, "-m", module, *options]).output)


def _added_memory(output: str, size: int, hidden: int, count: int) -> int:
    training_step(model_of(output, 4000, hidden), 8)()  # libraries load
    before = peak_memory()
    step = training_step(model_of(output, size, hidden), count)
    for _ in range(DRAWS):
        step()
    return peak_memory() - before


def _table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        f"| V | training ms | decoding 1 row ms | decoding {WIDE} rows ms | parameters M | MB |",
        "|---|---|---|---|---|---|",
    ]
    scales = {"training": 1, "one row": 1, f"{WIDE} rows": 1, "parameters": 1e6, "bytes": 1e6}
    for row in rows:
        cells = [
            " / ".join(figure(row[output][what] / scale) for output in OUTPUTS)
            for what, scale in scales.items()
        ]
        lines.append(f"| {row['size']:,} | {' | '.join(cells)} |")
    return [*lines, "", "Full / adaptive."]


if __name__ == "__main__":
    main()
