"""The fastest matrix products that are still float32.

torch's setting "medium" lets oneDNN multiply. On some processors (AMD's) this doubles the speed of
float32 products at the same accuracy, on others it means bfloat16: a small product tells which.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import torch

TOLERANCE = 1e-5
"""Largest relative error of a matrix product that still counts as float32."""

_SETTING = "medium"


def take_fast_float32() -> bool:
    """Let this process multiply float32 on the CPU the fastest way that is still float32.

    Returns:
        Whether that is another way than before: torch's setting was changed.
    """
    if torch.get_float32_matmul_precision() == _SETTING or not _exact():
        return False
    torch.set_float32_matmul_precision(_SETTING)
    return True


@contextmanager
def fast_float32() -> Iterator[None]:
    """As ``take_fast_float32``, for a while."""
    before = torch.get_float32_matmul_precision()
    take_fast_float32()
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@functools.cache
def _exact() -> bool:
    """Whether the fast setting keeps float32 here."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(_SETTING)
    try:
        return _product_error() <= TOLERANCE
    finally:
        torch.set_float32_matmul_precision(before)


def _product_error() -> float:
    """Relative error of a float32 product on the CPU."""
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, 256, 256, generator=generator).unbind()
    exact = left.double() @ right.double()
    return float((left @ right - exact).norm() / exact.norm())
