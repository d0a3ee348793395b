"""The course of the learning rate, as a function of the share of the training that is done."""

from __future__ import annotations

import math

from textgen.recipes.training import TrainingConfig

START = 0.04
"""The warm-up's first rate, as a share of the highest."""


def rate_factor(config: TrainingConfig, progress: float, decays: int = 0) -> float:
    """Learning rate as a share of ``config.learning_rate``.

    All schedules rise from ``START`` to 1 during the warm-up. Then ``cosine`` and ``one-cycle``
    fall along half a cosine (the latter also rises along one; Smith & Topin 2017), ``linear``
    falls on a line, ``constant`` stays, and ``plateau`` is lowered when validations stop improving.

    Args:
        config: of the training.
        progress: share of the training that is done, 0 to 1.
        decays: how often the plateau schedule has lowered the rate.
    """
    if progress < config.warmup:
        risen = progress / config.warmup
        if config.schedule == "one-cycle":
            risen = (1 - math.cos(math.pi * risen)) / 2
        return START + (1 - START) * risen
    if config.schedule == "constant":
        return 1.0
    if config.schedule == "plateau":
        return config.decay**decays
    fallen = min(1.0, (progress - config.warmup) / (1 - config.warmup))
    if config.schedule != "linear":
        fallen = (1 - math.cos(math.pi * fallen)) / 2
    return 1 - (1 - config.final_learning_rate) * fallen
