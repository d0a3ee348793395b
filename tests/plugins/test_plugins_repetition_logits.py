"""The repetition penalty acts on the model's logits, as values from other systems mean it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from checks import some
from fakes import SPECIAL, random_model
from textgen.decoding import decode
from textgen.decoding.rowwise import rowwise
from textgen.decoding.session import make_session
from textgen.protocols import Batch, Beam
from textgen_decoders.greedy import Greedy
from textgen_decoders.repetition_penalty import RepetitionPenalty
from textgen_decoders.temperature import Temperature

V = 9
PREFIX = [4, 5, 6]


class Shifted:
    """A toy whose logits are no log-probabilities."""

    def __init__(self, model: Any, shift: float) -> None:
        self.model, self.shift, self.vocabulary_size = model, shift, V
        self.begin, self.features = model.begin, model.features

    def output(self, features: Tensor) -> Tensor:
        logits: Tensor = self.model.output(features)
        return logits + self.shift

    def __call__(self, tokens: Tensor, state: Any) -> Any:
        features, state = self.features(tokens, state)
        return self.output(features), state


class Watching:
    """A filter that keeps what it was given."""

    def __init__(self) -> None:
        self.seen: list[tuple[Tensor, Tensor, Beam]] = []

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        assert beam.log_normaliser is not None
        self.seen.append((log_probs.clone(), beam.log_normaliser.clone(), beam))
        return log_probs


def first_step(shift: float, *filters: Any) -> tuple[Tensor, Tensor]:
    """The model's logits and what the filters make of the first step, (V,) each, as softmax."""
    model = Shifted(random_model(V, seed=4, spread=2.0), shift)
    before, after = Watching(), Watching()
    session = make_session(
        model, Batch(1), [PREFIX], special=SPECIAL, limits=1, filters=(before, *filters, after)
    )
    decode(Greedy(), session)
    (given, normaliser, _), (found, *_) = before.seen[0], after.seen[0]
    return (given + normaliser.unsqueeze(2)).flatten(), found.softmax(-1).flatten()


@pytest.mark.parametrize("shift", [-40.0, -3.0, 0.0, 2.0, 40.0])
@pytest.mark.parametrize("theta", [0.7, 1.3])
def test_it_acts_on_logits_wherever_they_lie(shift: float, theta: float) -> None:
    logits, found = first_step(shift, RepetitionPenalty(theta))
    expected = logits.clone()
    for token in {1, *PREFIX}:  # bos is a token of the prompt
        value = float(logits[token])
        expected[token] = value * theta if value < 0 else value / theta
    allowed = logits.isfinite()
    torch.testing.assert_close(found[allowed], expected[allowed].softmax(0), rtol=1e-4, atol=1e-6)


def test_logits_are_the_model_s_own() -> None:
    low, _ = first_step(0.0)
    high, _ = first_step(7.0)
    kept = low.isfinite()
    torch.testing.assert_close(high[kept], low[kept] + 7, rtol=0, atol=1e-5)


def test_a_likely_token_is_touched_that_log_probabilities_hardly_touch() -> None:
    """p = 0.999 is a log-probability of −0.001, and a logit of 10."""
    scores = torch.tensor([[[-0.001, -7.0, -8.0]]])
    prefix = torch.tensor([[0]])
    beam: Any = make_beam(prefix, torch.tensor([[10.0]]))
    on_logits = RepetitionPenalty(1.3)(scores, beam).softmax(-1)[0, 0, 0]
    on_log_probs = RepetitionPenalty(1.3, on="log-probs")(scores, beam).softmax(-1)[0, 0, 0]
    assert on_log_probs > 0.99
    assert on_logits < 0.992
    assert on_logits < on_log_probs


def make_beam(prefix: Tensor, normaliser: Tensor) -> Any:
    from fakes import make_beam as usual

    return dataclasses.replace(
        usual([[[]]]), prefix=prefix, prefix_lengths=torch.tensor([1]), log_normaliser=normaliser
    )


def test_filters_of_each_row_have_their_rows_normaliser() -> None:
    model = Shifted(random_model(V, seed=4, spread=2.0), 5.0)
    chains = [(RepetitionPenalty(1.5),), (Temperature(0.5),), (RepetitionPenalty(1.5),)]
    prefixes = [[4, 4], [5], [6, 7]]
    together = make_session(
        model, Batch(3), prefixes, special=SPECIAL, limits=5, filters=rowwise(chains)
    )
    found = decode(Greedy(), together)
    for row, (chain, prefix) in some(enumerate(zip(chains, prefixes, strict=True))):
        alone = make_session(
            model, Batch(1), [prefix], special=SPECIAL, limits=5, filters=chain, indices=[row]
        )
        own = decode(Greedy(), alone)
        length = int(own.lengths[0, 0])
        assert found.tokens[row, 0, :length].tolist() == own.tokens[0, 0, :length].tolist()
