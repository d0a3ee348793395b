"""Dynamic temperature on exact numbers and at its edges."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fakes import make_beam
from textgen.decoding.chain import default_registries, resolve
from textgen.errors import ConfigError
from textgen_decoders.dynamic_temperature import DynamicTemperature
from textgen_decoders.temperature import Temperature

DEAD = float("-inf")
BEAM = make_beam([[[]]])


def logs(*values: float | Fraction) -> Tensor:
    return torch.tensor([[[math.log(value) if value else DEAD for value in values]]])


def heat(one: DynamicTemperature, scores: Tensor) -> float:
    """The temperature that was used, read off the score of the first token."""
    return float(scores[0, 0, 0] / one(scores, BEAM)[0, 0, 0])


def test_the_temperature_rises_with_the_share_of_the_entropy() -> None:
    """H of (1/2, 1/4, 1/8, 1/8) is 7/4 of 2 bits: 7/8."""
    eighths = logs(Fraction(1, 2), Fraction(1, 4), Fraction(1, 8), Fraction(1, 8))
    assert heat(DynamicTemperature(0.5, 1.5), eighths) == pytest.approx(0.5 + 7 / 8)
    assert heat(DynamicTemperature(0.5, 1.5, 2), eighths) == pytest.approx(0.5 + 49 / 64)
    assert heat(DynamicTemperature(2.0, 1.0), eighths) == pytest.approx(2 - 7 / 8)
    assert heat(DynamicTemperature(0.5, 1.5), logs(2, 2, 2)) == pytest.approx(1.5)
    assert heat(DynamicTemperature(0.5, 1.5), eighths + 4) == pytest.approx(0.5 + 7 / 8)


def test_forbidden_tokens_are_not_counted() -> None:
    halves = logs(Fraction(1, 2), Fraction(1, 2), 0, 0)
    assert heat(DynamicTemperature(0.25, 3.0), halves) == pytest.approx(3.0)
    quarters = logs(Fraction(3, 4), Fraction(1, 4), 0)
    share = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
    assert heat(DynamicTemperature(0.0, 1.0), quarters) == pytest.approx(share)


def test_a_single_token_and_none_stay_as_they_are() -> None:
    for one in (DynamicTemperature(0.5, 1.5), DynamicTemperature(0, 2), DynamicTemperature(2, 0.1)):
        for scores in (torch.tensor([[[DEAD, -3.0, DEAD]]]), torch.full((1, 1, 3), DEAD)):
            assert torch.equal(one(scores, BEAM), scores)


def test_equal_ends_are_a_fixed_temperature() -> None:
    scores = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    for fixed in (0.0, 0.7, 1.0, 2.0):
        wanted = Temperature(fixed)(scores, BEAM)
        assert torch.equal(DynamicTemperature(fixed, fixed)(scores, BEAM), wanted)


def test_where_the_model_is_sure_a_low_of_nothing_is_greedy() -> None:
    sure = torch.tensor([[[-900.0, 0.0, -900.0]]])
    assert DynamicTemperature(0, 1)(sure, BEAM).tolist() == [[[DEAD, 0.0, DEAD]]]
    unsure = DynamicTemperature(1, 0)(logs(1, 1, 1), BEAM)
    assert (unsure > DEAD).tolist() == [[[True, False, False]]], "of equal ones the first stays"


@given(
    st.lists(st.floats(-30, 30, width=32), min_size=2, max_size=8),
    st.floats(0.1, 2),
    st.floats(0.1, 2),
    st.floats(0.3, 3),
)
def test_it_is_its_formula(values: list[float], low: float, high: float, exponent: float) -> None:
    scores = torch.tensor([[values]])
    weights = [math.exp(value - max(values)) for value in values]
    normal = [weight / sum(weights) for weight in weights]
    entropy = -sum(p * math.log(p) for p in normal if p)
    wanted = low + (high - low) * (entropy / math.log(len(values))) ** exponent
    found = DynamicTemperature(low, high, exponent)(scores, BEAM)
    assert found[0, 0].tolist() == pytest.approx([v / wanted for v in values], rel=1e-4, abs=1e-5)


def test_by_name() -> None:
    registries = default_registries()
    chain = resolve("dynamic-temperature:low=0.2,high=1.8", [], registries)
    assert chain.filters == (DynamicTemperature(0.2, 1.8),)
    with pytest.raises(ConfigError, match="exponent"):
        resolve("dynamic-temperature:exponent=0", [], registries)
