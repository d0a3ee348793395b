"""Averages of the weights: a moving one, and the mean of the last validated ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from textgen.errors import CheckpointError

EVERY = 4
"""Steps between two updates of the average: neighbours differ too little to look at each."""


class Average(ABC):
    """An average of a model's weights that stands in for them at each validation.

    Args:
        model: whose weights are averaged.
    """

    def __init__(self, model: nn.Module) -> None:
        self.named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self._weights: list[Tensor] = [p.detach() for p in self.named.values()]

    @abstractmethod
    def update(self, step: int) -> None:
        """Take in the weights after ``step`` steps."""

    @abstractmethod
    def mark(self) -> None:
        """A validation comes."""

    @abstractmethod
    def values(self) -> list[Tensor]:
        """The averaged weights."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """All that a resumed training needs; live, not copied."""

    @abstractmethod
    def restore(self, tensors: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
        """Take over a saved average, or begin at saved weights where there is none.

        Raises:
            CheckpointError: if it belongs to another model.
        """

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model holds the average inside, and its own weights again after."""
        own = [weight.clone() for weight in self._weights]
        try:
            _copy(self._weights, self.values())
            yield
        finally:
            _copy(self._weights, own)

    def _fitting(self, tensors: Mapping[str, Tensor], prefix: str = "") -> list[Tensor]:
        """The saved tensors of all weights, in their order."""
        found = []
        for name, own in self.named.items():
            saved = tensors.get(prefix + name)
            if saved is None or saved.shape != own.shape:
                raise CheckpointError(
                    f"The saved average of {name} is missing or does not fit: training.ema_decay "
                    "and training.average_checkpoints must be as they were when it was saved."
                )
            found.append(saved)
        return found


class MovingAverage(Average):
    """A moving average: a ← D·a + (1 − D)·w at every ``EVERY``-th step.

    D = min(d^EVERY, (1 + n)/(10 + n)) after n steps: early on the first weights are soon forgotten,
    and the average spans about n / 2 steps; d = 0.999 holds from step 2,250 on.

    Args:
        model: whose weights are averaged.
        decay: d for each step of the training.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model)
        self.decay = decay**EVERY
        self._average = [weight.clone() for weight in self._weights]

    def update(self, step: int) -> None:
        """Take in the weights after ``step`` steps."""
        if step % EVERY:
            return
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._average, self._weights, 1 - decay)

    def mark(self) -> None:
        """Nothing is due."""

    def values(self) -> list[Tensor]:
        """The averaged weights."""
        return self._average

    def tensors(self) -> dict[str, Tensor]:
        """The average by parameter; live, not copied."""
        return dict(zip(self.named, self._average, strict=True))

    def restore(self, tensors: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
        """Take over a saved average, or begin at saved weights."""
        for own, saved in zip(self._average, self._fitting(tensors or weights), strict=True):
            own.copy_(saved)


class RecentMean(Average):
    """The mean of the weights at the last validations (checkpoint averaging).

    Args:
        model: whose weights are averaged.
        count: validations, this one included.
    """

    def __init__(self, model: nn.Module, count: int) -> None:
        super().__init__(model)
        self.count = count
        self._recent: list[list[Tensor]] = []

    def update(self, step: int) -> None:
        """Nothing is due."""

    def mark(self) -> None:
        """Keep the weights as they are, and forget the oldest."""
        self._recent.append([weight.clone() for weight in self._weights])
        del self._recent[: -self.count]

    def values(self) -> list[Tensor]:
        """The averaged weights."""
        return [torch.stack(each).mean(0) for each in zip(*self._recent, strict=True)]

    def tensors(self) -> dict[str, Tensor]:
        """The kept weights, numbered from the oldest; live, not copied."""
        return {
            f"{number}/{name}": weight
            for number, kept in enumerate(self._recent)
            for name, weight in zip(self.named, kept, strict=True)
        }

    def restore(self, tensors: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
        """Take over the kept weights."""
        del weights
        count = len({name.partition("/")[0] for name in tensors})
        self._recent = [
            [saved.clone() for saved in self._fitting(tensors, f"{number}/")]
            for number in range(count)
        ]


def make_average(model: nn.Module, decay: float, recent: int) -> Average | None:
    """The average that is asked for, if any: a moving one, or the last validations' mean."""
    if decay > 0:
        return MovingAverage(model, decay)
    return RecentMean(model, recent) if recent > 1 else None


def _copy(to: list[Tensor], values: list[Tensor]) -> None:
    # in place, so that whatever was prepacked from the old values is seen to be stale
    with torch.no_grad():
        for target, value in zip(to, values, strict=True):
            target.copy_(value)
