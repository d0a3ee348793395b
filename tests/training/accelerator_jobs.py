"""Trainings that are run on the CPU and on a pretended device: a script that prints both.

It has a process of its own since autograd counts the devices at its first gradient.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

import rank_jobs
import torch
from torch import Tensor, nn

from accelerator import WAITS, accelerator
from textgen.checkpoint import weights_of
from textgen.components import CELLS
from textgen.data.batching import Batches
from textgen.recipes.training import TrainingConfig
from textgen.training.events import Snapshot, Step, Validated
from textgen.training.fit import fit
from textgen.training.state import TrainingState

Make = Callable[[], nn.Module]


def lanes() -> Batches:
    return rank_jobs.lanes(4)


NO_KERNEL = {"rnn", "gru-fused"}
"""Cells that have cuDNN's kernel on a GPU, and no other that could be pretended."""

JOBS: dict[str, tuple[Make, Callable[[], Batches], dict[str, Any]]] = {
    **{
        cell: (partial(rank_jobs.language_model, cell=cell, layers=2), lanes, {})
        for cell in CELLS.builtin
        if cell not in NO_KERNEL
    },
    "sgd": (rank_jobs.language_model, rank_jobs.sentences, {"optimiser": "sgd"}),
    "smoothing": (rank_jobs.language_model, rank_jobs.sentences, {"label_smoothing": 0.1}),
    "average": (rank_jobs.language_model, rank_jobs.sentences, {"ema_decay": 0.9}),
    "last": (rank_jobs.language_model, lanes, {"average_checkpoints": 2, "validate_every": 2}),
    "adaptive": (rank_jobs.adaptive, rank_jobs.sentences, {}),
    "translator": (rank_jobs.translator, rank_jobs.pairs, {}),
    "input feeding": (partial(rank_jobs.translator, input_feeding=True), rank_jobs.pairs, {}),
    "gru translator": (partial(rank_jobs.translator, cell="gru"), rank_jobs.pairs, {}),
}


def trained(name: str) -> tuple[list[float], dict[str, Tensor], list[int]]:
    """Figures of a short training that goes on from its snapshot, weights, waits at reports."""
    make, batches, changes = JOBS[name]
    values = {"learning_rate": 0.02, "log_every": 4, "precision": "float32", **changes}
    figures: list[float] = []
    waited: list[int] = []
    state: TrainingState | None = None
    model = make()
    for steps in (6, 16):
        config = TrainingConfig(**values, steps=steps)
        for event in fit(model, batches(), rank_jobs.rising, config, state=state):
            if isinstance(event, Step):
                figures += [event.loss, event.gradient_norm]
                waited.append(sum(WAITS.values()))
            elif isinstance(event, Validated):
                figures.append(event.metrics["loss"])
            elif isinstance(event, Snapshot):
                state = event.state
    return figures, {name: tensor.cpu() for name, tensor in weights_of(model).items()}, waited


def both(name: str) -> dict[str, Any]:
    here, weights, _ = trained(name)
    with (
        accelerator() as device,
        patch("textgen.training.precision.choose_device", lambda _: device),
    ):
        there, own, waited = trained(name)
    apart = max(float((own[each] - weights[each]).abs().max()) for each in weights)
    return {"here": here, "there": there, "apart": apart, "waited": waited}


if __name__ == "__main__":
    torch.set_num_threads(1)
    with accelerator():
        pass
    sys.stdout.write(json.dumps({name: both(name) for name in JOBS}))
