"""Fast products are float32, or not taken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from textgen.models import float32
from textgen.models.float32 import fast_float32, take_fast_float32


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    float32._exact.cache_clear()
    yield
    float32._exact.cache_clear()
    torch.set_float32_matmul_precision(before)


def test_fast_products_are_still_float32() -> None:
    """On hardware where torch's fast setting means bfloat16 it is not taken."""
    left, right = torch.randn(2, 300, 300).unbind()
    with fast_float32():
        product = left @ right
    exact = left.double() @ right.double()
    assert (product - exact).norm() / exact.norm() < 1e-5
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize(("error", "expected"), [(1e-3, "highest"), (1e-7, "medium")])
def test_fast_products_are_probed(
    monkeypatch: pytest.MonkeyPatch, error: float, expected: str
) -> None:
    monkeypatch.setattr(float32, "_product_error", lambda: error)
    with fast_float32():
        assert torch.get_float32_matmul_precision() == expected
    assert torch.get_float32_matmul_precision() == "highest"
    assert take_fast_float32() == (expected == "medium")
    assert torch.get_float32_matmul_precision() == expected
    assert not take_fast_float32()
