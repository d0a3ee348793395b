"""Fused optimisers that clip, and that skip an update which is not finite, inside their kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from textgen.errors import CheckpointError
from textgen.recipes.training import TrainingConfig
from textgen.training.clipping import excess, global_norm


class Optimiser:
    """AdamW (Loshchilov & Hutter 2019) or SGD over the parameters of a model.

    Weight decay applies to matrices and not to biases and gains. An update with a gradient that
    is not finite leaves weights and moments as they were, without waiting for the device.

    Args:
        model: its parameters that need gradients are trained.
        config: name, momenta, decay and clipping.
    """

    def __init__(self, model: nn.Module, config: TrainingConfig) -> None:
        self.named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.parameters = list(self.named.values())
        self.clip = config.max_grad_norm
        self._inner: Any = _fused(self.parameters, config)

    def step(self, rate: float) -> Tensor:
        """Update the weights from their gradients and forget these.

        Args:
            rate: learning rate.

        Returns:
            The gradient's global norm before clipping, a scalar on the device.
        """
        norm = global_norm(self.parameters)
        for group in self._inner.param_groups:
            group["lr"] = rate
        # the kernels divide by grad_scale and do nothing where found_inf is 1: no pass of its own
        self._inner.grad_scale = excess(norm, self.clip) if self.clip > 0 else None
        self._inner.found_inf = (~torch.isfinite(norm)).float()
        self._inner.step()
        self._inner.zero_grad(set_to_none=True)
        return norm

    def tensors(self) -> dict[str, Tensor]:
        """The moments by ``<parameter>/<key>``; live, not copied."""
        return {
            f"{name}/{key}": value
            for name, parameter in self.named.items()
            for key, value in self._inner.state.get(parameter, {}).items()
            if isinstance(value, Tensor)
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over saved moments.

        Raises:
            CheckpointError: if they belong to other parameters.
        """
        self._inner.state.clear()
        for path, value in tensors.items():
            name, _, key = path.rpartition("/")
            parameter = self.named.get(name)
            if parameter is None or (value.dim() > 0 and value.shape != parameter.shape):
                raise CheckpointError(f"The optimiser's {path} does not fit the model.")
            self._inner.state[parameter][key] = value.to(parameter.device, copy=True)


def _fused(parameters: list[nn.Parameter], config: TrainingConfig) -> torch.optim.Optimizer:
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if config.optimiser == "sgd":
        return torch.optim.SGD(
            groups, lr=config.learning_rate, momentum=config.momentum, fused=True
        )
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=(config.beta1, config.beta2), fused=True
    )
