"""The course of a training: its curves, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from textgen.notebooks import Curve, curves_html
from textgen.progress import clock
from textgen.training.events import Event, Improved, Note, Step, Stopped, Validated


@dataclass(repr=False)
class TrainingHistory:
    """What the events of a training told.

    Attributes:
        steps: reports about steps, in their order.
        validations: the figures of each validation.
        notes: about the data.
        step: updates made.
        reason: the bound that ended it; empty while it runs.
        best_step: of the weights that were kept; 0 before any.
        metrics: the figures of their validation.
    """

    steps: list[Step] = field(default_factory=list)
    validations: list[Validated] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    step: int = 0
    reason: str = ""
    best_step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)

    def listen(self, event: Event) -> None:
        """Take in an event."""
        self.step = event.step
        if isinstance(event, Step):
            self.steps.append(event)
        elif isinstance(event, Validated):
            self.validations.append(Validated(event.step, dict(event.metrics)))
        elif isinstance(event, Improved):
            self.best_step = event.step
            self.metrics = dict(self.validations[-1].metrics) if self.validations else {}
        elif isinstance(event, Stopped):
            self.reason = event.reason
        elif isinstance(event, Note):
            self.notes.append(event.text)

    @property
    def seconds(self) -> float:
        """Time taken."""
        return self.steps[-1].seconds if self.steps else 0.0

    def __str__(self) -> str:
        kept = ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        best = f"; kept the weights of step {self.best_step:,} ({kept})" if kept else ""
        return f"{self.step:,} steps in {clock(self.seconds)}{best}"

    def __repr__(self) -> str:
        return f"TrainingHistory({self})"

    def _repr_html_(self) -> str:
        """The curves of the loss, for notebooks."""
        curves = [
            Curve("training", [(each.step, each.loss) for each in self.steps]),
            Curve(
                "validation",
                [
                    (each.step, each.metrics["loss"])
                    for each in self.validations
                    if "loss" in each.metrics
                ],
            ),
        ]
        return curves_html(curves, "nats per token by step", str(self))

    def as_dict(self) -> dict[str, Any]:
        """What came of it, as plain data."""
        return {
            "steps": self.step,
            "seconds": round(self.seconds, 3),
            "stopped": self.reason,
            "best_step": self.best_step,
            "validation": self.metrics,
        }
