"""One step's loss and gradients, with the recurrent state carried from batch to batch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from textgen.data.tensor_batch import TensorBatch
from textgen.training.group import ProcessGroup
from textgen.training.objective import Loss, Objective
from textgen.training.precision import MixedPrecision


class TrainStep:
    """Runs batches through a model and adds up their losses without waiting for the device.

    Args:
        model: that is trained.
        mixed_precision: device and type of numbers.
        objective: gives the losses.
        group: of the processes that share each batch's rows; None is this process alone.
    """

    def __init__(
        self,
        model: nn.Module,
        mixed_precision: MixedPrecision,
        objective: Objective[Any],
        group: ProcessGroup | None = None,
    ) -> None:
        self.mixed_precision = mixed_precision
        self.group = group or ProcessGroup()
        self._module = self.group.parallel(_LossModule(model, mixed_precision, objective))
        self._carried: Any = None
        self._total = torch.zeros((), device=mixed_precision.device)
        self._count = 0

    def gradients(self, batches: Sequence[TensorBatch]) -> None:
        """Give the parameters the gradients of the mean loss of all predictions of some batches."""
        count = sum(map(_count, batches))
        self._count += count
        for number, batch in enumerate(batches, start=1):
            last = number == len(batches)
            with nullcontext() if last else self.group.without_exchange(self._module):
                self._add_gradients(batch, count)

    def _add_gradients(self, batch: TensorBatch, count: int) -> None:
        """Add a batch's share of the gradients of ``count`` predictions."""
        own: Any = self.group.rows(batch)
        if own is None:
            zero: Tensor = self._module(None)
            torch.autograd.backward(zero)
            return
        # the group's gradient is the mean over processes: their losses weigh what they are of all
        weight = self.group.size * _count(own) / count
        loss: Loss = self._module(own.to(self.mixed_precision.device), self._carried)
        torch.autograd.backward(loss.mean * weight)
        self._carried = None if loss.state is None else loss.state.detach()
        self._total += loss.total

    def take_losses(self) -> tuple[float, int]:
        """Sum of the losses and number of predictions since the last call; waits for the device."""
        losses = self.group.total(self._total), self._count
        self._total.zero_()
        self._count = 0
        return losses

    def carried_tensors(self) -> list[Tensor]:
        """The recurrent state after the last batch of a stream; empty if there is none."""
        if self._carried is None or isinstance(self._carried, list):
            return self._carried or []
        tensors: list[Tensor] = self._carried.tensors()
        return tensors

    def restore(self, tensors: list[Tensor]) -> None:
        """Take over a saved recurrent state, for a next batch that continues."""
        self._carried = tensors or None


def _count(batch: Any) -> int:
    """Predictions of a batch."""
    count: int = batch.count
    return count


class _LossModule(nn.Module):
    """The loss of a batch as a module of its own, which is what runs data-parallel."""

    def __init__(
        self, model: nn.Module, mixed_precision: MixedPrecision, objective: Objective[Any]
    ) -> None:
        super().__init__()
        self.model = model
        self.mixed_precision, self.objective = mixed_precision, objective

    def forward(self, batch: TensorBatch | None, carried: Any = None) -> Any:
        """The loss; without a batch a zero that all parameters have a gradient of."""
        if batch is None:
            return torch.stack([each.flatten()[0] for each in self.parameters()]).sum() * 0.0
        with self.mixed_precision.autocast():
            return self.objective.loss(self.model, batch, carried)
