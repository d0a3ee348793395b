"""Clipping of the gradient by its global norm (Pascanu, Mikolov & Bengio 2013)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def global_norm(parameters: Iterable[Tensor]) -> Tensor:
    """Euclidean norm of all gradients together, a float32 scalar on their device."""
    gradients = [each.grad for each in parameters if each.grad is not None]
    if not gradients:
        return torch.zeros(())
    return torch.nn.utils.get_total_norm(gradients)


def excess(norm: Tensor, limit: float) -> Tensor:
    """What to divide the gradient by, so that its norm is at most ``limit``: max(1, ‖G‖/θ)."""
    return (norm / limit).clamp(min=1.0)


def clip(parameters: Iterable[Tensor], limit: float) -> Tensor:
    """Scale the gradients in place: if ‖G‖ > θ then G ← θ·G/‖G‖.

    Returns:
        The norm before clipping.
    """
    parameters = list(parameters)
    norm = global_norm(parameters)
    divisor = excess(norm, limit)
    for each in parameters:
        if each.grad is not None:
            each.grad.div_(divisor)
    return norm
