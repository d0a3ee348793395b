"""Types of numbers in a pass, and the one product that it repeats at every step."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Types(NamedTuple):
    """Types of numbers within a pass.

    Attributes:
        products: of weights, of what they are multiplied with, and of the outputs.
        elements: of gates, memory and gradients between two products: at least float32.
    """

    products: torch.dtype
    elements: torch.dtype

    @property
    def mixed(self) -> bool:
        """Whether what goes into a product must be converted first."""
        return self.products != self.elements


def choose_types(inputs: Tensor) -> Types:
    """The types for these inputs, which autocast may narrow (float64 it never does)."""
    products, device = inputs.dtype, inputs.device.type
    if torch.is_autocast_enabled(device) and products != torch.float64:
        products = torch.get_autocast_dtype(device)
    return Types(products, torch.promote_types(products, torch.float32))


class AddedProduct:
    """Adds W @ values to a target, at every step of a sequence.

    Args:
        weight: (A, B) in the type of products. One layout for all steps: torch's bfloat16 kernels
            re-pack their right operand at each call, which is the small one here.
        rows: N.
        types: types of numbers.
    """

    def __init__(self, weight: Tensor, rows: int, types: Types) -> None:
        self.weight = weight
        self.result = weight.new_empty(weight.shape[0], rows) if types.mixed else None
        self.values = weight.new_empty(weight.shape[1], rows) if types.mixed else None

    def add(self, target: Tensor, values: Tensor) -> None:
        """``target`` (A, N) elements += W @ ``values`` (B, N), of either type."""
        if self.result is None or self.values is None:
            target.addmm_(self.weight, values)
            return
        if values.dtype != self.values.dtype:
            values = self.values.copy_(values)
        target.add_(torch.mm(self.weight, values, out=self.result))
