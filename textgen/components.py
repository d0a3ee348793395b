"""What models are made of, by name: cells, encoders and tasks, the built-in ones and others'.

An installed package offers its own as entry points of the groups ``textgen.cells``,
``textgen.encoders`` and ``textgen.tasks``; a recipe names them as it names the built-in ones, with
options where they have some: ``model.cell=fast-weights:decay=0.9``. Nothing is imported until it is
asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from textgen.config import Names
from textgen.registry import Registry, parse_spec

CELLS: Registry[Any] = Registry(
    "cell",
    "textgen.cells",
    builtin={
        "rnn": "textgen.models.cells:Rnn",
        "rnn-residual": "textgen.models.cells:RnnResidual",
        "rnn-forget": "textgen.models.cells:RnnForget",
        "lstm": "textgen.models.cells:Lstm",
        "lstm-1997": "textgen.models.cells:Lstm1997",
        "lstm-peephole": "textgen.models.cells:LstmPeephole",
        "gru": "textgen.models.cells:Gru",
        "gru-fused": "textgen.models.cells:GruFused",
        "dnc": "textgen.models.dnc:Dnc",
    },
)
"""Factories ``(input_size, hidden_size, **options) -> textgen.models.cells.Cell``."""

ENCODERS: Registry[Any] = Registry(
    "encoder",
    "textgen.encoders",
    builtin={
        "recurrent": "textgen.models.encoder:RecurrentEncoder",
        "convolution": "textgen.models.convolution:ConvolutionEncoder",
    },
)
"""Factories ``(input_size, config, **options) -> textgen.models.encoder.Encoder``."""

TASKS: Registry[Any] = Registry(
    "task",
    "textgen.tasks",
    builtin={
        "language-model": "textgen.tasks.language_model:TASK",
        "translator": "textgen.tasks.translator:TASK",
        "classifier": "textgen.tasks.classifier:TASK",
        "tagger": "textgen.tasks.tagger:TASK",
    },
)
"""Rows of the table of tasks: ``textgen.task.Task``."""


@dataclass(frozen=True)
class Registered(Names):
    """Annotates a configuration's string: NAME or NAME:key=value of a registry.

    Attributes:
        registry: of the names that are allowed.
    """

    registry: Registry[Any]

    @override
    def names(self) -> list[str]:
        return self.registry.names()

    @override
    def check(self, value: str) -> None:
        self.registry.entry(parse_spec(value).name)
