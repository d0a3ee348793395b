"""The plugins keep the laws of all plugins, and do what their formulas say."""

from __future__ import annotations

import math

import pytest
import torch
from textgen_example.cool_down import CoolDown
from textgen_example.tournament import Tournament

from textgen.decoding import decode, make_session
from textgen.protocols import Batch
from textgen.testing import TOY_SPECIAL, check_filter, check_strategy, toy_beam, toy_model

DRAWS = 4000


@pytest.mark.parametrize("one", [CoolDown(), CoolDown(0.5, 2.0, 0.3), CoolDown(rate=0)])
def test_the_filter_keeps_the_laws(one: CoolDown) -> None:
    check_filter(one)


@pytest.mark.parametrize("n", [1, 3])
def test_the_strategy_keeps_the_laws(n: int) -> None:
    check_strategy(Tournament(n), random=True)


def test_the_temperature_falls() -> None:
    scores = torch.tensor([[[-1.0, -2.0, float("-inf")]]])
    for step in (0, 1, 7):
        temperature = 0.5 + math.exp(-0.1 * step)
        result = CoolDown()(scores, toy_beam([[[3] * step]]))
        torch.testing.assert_close(result, scores / temperature)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_likeliest_of_n_draws(n: int) -> None:
    model = toy_model(vocabulary=6)
    session = make_session(model, Batch(DRAWS), [[]] * DRAWS, special=TOY_SPECIAL, limits=1)
    found = decode(Tournament(n), session)
    counts = torch.bincount(found.tokens.flatten(), minlength=6)
    p = model.logits[0, 2].double()  # bos moves the memory from 0 to 2
    p[[TOY_SPECIAL.pad, TOY_SPECIAL.bos]] = float("-inf")
    p = p.softmax(0)
    below = torch.stack([p[p <= each].sum() for each in p])
    wanted = below**n - (below - p) ** n
    spread = (wanted * (1 - wanted) * DRAWS).sqrt()
    assert ((counts - wanted * DRAWS).abs() <= 4 * spread + 1e-9).all()
