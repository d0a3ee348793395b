"""The exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from textgen.errors import CheckpointError

EVERY = 4
"""Steps between two updates of the average: neighbours differ too little to look at each."""


class Average:
    """A moving average of a model's weights: a ← d·a + (1 − d)·w.

    Early on the decay is lower, (1 + n)/(10 + n) after n updates, so that the first weights are
    soon forgotten.

    Args:
        model: whose weights are averaged.
        decay: d for each step of the training.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay**EVERY
        self.named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self._weights: list[Tensor] = [p.detach() for p in self.named.values()]
        self._average = [weight.clone() for weight in self._weights]

    def update(self, step: int) -> None:
        """Take in the weights after ``step`` steps."""
        if step % EVERY:
            return
        count = step // EVERY
        decay = min(self.decay, (1 + count) / (10 + count))
        torch._foreach_lerp_(self._average, self._weights, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model holds the average inside, and its own weights again after."""
        own = [weight.clone() for weight in self._weights]
        try:
            _copy(self._weights, self._average)
            yield
        finally:
            _copy(self._weights, own)

    def tensors(self) -> dict[str, Tensor]:
        """The average by parameter; live, not copied."""
        return dict(zip(self.named, self._average, strict=True))

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a saved average.

        Raises:
            CheckpointError: if it belongs to another model.
        """
        for name, own in self.tensors().items():
            saved = tensors.get(name)
            if saved is None or saved.shape != own.shape:
                raise CheckpointError(f"The average of {name} is missing or does not fit.")
            own.copy_(saved)


def _copy(to: list[Tensor], values: list[Tensor]) -> None:
    # in place, so that whatever was laid out from the old values is seen to be stale
    with torch.no_grad():
        for target, value in zip(to, values, strict=True):
            target.copy_(value)
