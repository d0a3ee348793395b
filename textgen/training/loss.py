"""Cross-entropy over real tokens, with its gradient made in the same pass over the logits."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from textgen.errors import ConfigError
from textgen.protocols import FactoredOutput

CHUNK = 1 << 20
"""Logits that are worked on at a time on a CPU: as many as its cache holds."""


def cross_entropy(
    logits: Tensor,
    targets: Tensor,
    label_smoothing: float = 0.0,
    *,
    divisor: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Mean loss for training, and the plain sum for people.

    With smoothing ε the target distribution is (1 − ε)·onehot + ε/V (Szegedy et al. 2016).

    Args:
        logits: (N, V) of real positions only, any float type; the arithmetic is float32 or wider.
        targets: (N,) int64.
        label_smoothing: ε.
        divisor: what the mean is taken over; None: the N rows. Needed where N is 0.

    Returns:
        The mean smoothed loss (differentiable once), and the sum of −log p(target) in nats
        (without a gradient); both scalars.
    """
    apply: Any = _CrossEntropy.apply
    losses = apply(logits, targets, label_smoothing, divisor or len(logits))
    return cast("tuple[Tensor, Tensor]", losses)


def output_loss(
    model: Any, features: Tensor, targets: Tensor, label_smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """The losses of ``cross_entropy``, through a model's output layer.

    A factored output is asked only for what the targets need.

    Args:
        model: a ``textgen.protocols.Model``.
        features: (N, F) of real positions only.
        targets: (N,) int64.
        label_smoothing: ε.

    Raises:
        ConfigError: if the smoothing needs what a factored output does not compute.
    """
    factored: FactoredOutput | None = getattr(model, "factored", None)
    if factored is None:
        return cross_entropy(model.output(features), targets, label_smoothing)
    if label_smoothing:
        raise ConfigError(["training.label_smoothing: needs model.output=full."])
    losses = [
        cross_entropy(choice.logits, choice.targets, divisor=len(targets))
        for choice in factored.choices(features, targets)
    ]
    means, sums = zip(*losses, strict=True)
    return torch.stack(means).sum(), torch.stack(sums).sum()


def token_nll(logits: Tensor, targets: Tensor) -> Tensor:
    """−log p(target) in nats, (N,) float32 or wider, of logits (N, V) and targets (N,)."""
    parts = [
        -_log_probs(logits[rows]).gather(1, targets[rows, None]).squeeze(1)
        for rows in _chunks(logits)
    ]
    return torch.cat(parts)


class _CrossEntropy(torch.autograd.Function):
    """Both losses, and ∂loss/∂logits = (softmax − target distribution) / count, chunk by chunk."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, targets: Tensor, smoothing: float, count: int
    ) -> tuple[Tensor, Tensor]:
        size = logits.shape[1]
        gradient = torch.empty_like(logits)
        wide = torch.promote_types(logits.dtype, torch.float32)
        pieces = _chunks(logits)
        most = min(len(logits), pieces[0].stop)
        work = None if logits.dtype == wide else logits.new_empty((most, size), dtype=wide)
        nll, spread = [], []
        for rows in pieces:
            part, chosen = logits[rows], targets[rows, None]  # (R, V), (R, 1)
            values = gradient[rows] if work is None else work[: len(part)]
            values.copy_(part)
            target, total = values.gather(1, chosen), values.sum(1, keepdim=True)
            normaliser = _softmax(values)
            nll.append((target - normaliser).sum())
            if smoothing > 0:
                spread.append((total - size * normaliser).sum())
            values.mul_(1 / count)
            if smoothing > 0:
                values.sub_(smoothing / size / count)
            share = values.new_tensor((smoothing - 1) / count)
            values.scatter_add_(1, chosen, share.expand_as(chosen))
            if work is not None:
                gradient[rows] = values
        ctx.save_for_backward(gradient)
        plain = -torch.stack(nll).sum()
        loss = plain / count
        if smoothing > 0:
            uniform = -torch.stack(spread).sum() / (count * size)
            loss = (1 - smoothing) * loss + smoothing * uniform
        ctx.mark_non_differentiable(plain)
        return loss, plain

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor, _: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        if outer.device.type == "cpu" and outer.item() == 1:
            return gradient, None, None, None
        return gradient * outer, None, None, None


def _softmax(values: Tensor) -> Tensor:
    """Softmax of each row of (R, V), in its place; returns (R, 1) log Σ exp of what was there."""
    largest = values.amax(1, keepdim=True)
    if values.is_cpu:
        torch.softmax(values, 1, out=values)
    else:
        values.copy_(torch.softmax(values, 1))
    # the largest probability is exp(largest − log Σ exp), at least 1 / V
    return largest - values.amax(1, keepdim=True).log()


def _log_probs(logits: Tensor) -> Tensor:
    wide = torch.promote_types(logits.dtype, torch.float32)
    return torch.log_softmax(logits, dim=1, dtype=wide)


def _chunks(logits: Tensor) -> list[slice]:
    """Slices of rows whose logits stay in the cache; a GPU takes all rows at once."""
    count, size = logits.shape
    step = max(1, CHUNK // size) if logits.device.type == "cpu" else max(1, count)
    return [slice(start, start + step) for start in range(0, max(1, count), step)]
