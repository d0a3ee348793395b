"""All that a training needs to go on exactly where it stopped."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from textgen.config import structure
from textgen.errors import CheckpointError, ConfigError


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
    decays: int = 0
    validated: int = -1


@dataclass(frozen=True)
class TrainingState:
    """Tensors and numbers of a training between two steps.

    Attributes:
        tensors: by name: ``weights/…``, ``average/…``, ``optimiser/<parameter>/<key>``,
            ``random/cpu``, ``random/cuda`` (generator states, uint8) and ``carried/<number>`` (the
            recurrent state after the last batch of a stream).
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
