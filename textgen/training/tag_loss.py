"""The loss of tags: of each for itself, or of a whole sentence's (CRF)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from textgen.data.batching import Batches
from textgen.data.spans import are_span_tags
from textgen.data.tagged_batches import TaggedBatch
from textgen.errors import DataError
from textgen.evaluation.span_scores import SpanCounts
from textgen.models.crf import log_partition, sequence_score
from textgen.training.objective import Loss
from textgen.training.precision import MixedPrecision


@dataclass(frozen=True)
class TagLoss:
    """Nats per word: −log p(tags | sentence) / words.

    Attributes:
        tags: names of the tags.
        label_smoothing: ε of the training loss of single tags (Szegedy et al. 2016).
    """

    tags: Sequence[str]
    label_smoothing: float = 0.0
    unit: ClassVar[str] = "word"

    def loss(self, model: Any, batch: TaggedBatch, carried: Any) -> Loss:
        """See ``textgen.training.objective.Objective``."""
        del carried
        scores: Tensor = model(batch.tokens, batch.spellings, batch.lengths)
        nats = self.nats(model, scores, batch, self.label_smoothing)
        total = self.nats(model, scores, batch) if self.label_smoothing else nats
        return Loss(nats / batch.count, total.detach().double())

    def nats(
        self, model: Any, scores: Tensor, batch: TaggedBatch, smoothing: float = 0.0
    ) -> Tensor:
        """Negative log-likelihood of a batch's tags: a scalar, of scores (B, S, L)."""
        crf = getattr(model, "module", model).crf
        if crf is None:
            real = _real(batch)
            return F.cross_entropy(
                scores[real], batch.tags[real], reduction="sum", label_smoothing=smoothing
            )
        chain = crf.chain()
        right = sequence_score(scores, batch.tags, batch.lengths, chain)
        return (log_partition(scores, batch.lengths, chain) - right).sum()

    def measure(
        self, model: Any, batches: Batches[TaggedBatch], mixed_precision: MixedPrecision
    ) -> Mapping[str, float]:
        """Nats per word as ``loss``, accuracy of words, and F1 of spans if there are any."""
        nats, words, right = 0.0, 0, 0
        counts = SpanCounts()
        for given in batches.iterate(0):
            batch = given.to(mixed_precision.device)
            with torch.no_grad(), mixed_precision.autocast():
                scores = model(batch.tokens, batch.spellings, batch.lengths)
                nats += float(self.nats(model, scores, batch))
                found = model.best(scores, batch.lengths)
            real = _real(batch)
            words += batch.count
            right += int((found == batch.tags)[real].sum())
            counts += self._spans(found, batch)
        if not words:
            raise DataError("There is nothing to validate on.")
        metrics = {"loss": nats / words, "accuracy": right / words}
        return metrics | ({"f1": counts.f1} if are_span_tags(self.tags) else {})

    def _spans(self, found: Tensor, batch: TaggedBatch) -> SpanCounts:
        counts = SpanCounts()
        if are_span_tags(self.tags):
            rows = zip(batch.lengths.tolist(), found.tolist(), batch.tags.tolist(), strict=True)
            for length, own, true in rows:
                names = ([self.tags[tag] for tag in side[:length]] for side in (own, true))
                counts += SpanCounts.of(*names)
        return counts


def _real(batch: TaggedBatch) -> Tensor:
    """(B, S) bool: the words, not the padding."""
    steps = torch.arange(batch.tags.shape[1], device=batch.tags.device)
    return steps < batch.lengths.unsqueeze(1)
