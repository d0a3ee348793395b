"""Filters on exact fractions, at their edges, and the laws of all of them."""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fakes import make_beam
from textgen.protocols import Filter
from textgen_decoders.nucleus import Nucleus
from textgen_decoders.temperature import Temperature
from textgen_decoders.top_k import TopK

DEAD = float("-inf")
BEAM = make_beam([[[]]])


def logs(*values: float | Fraction) -> Tensor:
    """(1, 1, V) log-probabilities of weights."""
    return torch.tensor([[[math.log(value) if value else DEAD for value in values]]])


def kept(one: Filter, scores: Tensor) -> list[int]:
    """Tokens that a filter leaves in the first row."""
    result = one(scores, BEAM)
    assert result.shape == scores.shape
    assert result.dtype == scores.dtype
    same = (result == scores) | (result == DEAD)
    assert same.all(), "a filter that forbids leaves the other scores as they are"
    return [token for token, value in enumerate(result[0, 0].tolist()) if value > DEAD]


HALVES = logs(Fraction(1, 8), Fraction(1, 2), Fraction(1, 4), Fraction(1, 8))


def test_temperature_divides() -> None:
    scores = torch.tensor([[[-1.0, -2.0, DEAD, -0.5]]])
    assert Temperature(2)(scores, BEAM).tolist() == [[[-0.5, -1.0, DEAD, -0.25]]]
    assert Temperature(0.5)(scores, BEAM).tolist() == [[[-2.0, -4.0, DEAD, -1.0]]]
    assert Temperature(1.0)(scores, BEAM).tolist() == scores.tolist()


def test_temperature_zero_is_greedy_and_the_first_of_equals() -> None:
    assert kept(Temperature(0), logs(1, 3, 2)) == [1]
    assert kept(Temperature(0), logs(1, 2, 2)) == [1]
    assert kept(Temperature(1e-30), logs(1, 3, 2)) == [1]
    assert kept(Temperature(0), logs(0, 0, 2)) == [2]
    small = Temperature(1e-5)(logs(1, 2, 3), BEAM).softmax(-1)
    assert small.tolist() == [[[0, 0, 1]]]


def test_top_k_keeps_ties() -> None:
    assert kept(TopK(1), HALVES) == [1]
    assert kept(TopK(2), HALVES) == [1, 2]
    assert kept(TopK(3), HALVES) == [0, 1, 2, 3]
    assert kept(TopK(400), HALVES) == [0, 1, 2, 3]
    assert kept(TopK(3), logs(0, 1, 0, 2)) == [1, 3]


def test_nucleus_keeps_the_token_that_crosses() -> None:
    assert kept(Nucleus(0.0), HALVES) == [1]
    assert kept(Nucleus(0.5), HALVES) == [1]
    assert kept(Nucleus(0.51), HALVES) == [1, 2]
    assert kept(Nucleus(0.75), HALVES) == [1, 2]
    assert kept(Nucleus(0.76), HALVES) == [0, 1, 2]
    assert kept(Nucleus(0.875), HALVES) == [0, 1, 2]
    assert kept(Nucleus(0.88), HALVES) == [0, 1, 2, 3]
    assert kept(Nucleus(1.0), HALVES) == [0, 1, 2, 3]


def test_nucleus_normalises_what_it_gets() -> None:
    assert kept(Nucleus(0.6), HALVES + 7.0) == [1, 2]
    assert kept(Nucleus(0.6), HALVES.masked_fill(HALVES[0, 0, 1] == HALVES, DEAD)) == [0, 2]


def test_order_matters() -> None:
    """Logits [3, 2, 1], p = 0.8, T = 0.5: {0} with temperature first, {0, 1} with it last."""
    scores = torch.tensor([[[3.0, 2.0, 1.0]]]).log_softmax(-1)
    cold, nucleus = Temperature(0.5), Nucleus(0.8)
    first = nucleus(cold(scores, BEAM), BEAM)
    last = cold(nucleus(scores, BEAM), BEAM)
    assert (first > DEAD).tolist() == [[[True, False, False]]]
    assert (last > DEAD).tolist() == [[[True, True, False]]]


FILTERS = [Temperature(0.7), Temperature(0), TopK(1), TopK(3), Nucleus(0.0), Nucleus(0.6)]


@given(
    st.lists(st.lists(st.floats(-30, 0, width=32), min_size=5, max_size=5), min_size=2, max_size=4),
    st.sampled_from(FILTERS),
    st.integers(0, 4),
)
@settings(max_examples=150, deadline=None)
def test_laws_of_filters(rows: list[list[float]], one: Filter, forbidden: int) -> None:
    scores = torch.tensor([rows])
    scores[..., forbidden] = DEAD
    beam = make_beam([[[3, 4]] * len(rows)])
    before = scores.clone()
    result = one(scores, beam)
    assert torch.equal(scores, before), "it works in place"
    assert result.shape == scores.shape
    assert not result.isnan().any()
    assert (result[..., forbidden] == DEAD).all(), "it revives what is forbidden"
    assert (result.amax(-1) > DEAD).all(), "it forbids everything"
    alone = one(scores[:, :1], make_beam([[[3, 4]]]))
    assert torch.equal(alone, result[:, :1]), "a row depends on its neighbours"
