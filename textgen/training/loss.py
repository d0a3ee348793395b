"""Cross-entropy over real tokens, with its gradient made in the same pass over the logits."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from textgen.errors import ConfigError
from textgen.protocols import FactoredOutput

CHUNK = 1 << 19
"""Logits that are worked on at a time on a CPU: as many as its cache holds."""


_SMALL = 1e-30  # below, a float32 soon has fewer digits


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
        log_probs, spread = [], []
        uniform = logits.new_tensor(-smoothing / size / count, dtype=wide)
        for rows in pieces:
            part, chosen = logits[rows], targets[rows, None]  # (R, V), (R, 1)
            values = gradient[rows] if work is None else work[: len(part)]
            values.copy_(part)
            total = (
                values.sum(1, keepdim=True) - size * values.gather(1, chosen) if smoothing else 0
            )
            _softmax(values)
            log_prob = _log(values.gather(1, chosen), part, chosen)  # (R, 1)
            log_probs.append(log_prob.sum())
            if smoothing > 0:
                spread.append((total + size * log_prob).sum())  # Σ of all tokens' log p
            values.scatter_add_(1, chosen, values.new_full(chosen.shape, smoothing - 1))
            torch.add(uniform, values, alpha=1 / count, out=values)
            if work is not None:
                gradient[rows] = values
        ctx.save_for_backward(gradient)
        plain = -torch.stack(log_probs).sum()
        loss = plain / count
        if smoothing > 0:
            even = -torch.stack(spread).sum() / (count * size)
            loss = (1 - smoothing) * loss + smoothing * even
        ctx.mark_non_differentiable(plain)
        return loss, plain

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor, _: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        if outer.device.type == "cpu" and outer.item() == 1:
            return gradient, None, None, None
        return gradient * outer, None, None, None


def _softmax(values: Tensor) -> None:
    """Softmax of each row of (R, V), in its place."""
    if values.is_cpu:
        torch.softmax(values, 1, out=values)
    else:
        values.copy_(torch.softmax(values, 1))


def _log(probabilities: Tensor, logits: Tensor, targets: Tensor) -> Tensor:
    """Logarithms (R, 1) of the targets' probabilities, from the logits (R, V) where one is 0."""
    if probabilities.is_cpu and bool((probabilities > _SMALL).all()):
        return probabilities.log()
    return _log_probs(logits).gather(1, targets)


def _log_probs(logits: Tensor) -> Tensor:
    wide = torch.promote_types(logits.dtype, torch.float32)
    return torch.log_softmax(logits, dim=1, dtype=wide)


def _chunks(logits: Tensor) -> list[slice]:
    """Slices of rows whose logits stay in the cache; a GPU takes all rows at once."""
    count, size = logits.shape
    step = max(1, CHUNK // size) if logits.device.type == "cpu" else max(1, count)
    return [slice(start, start + step) for start in range(0, max(1, count), step)]
