"""The unknown token is generated only where that is allowed; forced, it costs what it costs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fakes import random_model
from textgen.decoding.chain import default_registries, resolve
from textgen.decoding.session import make_session
from textgen.protocols import Batch, SpecialTokens

SPECIAL = SpecialTokens(0, 1, 2, 3)
V = 7
STRATEGIES = [
    "greedy",
    "sample",
    "beam:width=3",
    "diverse-beam:groups=2,width=4",
    "stochastic-beam:width=3",
    "contrastive",
    "mbr:n=8",
    "best-of:n=8",
]


class Words:
    """A tokenizer of letters for plugins that need one."""

    special, size = SPECIAL, V

    def encode(self, text: str) -> list[int]:
        return [4 + "abc".index(each) for each in text if each in "abc"]

    def decode(self, tokens: Any) -> str:
        return "".join("abc"[token - 4] for token in tokens if token >= 4)


def decoded(spec: str, **options: Any) -> Any:
    torch.manual_seed(1)
    model = random_model(V, seed=5, spread=0.3)
    session = make_session(
        Liking(model), Batch(4), [[]] * 4, special=SPECIAL, limits=6, samples=3, **options
    )
    chain = resolve(spec, [], default_registries()).setup(Words())  # type: ignore[arg-type]
    return chain.decode(session)


class Liking:
    """A model that likes the unknown token best."""

    def __init__(self, model: Any) -> None:
        self.model, self.vocabulary_size = model, V
        self.begin, self.features = model.begin, model.features

    def output(self, features: torch.Tensor) -> torch.Tensor:
        logits = self.model.output(features).clone()
        logits[..., 3] += 3
        return logits

    def __call__(self, tokens: Any, state: Any) -> Any:
        features, state = self.features(tokens, state)
        return self.output(features), state


@pytest.mark.parametrize("spec", STRATEGIES)
def test_no_strategy_generates_it_unless_it_is_allowed(spec: str) -> None:
    assert (decoded(spec).tokens == 3).any()
    found = decoded(spec, allow_unknown=False)
    assert not (found.tokens == 3).any()
    assert found.scores[:, 0].isfinite().all()


def test_forced_it_costs_what_the_model_says_and_leaks_into_no_other_row() -> None:
    forced = [[4, 3], [4], [], [3, 3]]
    allowed = decoded("beam:width=3", forced=forced)
    found = decoded("beam:width=3", forced=forced, allow_unknown=False)
    for row, beginning in enumerate(forced):
        size = len(beginning)
        assert found.tokens[row, 0, :size].tolist() == beginning
        assert not (found.tokens[row, 0, size:] == 3).any()
        assert found.token_log_probs[row, 0, :size].tolist() == pytest.approx(
            allowed.token_log_probs[row, 0, :size].tolist()
        )
    assert found.scores[:, 0].isfinite().all()
