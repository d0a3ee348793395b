"""How a model is trained, as configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from textgen.errors import ConfigError

OptimiserName = Literal["adamw", "sgd"]
ScheduleName = Literal["one-cycle", "cosine", "linear", "plateau", "constant"]
PrecisionName = Literal["auto", "float32", "bfloat16"]
DeviceName = Literal["auto", "cpu", "cuda"]
Share = Annotated[float, Ge(0), Lt(1)]


@dataclass(frozen=True)
class TrainingConfig:
    """Budget, batches, optimiser, schedule and habits of one training.

    At least one of ``steps``, ``epochs`` and ``minutes`` must be given; the first that is used up
    ends the training, and how much of it is used drives the schedule.
    """

    steps: Annotated[int | None, Ge(1), "updates of the weights; none: no limit"] = None
    epochs: Annotated[float | None, Gt(0), "passes over the text; none: no limit"] = None
    minutes: Annotated[float | None, Gt(0), "time, validations included; none: no limit"] = None
    batch: Annotated[int, Ge(1), "lanes of a stream, or tokens of a batch of sentences"] = 32
    bptt_length: Annotated[int, Ge(1), "steps of truncated back-propagation"] = 64
    reset_probability: Annotated[
        Share, "that a lane forgets its state after bptt_length steps and begins anew"
    ] = 0.02
    accumulate: Annotated[
        int, Ge(1), "batches whose gradients make one update: the effect of larger ones"
    ] = 1
    optimiser: Annotated[OptimiserName, "optimiser"] = "adamw"
    learning_rate: Annotated[float, Gt(0), "highest rate of the schedule"] = 3e-3
    beta1: Annotated[Share, "adamw: decay of the running mean of gradients"] = 0.9
    beta2: Annotated[Share, "adamw: decay of the running mean of squared gradients"] = 0.99
    momentum: Annotated[Share, "sgd: momentum"] = 0.0
    weight_decay: Annotated[float, Ge(0), "decoupled weight decay of the weight matrices"] = 0.0
    schedule: Annotated[ScheduleName, "learning-rate schedule"] = "one-cycle"
    warmup: Annotated[Share, "share of the training for linear warm-up"] = 0.1
    final_learning_rate: Annotated[
        float, Ge(0), Le(1), "last rate as a share of the highest (one-cycle, cosine, linear)"
    ] = 0.01
    decay: Annotated[float, Gt(0), Lt(1), "plateau: factor on the rate without improvement"] = 0.5
    decay_patience: Annotated[
        int, Ge(0), "plateau: validations without improvement before a decay"
    ] = 0
    max_grad_norm: Annotated[
        float, Ge(0), "largest global norm of the gradient; 0: not clipped"
    ] = 1.0
    label_smoothing: Annotated[Share, "label smoothing ε, spread evenly over all tokens"] = 0.0
    ema_decay: Annotated[Share, "of the moving average of the weights; 0: none"] = 0.0
    average_checkpoints: Annotated[
        int, Ge(0), "mean of the weights at so many last validations; 0: none"
    ] = 0
    validate_every: Annotated[int, Ge(0), "steps between validations; 0: only at the end"] = 500
    patience: Annotated[int, Ge(0), "validations without improvement that end it; 0: off"] = 0
    seed: Annotated[int, Ge(0), Lt(1 << 63), "random seed of weights, dropout and batch order"] = 0
    precision: Annotated[PrecisionName, "auto: bfloat16 where the hardware has it"] = "auto"
    device: Annotated[DeviceName, "auto: a GPU where there is one"] = "auto"
    log_every: Annotated[int, Ge(1), "steps between reports"] = 20
    save_every: Annotated[float, Ge(0), "seconds between saves of the training state"] = 60.0
    keep: Annotated[
        int,
        Ge(0),
        "models of so many best and so many last validations, in kept-models/STEP; 0: none",
    ] = 0

    def require_bound(self) -> None:
        """Check that the training ends.

        Raises:
            ConfigError: if neither steps nor epochs nor minutes are given, or two averages.
        """
        if self.ema_decay and self.average_checkpoints:
            problem = "training.ema_decay and training.average_checkpoints: give one of them."
            raise ConfigError([problem])
        if self.steps is None and self.epochs is None and self.minutes is None:
            raise ConfigError(
                ["training: no stopping criterion; set training.steps, .epochs or .minutes."]
            )
