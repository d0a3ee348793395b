"""Laid-out products: the same as plain ones, whatever the number of rows."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from textgen.models.products import (
    FEW_ROWS,
    FEW_WEIGHTS,
    NUMBERS,
    Plain,
    Precision,
    Small,
    prepack,
    prepack_output,
    whole_rows,
)
from textgen.native import MAX_KERNEL_ROWS, kernels, without

PRECISIONS: list[Precision] = ["float32", "bfloat16", "int8"]
TOLERANCE = {"float32": 1e-6, "bfloat16": 1e-2, "int8": 2e-2}


def relative(found: torch.Tensor, exact: torch.Tensor) -> float:
    return float((found.double() - exact).norm() / exact.norm())


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("size", [33, 64])
@pytest.mark.parametrize(
    "rows", [1, 3, FEW_ROWS, FEW_ROWS + 1, MAX_KERNEL_ROWS, MAX_KERNEL_ROWS + 1, 48]
)
def test_products_are_those_of_float64(
    precision: Precision, rows: int, size: int, biased: bool, either: str
) -> None:
    torch.manual_seed(0)
    weight, inputs, addend = torch.randn(96, size), torch.randn(rows, size), torch.randn(rows, 96)
    bias = torch.randn(96) if biased else None
    exact = F.linear(inputs.double(), weight.double(), bias.double() if biased else None)  # type: ignore[union-attr]
    product, numbers = prepack(weight, bias, precision), NUMBERS[precision]
    given = inputs.to(numbers)
    assert product(given).dtype == (torch.float32 if either == "native" else numbers)
    assert relative(product(given), exact) < TOLERANCE[precision]
    plus = product.plus(given, addend.to(numbers))
    assert relative(plus, exact + addend.double()) < TOLERANCE[precision]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.usefixtures("either")
def test_a_row_does_not_depend_on_its_neighbours_beyond_rounding(precision: Precision) -> None:
    torch.manual_seed(1)
    product = prepack(torch.randn(64, 64), None, precision)
    inputs = torch.randn(64, 64).to(NUMBERS[precision])
    together = product(inputs)
    for rows in (1, 2, FEW_ROWS, FEW_ROWS + 1, MAX_KERNEL_ROWS + 1):
        alone = product(inputs[:rows])
        torch.testing.assert_close(alone.float(), together[:rows].float(), rtol=1e-2, atol=0.1)


@pytest.mark.skipif(kernels() is None, reason="textgen.native was not compiled")
@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_row_is_the_same_to_the_last_bit_beside_any_others(precision: Precision) -> None:
    """So is a part of the outputs, which a shortlist is."""
    torch.manual_seed(6)
    weight, bias, inputs = torch.randn(100, 70), torch.randn(100), torch.randn(70, 70)
    output = prepack_output(nn.Identity(), _linear(weight, bias), precision)
    together = output(inputs)
    for rows in range(1, 71):
        for begin in (0, 70 - rows):
            assert torch.equal(output(inputs[begin : begin + rows]), together[begin : begin + rows])
    some = torch.tensor([3, 99, 50])
    assert torch.equal(output.with_last(weight[some], bias[some])(inputs), together[:, some])
    large = _linear(torch.randn(FEW_WEIGHTS // 70 + 9, 70), torch.randn(FEW_WEIGHTS // 70 + 9))
    output = prepack_output(nn.Identity(), large, precision)
    few = output.with_last(large.weight[some], large.bias[some])
    assert torch.equal(few(inputs), output(inputs)[:, some])


def _linear(weight: torch.Tensor, bias: torch.Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.data, layer.bias.data = weight, bias
    return layer


def test_numbers_of_rows_are_few_and_hardly_too_large() -> None:
    assert [whole_rows(rows) for rows in (1, 5, 8, 9, 17, 320, 321)] == [1, 5, 8, 16, 32, 320, 352]
    numbers = range(1, 5000)
    assert all(0 <= whole_rows(rows) - rows < max(16, rows / 8) for rows in numbers)
    assert all(whole_rows(whole_rows(rows)) == whole_rows(rows) for rows in numbers)
    assert len({whole_rows(rows) for rows in numbers}) < 70


def test_8_bits_keep_each_weight_within_half_a_level_and_a_row_of_zeros() -> None:
    torch.manual_seed(2)
    weight = torch.randn(20, 32) * torch.logspace(-3, 3, 20).unsqueeze(1)
    weight[7] = 0
    values = Small(weight, None)(torch.eye(32).bfloat16()).t().float()  # (20, 32)
    level = weight.abs().amax(1, keepdim=True) / 127
    # half a level, and the rounding of scale and value to 8 bits of mantissa
    assert ((values - weight).abs() <= 0.5 * level + weight.abs() * 2**-7 + 1e-9).all()
    assert not values[7].any()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("rows", [3, MAX_KERNEL_ROWS + 1])
def test_a_small_output_layer_gives_float32(precision: Precision, rows: int, either: str) -> None:
    torch.manual_seed(5)
    projection, features = nn.Linear(32, 50), torch.randn(rows, 32)
    exact = projection.double()(features.double())
    output = prepack_output(nn.Identity(), projection.float(), precision)
    found = output(features.to(NUMBERS[precision]))
    assert found.dtype == torch.float32
    assert relative(found, exact.detach()) < TOLERANCE[precision]
    large, features = nn.Linear(32, FEW_WEIGHTS // 32 + 32), torch.randn(MAX_KERNEL_ROWS + 1, 32)
    found = prepack_output(nn.Identity(), large, precision)(features.to(NUMBERS[precision]))
    assert found.dtype == (torch.float32 if either == "native" else NUMBERS[precision])


def test_an_output_layer_keeps_the_shape_of_its_features() -> None:
    torch.manual_seed(3)
    narrow, projection = nn.Linear(16, 8, bias=False), nn.Linear(8, 50)
    features = torch.randn(3, 5, 16)
    output = prepack_output(narrow, projection, "float32")
    torch.testing.assert_close(output(features), projection(narrow(features)))
    torch.testing.assert_close(
        prepack_output(nn.Identity(), projection, "float32")(features[..., :8]),
        projection(features[..., :8]),
    )
    some = torch.tensor([0, 7, 9])
    last = output.with_last(projection.weight[some], projection.bias[some])
    torch.testing.assert_close(last(features), projection(narrow(features))[..., some])


def test_without_torch_s_private_operators_products_are_plain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("textgen.models.products._operator", lambda *_: None)
    torch.manual_seed(4)
    weight, inputs = torch.randn(9, 12), torch.randn(2, 12)
    with without():
        assert isinstance(prepack(weight, None, "bfloat16"), Plain)
        small = prepack(weight, None, "int8")(inputs.bfloat16())
    assert relative(small, inputs.double() @ weight.double().t()) < TOLERANCE["int8"]
