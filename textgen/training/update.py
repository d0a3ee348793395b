"""One step's loss and gradients, with the recurrent state carried from batch to batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from textgen.data.batching import TrainingBatch
from textgen.errors import CheckpointError
from textgen.protocols import Batch
from textgen.training.group import Group
from textgen.training.loss import output_loss
from textgen.training.precision import Arithmetic

PAD = 0
"""The token that is no target."""


class Learner:
    """Runs batches through a model and adds up their losses without waiting for the device.

    Args:
        model: a ``textgen.protocols.Model``.
        arithmetic: device and type of numbers.
        label_smoothing: of the loss.
        group: of the processes that share each batch's rows; None is this process alone.
    """

    def __init__(
        self,
        model: nn.Module,
        arithmetic: Arithmetic,
        label_smoothing: float,
        group: Group | None = None,
    ) -> None:
        self.model: Any = model
        self.arithmetic = arithmetic
        self.group = group or Group()
        self._objective = self.group.parallel(_Objective(model, arithmetic, label_smoothing))
        self._carried: Any = None
        self._saved: list[Tensor] = []
        self._nll = torch.zeros((), device=arithmetic.device)
        self._tokens = 0

    def gradients(self, batch: TrainingBatch) -> None:
        """Give the parameters the gradients of the mean loss of a batch's real targets."""
        own = self.group.rows(batch)
        self._tokens += batch.tokens
        if own is None:
            self._objective(None).backward()
            return
        device = self.arithmetic.device
        real = real_positions(own)
        own, real = to_device(own, device), send(real, device)
        # the group's gradient is the mean over processes: their losses weigh what they are of all
        weight = self.group.size * own.tokens / batch.tokens
        loss, nll, state = self._objective(own, real, self._begin, weight)
        loss.backward()
        self._carried = state.detach() if own.lengths is None else None
        self._nll += nll

    def take_losses(self) -> tuple[float, int]:
        """Nats and number of tokens since the last call; waits for the device."""
        losses = self.group.total(self._nll), self._tokens
        self._nll.zero_()
        self._tokens = 0
        return losses

    def carried_tensors(self) -> list[Tensor]:
        """The recurrent state after the last batch of a stream; empty if there is none."""
        if self._carried is None:
            return self._saved
        tensors: list[Tensor] = self._carried.tensors()
        return tensors

    def restore(self, tensors: list[Tensor]) -> None:
        """Take over a saved recurrent state, for a next batch that continues."""
        self._carried, self._saved = None, tensors

    def _begin(self, batch: TrainingBatch) -> Any:
        """The state before a batch."""
        state = self._carried if batch.continues else None
        if state is None:
            state = self.model.begin(begin_batch(batch))
            if batch.continues and self._saved:
                state = _fill(state, [part.to(batch.inputs.device) for part in self._saved])
        self._saved = []
        return state if batch.fresh is None else self._renewed(state, batch, batch.fresh)

    def _renewed(self, state: Any, batch: TrainingBatch, fresh: Tensor) -> Any:
        """The state (N rows) with the ``fresh`` rows (N,) as they are before the first token."""
        begin: list[Tensor] = self.model.begin(begin_batch(batch)).tensors()
        rows = fresh.unsqueeze(1)
        pairs = zip(begin, state.tensors(), strict=True)
        return state.with_tensors([torch.where(rows, new, old) for new, old in pairs])


class _Objective(nn.Module):
    """The loss of a batch as a module of its own, which is what runs data-parallel."""

    def __init__(self, model: nn.Module, arithmetic: Arithmetic, label_smoothing: float) -> None:
        super().__init__()
        self.model: Any = model
        self.arithmetic = arithmetic
        self.label_smoothing = label_smoothing

    def forward(
        self,
        batch: TrainingBatch | None,
        real: Tensor | None = None,
        begin: Callable[[TrainingBatch], Any] | None = None,
        weight: float = 1.0,
    ) -> Any:
        """The mean loss times a weight, the nats, and the state after the batch.

        Without a batch it is a zero that all parameters have a gradient of.
        """
        if batch is None or begin is None:
            return torch.stack([each.flatten()[0] for each in self.parameters()]).sum() * 0.0
        with self.arithmetic.autocast():
            # rows that end early never go on: their state after the padding is not used
            features, state = self.model.features(batch.inputs, begin(batch))
            chosen, targets = select_real(features, batch.targets, real)
            loss, nll = output_loss(self.model, chosen, targets, self.label_smoothing)
        return loss * weight, nll, state


def begin_batch(batch: TrainingBatch) -> Batch:
    """What a model is begun with for a training batch."""
    return Batch(batch.inputs.shape[0], batch.source, batch.source_lengths)


def real_positions(batch: TrainingBatch) -> Tensor | None:
    """Numbers (tokens,) of the targets that are no pad, or None where all are real.

    Found on the CPU, where batches come from: a GPU would have to be waited for.
    """
    if batch.tokens == batch.targets.numel():
        return None
    return (batch.targets.flatten() != PAD).nonzero().squeeze(1)


def select_real(features: Tensor, targets: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor]:
    """Features (tokens, F) and targets (tokens,) of the real positions of (B, T, F) and (B, T)."""
    flat, wanted = features.flatten(0, 1), targets.flatten()
    if real is None:
        return flat, wanted
    return flat.index_select(0, real), wanted.index_select(0, real)


def to_device(batch: TrainingBatch, device: torch.device) -> TrainingBatch:
    """A batch on a device, sent without waiting."""
    if device.type == "cpu":
        return batch
    return TrainingBatch(
        inputs=send_tensor(batch.inputs, device),
        targets=send_tensor(batch.targets, device),
        lengths=send(batch.lengths, device),
        continues=batch.continues,
        tokens=batch.tokens,
        fresh=send(batch.fresh, device),
        source=send(batch.source, device),
        source_lengths=send(batch.source_lengths, device),
    )


def send(tensor: Tensor | None, device: torch.device) -> Tensor | None:
    """A tensor on a device, or None."""
    return None if tensor is None else send_tensor(tensor, device)


def send_tensor(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device, sent without waiting."""
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def _fill(state: Any, tensors: list[Tensor]) -> Any:
    """A state of the same structure with saved values."""
    own = state.tensors()
    if [part.shape for part in own] != [part.shape for part in tensors]:
        raise CheckpointError("The saved recurrent state does not fit the model or the batches.")
    return state.with_tensors(tensors)
