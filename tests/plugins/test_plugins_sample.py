"""Sampling draws from exactly the distribution it should."""

from __future__ import annotations

import pytest
import torch

from fakes import SPECIAL, random_model
from frequencies import counted, probabilities, require_fit
from textgen.decoding import decode, make_session
from textgen.protocols import Batch, Filter
from textgen_decoders.nucleus import Nucleus
from textgen_decoders.sample import Sample, draw
from textgen_decoders.temperature import Temperature
from textgen_decoders.top_k import TopK

DRAWS = 20_000
LIMIT = 3


@pytest.mark.parametrize("filters", [[], [Temperature(1.7)], [Nucleus(0.9), TopK(3)]])
def test_frequencies_are_the_probabilities(filters: list[Filter]) -> None:
    model = random_model(vocabulary=6, spread=0.8, seed=2)
    session = make_session(
        model, Batch(DRAWS // 4), [[]] * (DRAWS // 4), special=SPECIAL, limits=LIMIT, seed=1,
        samples=4, filters=filters,
    )  # fmt: skip
    found = decode(Sample(), session)
    require_fit(counted(found), probabilities(model, LIMIT, filters), DRAWS)


def test_a_forbidden_token_is_never_drawn() -> None:
    scores = torch.tensor([[[float("-inf"), -1.0, float("-inf"), -50.0, float("-inf")]]])
    for uniform in (2.0**-53, 0.5, 1 - 2.0**-53):
        drawn = int(draw(scores, torch.tensor([[uniform]], dtype=torch.float64)))
        assert drawn in (1, 3)


def test_samples_of_one_source_differ_and_come_best_first() -> None:
    session = make_session(
        random_model(vocabulary=9), Batch(2), [[], []], special=SPECIAL, limits=12, samples=8
    )
    found = decode(Sample(), session)
    assert found.tokens.shape[:2] == (2, 8)
    assert (found.scores[:, :-1] >= found.scores[:, 1:]).all()
    for row in range(2):
        assert len({tuple(tokens) for tokens in found.tokens[row].tolist()}) > 4
