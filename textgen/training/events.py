"""What a training tells while it runs. The caller shows, logs and saves; ``fit`` does neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from textgen.training.state import TrainingState

Reason: TypeAlias = Literal["steps", "epochs", "minutes", "patience", "interrupted"]


@dataclass(frozen=True)
class Step:
    """Some steps were made.

    Attributes:
        step: updates made since the training began.
        epoch: number of the current pass over the data, from 0.
        loss: mean per prediction since the last report: for tokens nats, without label smoothing.
        tokens: predictions since the training began: real target tokens, lines, …
        tokens_per_second: since the last report.
        gradient_norm: global norm of the last gradient before clipping.
        learning_rate: of the last step.
        seconds: since the training began, interruptions left out.
        progress: share of the budget that is used, 0 to 1.
        remaining: seconds until the budget is used, None while that is unknown.
        unit: one prediction, of the objective.
    """

    step: int
    epoch: int
    loss: float
    tokens: int
    tokens_per_second: float
    gradient_norm: float
    learning_rate: float
    seconds: float
    progress: float
    remaining: float | None
    unit: str = "token"


@dataclass(frozen=True)
class Validated:
    """The validation's metrics; until the next event the model holds the validated weights."""

    step: int
    metrics: Mapping[str, float]
    unit: str = "token"


@dataclass(frozen=True)
class Improved:
    """The objective is better than ever; until the next event the model holds these weights."""

    step: int
    value: float


@dataclass(frozen=True)
class Snapshot:
    """It is time to save; the state's tensors are valid until the next event is asked for."""

    step: int
    state: TrainingState


@dataclass(frozen=True)
class Stopped:
    """The training is over; ``reason`` names the bound that was reached."""

    step: int
    reason: Reason


@dataclass(frozen=True)
class Note:
    """Something about the data that people should know, told before the first step."""

    text: str
    step: int = 0


Event: TypeAlias = Note | Step | Validated | Improved | Snapshot | Stopped
