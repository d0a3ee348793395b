"""Types of numbers in a pass."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Types(NamedTuple):
    """Types of numbers within a pass.

    Attributes:
        products: of weights, of what they are multiplied with and what comes out of it, and of
            the outputs.
        elements: of gates, memory and gradients between two products: at least float32.
    """

    products: torch.dtype
    elements: torch.dtype

    @property
    def mixed(self) -> bool:
        """Whether what goes into a product, or comes out, must be converted."""
        return self.products != self.elements


def choose_types(inputs: Tensor) -> Types:
    """The types for these inputs, which autocast may narrow (float64 it never does)."""
    products, device = inputs.dtype, inputs.device.type
    if torch.is_autocast_enabled(device) and products != torch.float64:
        products = torch.get_autocast_dtype(device)
    return Types(products, torch.promote_types(products, torch.float32))
