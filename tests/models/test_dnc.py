"""The differentiable neural computer: addressing, laws of cells, and its options."""

from __future__ import annotations

import pytest
import torch
from dnc_reference import dnc
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from checks import some
from textgen.errors import ConfigError
from textgen.models.cells import Cell, make_cell
from textgen.models.dnc import Dnc, allocation, content_weights
from textgen.testing import check_cell


def make(**options: int) -> Dnc:
    torch.manual_seed(4)
    return Dnc(3, 5, **{"slots": 4, "width": 3, "reads": 2, **options})


def reference(cell: Cell, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    rows = [dnc(cell, x[row], *(part[row] for part in state)) for row in range(len(x))]
    return tuple(torch.stack(parts) for parts in zip(*rows, strict=True))


@pytest.mark.parametrize("options", [{}, {"reads": 1}, {"slots": 1}, {"width": 1}])
def test_it_is_a_cell(options: dict[str, int]) -> None:
    check_cell(make(**options), reference)


def test_from_an_empty_memory_gradients_are_finite() -> None:
    cell = make().double()
    outputs, state = cell.sequence(
        torch.randn(2, 6, 3, dtype=torch.float64), cell.zeros(2), cell.weight_recurrent
    )
    outputs.square().sum().backward()
    for name, parameter in some(cell.named_parameters()):
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name
        assert bool(parameter.grad.any()), name
    usage, heads, write = state[5], state[9], state[8]
    assert bool(((usage >= 0) & (usage <= 1)).all())
    assert bool((write.sum(1) <= 1 + 1e-12).all())
    assert bool((heads.sum(2) <= 1 + 1e-12).all())


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_what_is_used_least_is_allocated_first(values: list[float]) -> None:
    usage = torch.tensor([values], dtype=torch.float64)
    found = allocation(usage)[0]
    assert float(found.sum()) == pytest.approx(1 - float(usage.prod()), abs=1e-12)
    order = sorted(range(len(values)), key=lambda slot: values[slot])
    left = 1.0
    for slot in order:
        assert float(found[slot]) == pytest.approx((1 - values[slot]) * left, abs=1e-12)
        left *= values[slot]


def test_content_finds_the_slot_that_is_alike() -> None:
    memory = torch.eye(4, dtype=torch.float64).unsqueeze(0)
    weights = content_weights(memory, 7 * memory[:, 2:3], torch.tensor([[50.0]]).double())
    assert weights.shape == (1, 1, 4)
    assert float(weights[0, 0, 2]) > 0.999


def test_options_come_from_the_name() -> None:
    cell = make_cell("dnc:slots=5,width=2,reads=3", 4, 6)
    assert isinstance(cell, Dnc)
    assert (cell.slots, cell.width, cell.reads) == (5, 2, 3)
    for wrong in ("dnc:slots=0", "dnc:reads=1.5", "dnc:heads=2"):
        with pytest.raises(ConfigError):
            make_cell(wrong, 4, 6)
