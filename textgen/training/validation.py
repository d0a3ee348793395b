"""The loss of a model on batches, without gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from textgen.data.batching import Batches
from textgen.errors import DataError
from textgen.protocols import FactoredOutput
from textgen.training.loss import CHUNK, token_nll
from textgen.training.precision import Arithmetic
from textgen.training.update import begin_batch, real_positions, select_real, send, to_device


def total_loss(model: nn.Module, batches: Batches, arithmetic: Arithmetic) -> tuple[float, int]:
    """Nats of all real targets of one epoch, and their number.

    Args:
        model: a ``textgen.protocols.Model`` in evaluation mode on the arithmetic's device.
        batches: of epoch 0; the state is carried over where they continue.
        arithmetic: device and type of numbers.

    Raises:
        DataError: if there are no batches.
    """
    reader: Any = model
    total = torch.zeros((), dtype=torch.float64, device=arithmetic.device)
    tokens = 0
    state: Any = None
    with torch.no_grad():
        for given in batches.iterate(0):
            real = send(real_positions(given), arithmetic.device)
            batch = to_device(given, arithmetic.device)
            with arithmetic.autocast():
                if state is None or not batch.continues:
                    state = reader.begin(begin_batch(batch))
                features, state = reader.features(batch.inputs, state)
                chosen, targets = select_real(features, batch.targets, real)
                total += _nll(reader, chosen, targets)
            tokens += batch.tokens
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
