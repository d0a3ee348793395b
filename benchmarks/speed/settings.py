"""What all parts are told, and what they give back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import Row
from textgen.training.precision import has_bfloat16

NUMBERS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "int8": torch.int8}
"""Types of weights by the names that ``load_model`` takes."""


@dataclass(frozen=True)
class Settings:
    """How a part is run.

    Attributes:
        folder: for temporary files.
        quick: so short that the figures mean nothing: to see that all works.
        plot: the picture of growth.
        model: a translator to decode with; None trains one on synthetic pairs.
        source: its lines; None takes synthetic ones.
        seconds: of training for the synthetic translator.
    """

    folder: Path
    quick: bool = False
    plot: Path | None = None
    model: str | None = None
    source: Path | None = None
    seconds: float = 60.0

    def pick(self, full: int, quick: int) -> int:
        """A size: in full, or where it must be quick."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Part:
    """What a part gives back.

    Attributes:
        title: above its table.
        rows: of the table.
        notes: one sentence each, below.
        extra: Markdown after the table.
        data: for the JSON file.
    """

    title: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    extra: str = ""
    data: dict[str, Any] = field(default_factory=dict)


def precisions(*names: str) -> list[str]:
    """Those of the given types of numbers that this machine multiplies itself."""
    fast = has_bfloat16(torch.device("cpu"))
    return [name for name in names if name == "float32" or fast]
