"""All that a training needs to go on exactly where it stopped."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from textgen.config import structure
from textgen.errors import CheckpointError, ConfigError
from textgen.training.rows import joined_rows


@dataclass
class Counters:
    """The numbers of a running training.

    Attributes:
        step: updates made.
        epoch: pass over the data, from 0.
        index: batches of this pass that were used.
        tokens: real target tokens that were used.
        seconds: time spent.
        best: best value of the objective, None before the first validation.
        stale: validations since the best one.
        bad: validations without improvement since the best one or the last decay.
        decays: times that the plateau schedule has lowered the rate.
        validated: step of the last validation, -1 before the first.
    """

    step: int = 0
    epoch: int = 0
    index: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best: float | None = None
    stale: int = 0
    bad: int = 0
    decays: int = 0
    validated: int = -1


@dataclass(frozen=True)
class TrainingState:
    """Tensors and numbers of a training between two steps.

    Attributes:
        tensors: by name: ``weights/…``, ``average/…``, ``optimiser/<parameter>/<key>``,
            ``random/cpu``, ``random/cuda`` (generator states, uint8; ``random/cpu.1`` of the
            process of rank 1) and ``carried/<number>`` (the recurrent state after the last batch
            of a stream, the rows of all processes).
        counters: the numbers.
    """

    tensors: Mapping[str, Tensor]
    counters: Counters

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors under ``prefix/``, by the rest of their names."""
        start = f"{prefix}/"
        return {
            name.removeprefix(start): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(start)
        }

    def of_rank(self, rank: int, size: int) -> TrainingState:
        """What one of ``size`` processes goes on from, however many there were before.

        Its rows of the recurrent state, and its own generators, if there were so many.
        """
        tensors = {}
        for path, tensor in self.tensors.items():
            part, _, name = path.partition("/")
            if part == "carried":
                tensors[path] = tensor[rank::size]
            elif part == "random":
                kind, _, owner = name.partition(".")
                if int(owner or 0) == rank:
                    tensors[f"random/{kind}"] = tensor
            else:
                tensors[path] = tensor
        return TrainingState(tensors, self.counters)

    def facts(self) -> dict[str, Any]:
        """The numbers as plain data."""
        return dataclasses.asdict(self.counters)

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> TrainingState:
        """Put a saved state together.

        Raises:
            CheckpointError: if the numbers are not those of a training.
        """
        try:
            return cls(tensors, structure(Counters, facts))
        except ConfigError as error:
            raise CheckpointError(f"The training state is damaged: {error}") from None


def random_tensors(device: torch.device) -> dict[str, Tensor]:
    """States (uint8) of torch's generators: of the CPU, and of the GPU where that is the device."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def restore_random(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Set torch's generators, those that have a state; the others go on."""
    if "cpu" in states:
        torch.set_rng_state(states["cpu"].cpu())
    if "cuda" in states and device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"].cpu())


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by ``prefix/<name>``."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def joined_parts(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The ``random`` and ``carried`` tensors of all processes, by rank, as one state has them."""
    joined = {}
    for name, tensor in parts[0].items():
        if name.startswith("carried/"):
            joined[name] = joined_rows([part[name] for part in parts if name in part])
        else:
            joined[name] = tensor
            for rank, part in enumerate(parts[1:], 1):
                joined[f"{name}.{rank}"] = part[name]
    return joined
