"""How much of a training's budget is used up."""

from __future__ import annotations

from textgen.recipes.training import TrainingConfig
from textgen.training.events import Reason
from textgen.training.state import Counters


def used_shares(
    config: TrainingConfig, counters: Counters, batches: int, kept_back: float
) -> dict[Reason, float]:
    """The used share of each bound that is set; at 1 it is reached.

    Args:
        config: with the bounds.
        counters: of the training.
        batches: number of batches in an epoch.
        kept_back: seconds of the minutes that are kept for a last validation, half of them at most.
    """
    shares: dict[Reason, float] = {}
    if config.steps is not None:
        shares["steps"] = counters.step / config.steps
    if config.epochs is not None:
        shares["epochs"] = (counters.epoch + counters.index / batches) / config.epochs
    if config.minutes is not None:
        budget = 60 * config.minutes
        shares["minutes"] = counters.seconds / max(budget - kept_back, budget / 2)
    return shares
