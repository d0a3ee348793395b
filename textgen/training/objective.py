"""What a training minimises and measures: the contract, and the loss of predicted tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

import torch
from torch import Tensor, nn

from textgen.data.batching import Batches, TrainingBatch
from textgen.data.tensor_batch import TensorBatch
from textgen.errors import CheckpointError, DataError
from textgen.protocols import Batch, FactoredOutput
from textgen.rows import where_rows
from textgen.training.loss import CHUNK, output_loss, token_nll
from textgen.training.precision import MixedPrecision

BatchT_contra = TypeVar("BatchT_contra", bound=TensorBatch, contravariant=True)


@dataclass(frozen=True)
class Loss:
    """What a model's predictions of a batch cost.

    Attributes:
        mean: scalar over the batch's ``count`` predictions, differentiable once.
        total: scalar without a gradient: the sum that is reported, without smoothing.
        state: a ``textgen.protocols.State`` to go on from at the next batch, or None.
    """

    mean: Tensor
    total: Tensor
    state: Any = None


class Objective(Protocol[BatchT_contra]):
    """What is minimised, and by what a model is judged."""

    @property
    def unit(self) -> str:
        """One prediction: ``token``, ``label``."""

    def loss(self, model: Any, batch: BatchT_contra, carried: Any) -> Loss:
        """The loss of a batch.

        Args:
            model: in training mode.
            batch: on the model's device.
            carried: the state of the ``Loss`` before, or as a list its saved tensors, or None.
        """

    def measure(
        self, model: nn.Module, batches: Batches[BatchT_contra], mixed_precision: MixedPrecision
    ) -> Mapping[str, float]:
        """Metrics of a model in evaluation mode on all batches; ``loss`` is the mean loss."""


@dataclass(frozen=True)
class TokenLoss:
    """Cross-entropy of the next token, in nats, with truncated back-propagation through time.

    Attributes:
        label_smoothing: ε of the training loss (Szegedy et al. 2016); measurements are without.
    """

    label_smoothing: float = 0.0
    unit: ClassVar[str] = "token"

    def loss(self, model: Any, batch: TrainingBatch, carried: Any) -> Loss:
        """See ``Objective``; rows of a stream go on from the state carried over."""
        # rows that end early never go on: their state after the padding is not used
        features, state = model.features(batch.inputs, _state(model, batch, carried))
        chosen, targets = select_real(features, batch)
        mean, total = output_loss(model, chosen, targets, self.label_smoothing)
        return Loss(mean, total, None if batch.lengths is not None else state)

    def measure(
        self, model: nn.Module, batches: Batches[TrainingBatch], mixed_precision: MixedPrecision
    ) -> Mapping[str, float]:
        """Nats per token as ``loss``."""
        nats, tokens = total_loss(model, batches, mixed_precision)
        return {"loss": nats / tokens}


def total_loss(
    model: nn.Module, batches: Batches[TrainingBatch], mixed_precision: MixedPrecision
) -> tuple[float, int]:
    """Nats of all real targets of one epoch, and their number.

    Args:
        model: a ``textgen.protocols.Model`` in evaluation mode on the arithmetic's device.
        batches: of epoch 0; the state is carried over where they continue.
        mixed_precision: device and type of numbers.

    Raises:
        DataError: if there are no batches.
    """
    reader: Any = model
    total = torch.zeros((), dtype=torch.float64, device=mixed_precision.device)
    tokens = 0
    state: Any = None
    with torch.no_grad():
        for given in batches.iterate(0):
            batch = given.to(mixed_precision.device)
            with mixed_precision.autocast():
                if state is None or not batch.continues:
                    state = reader.begin(begin_batch(batch))
                features, state = reader.features(batch.inputs, state)
                total += _nll(reader, *select_real(features, batch))
            tokens += batch.count
    if not tokens:
        raise DataError("There is nothing to validate on.")
    return float(total), tokens


def _nll(model: Any, features: Tensor, targets: Tensor) -> Tensor:
    """Nats of all targets; the logits are made a part at a time, to bound their memory."""
    factored: FactoredOutput | None = getattr(model, "factored", None)
    if factored is not None:
        return -factored.token_log_probs(features, targets).sum(dtype=torch.float64)
    rows = max(1, 4 * CHUNK // model.vocabulary_size)
    pairs = zip(torch.split(features, rows), torch.split(targets, rows), strict=True)
    parts = [
        token_nll(model.output(part), wanted).sum(dtype=torch.float64) for part, wanted in pairs
    ]
    return torch.stack(parts).sum()


def begin_batch(batch: TrainingBatch) -> Batch:
    """What a model is begun with for a training batch."""
    return Batch(batch.inputs.shape[0], batch.source, batch.source_lengths)


def select_real(features: Tensor, batch: TrainingBatch) -> tuple[Tensor, Tensor]:
    """Features (count, F) and targets (count,) of the real positions of (B, T, F)."""
    flat, wanted = features.flatten(0, 1), batch.targets.flatten()
    if batch.real is None:
        return flat, wanted
    return flat.index_select(0, batch.real), wanted.index_select(0, batch.real)


def _state(model: Any, batch: TrainingBatch, carried: Any) -> Any:
    """The state before a batch."""
    state = carried if batch.continues else None
    if state is None or isinstance(state, list):
        saved, state = state, model.begin(begin_batch(batch))
        if saved:
            state = _fill(state, [part.to(batch.inputs.device) for part in saved])
    return state if batch.fresh is None else _renewed(model, state, batch, batch.fresh)


def _renewed(model: Any, state: Any, batch: TrainingBatch, fresh: Tensor) -> Any:
    """The state (N rows) with the ``fresh`` rows (N,) as they are before the first token."""
    pairs = zip(model.begin(begin_batch(batch)).tensors(), state.tensors(), strict=True)
    return state.with_tensors([where_rows(fresh, new, old) for new, old in pairs])


def _fill(state: Any, tensors: list[Tensor]) -> Any:
    """A state of the same structure with saved values."""
    own = state.tensors()
    if [part.shape for part in own] != [part.shape for part in tensors]:
        raise CheckpointError("The saved recurrent state does not fit the model or the batches.")
    return state.with_tensors(tensors)
