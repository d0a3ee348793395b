"""The loss of labels: of one for each text, or of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from textgen.classification import THRESHOLD
from textgen.data.batching import Batches
from textgen.data.labelled import LabelledBatch
from textgen.errors import DataError
from textgen.training.objective import Loss
from textgen.training.precision import MixedPrecision


@dataclass(frozen=True)
class LabelLoss:
    """Nats per text: cross-entropy of its label, or the sum of those of every yes and no.

    Attributes:
        output: "softmax", one label for each text, or "sigmoid", any number of them.
        label_smoothing: ε of the training loss: spread over all labels, or over yes and no of each
            (Szegedy et al. 2016).
        weights: of the classes in the training loss; none: all 1.
    """

    output: Literal["softmax", "sigmoid"] = "softmax"
    label_smoothing: float = 0.0
    weights: tuple[float, ...] = ()
    unit: ClassVar[str] = "text"

    def loss(self, model: Any, batch: LabelledBatch, carried: Any) -> Loss:
        """See ``textgen.training.objective.Objective``."""
        del carried
        logits: Tensor = model(batch.tokens, batch.lengths, batch.spellings).float()
        total = self.nats(logits, batch.labels).detach().sum(dtype=torch.float64)
        return Loss(self._training_nats(logits, batch.labels).mean(), total)

    def nats(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Negative log-likelihood (B,) of logits (B, C) and labels (B, C)."""
        return self._each(logits, labels).sum(1)

    def _each(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Nats (B, C) of targets (B, C) in [0, 1]."""
        if self.output == "softmax":
            return -logits.log_softmax(1) * targets
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none")

    def _training_nats(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Nats (B,) with smoothing and weights."""
        choices = labels.shape[1] if self.output == "softmax" else 2
        smooth = self.label_smoothing
        nats = self._each(logits, (1 - smooth) * labels + smooth / choices)
        if not self.weights:
            return nats.sum(1)
        weights = logits.new_tensor(self.weights)
        if self.output == "softmax":
            return nats.sum(1) * (labels * weights).sum(1)
        return (nats * torch.where(labels > 0, weights, torch.ones_like(weights))).sum(1)

    def predicted(self, logits: Tensor) -> Tensor:
        """(B, C) bool: what logits (B, C) predict."""
        if self.output == "sigmoid":
            return torch.sigmoid(logits) >= THRESHOLD
        best = logits.argmax(1, keepdim=True)
        return torch.zeros_like(logits, dtype=torch.bool).scatter(1, best, value=True)

    def measure(
        self, model: nn.Module, batches: Batches[LabelledBatch], mixed_precision: MixedPrecision
    ) -> Mapping[str, float]:
        """Nats per text as ``loss``, the share of texts with all labels right, and macro F1."""
        nats, exact, texts = 0.0, 0, 0
        counts: Tensor | None = None  # (3, C): right, predicted, true
        for given in batches.iterate(0):
            batch = given.to(mixed_precision.device)
            with torch.no_grad(), mixed_precision.autocast():
                logits = model(batch.tokens, batch.lengths, batch.spellings).float()
            found, true = self.predicted(logits), batch.labels > 0
            nats += float(self.nats(logits, batch.labels).sum(dtype=torch.float64))
            exact += int((found == true).all(1).sum())
            texts += batch.count
            own = torch.stack([(found & true).sum(0), found.sum(0), true.sum(0)])
            counts = own if counts is None else counts + own
        if counts is None:
            raise DataError("There is nothing to validate on.")
        right, predicted, true = counts.double()
        f1 = 2 * right / (predicted + true).clamp(min=1)
        if self.output == "softmax":
            f1 = f1[predicted + true > 0]  # as scikit-learn: of the labels that occur
        return {"loss": nats / texts, "accuracy": exact / texts, "macro_f1": float(f1.mean())}
