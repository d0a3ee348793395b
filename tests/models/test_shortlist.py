"""A model with a shortlist: the same numbers, fewer of them, whoever the neighbours are."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from textgen.models.config import TranslatorConfig
from textgen.models.ensemble import Ensemble
from textgen.models.shortlist import Shortlist
from textgen.models.translator import Translator
from textgen.protocols import Batch

V = 12
TOKENS = torch.tensor([0, 1, 2, 5, 6, 9, 11])
OWN = torch.tensor(
    [[1, 1, 1, 1, 0, 0, 1], [1, 1, 1, 0, 1, 1, 0], [1, 1, 1, 1, 1, 1, 1]], dtype=torch.bool
)
VARIANTS: list[dict[str, Any]] = [
    {},
    {"tied": "none"},
    {"tied": "target", "hidden": 5},
    {"input_feeding": True},
    {"attention": "none"},
]


def translator_of(seed: int = 1, **options: Any) -> Translator:
    torch.manual_seed(seed)
    config = TranslatorConfig(**{"hidden": 6, "embedding": 5, "tied": "target", **options})
    return Translator(config, 9, V).double().eval()


def batch_of(sources: int = 3) -> Batch:
    source = torch.tensor([[3, 4, 5], [6, 7, 0], [8, 0, 0]])[:sources]
    return Batch(sources, source, torch.tensor([3, 2, 1])[:sources])


def allowed(logits: Tensor, own: Tensor) -> Tensor:
    """Logits (N, T, V) at the shortlist's tokens (N, T, V'), −inf where ``own`` (N, V') says no."""
    return logits[..., TOKENS].masked_fill(~own.unsqueeze(1), -torch.inf)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_the_logits_are_those_of_the_whole_model(options: dict[str, Any]) -> None:
    model, short = translator_of(**options), torch.randint(len(TOKENS), (3, 4))
    with torch.no_grad():
        whole, _ = model(TOKENS[short], model.begin(batch_of()))
        for own in (None, OWN):
            part = model.restricted(Shortlist(TOKENS, own))
            assert part.vocabulary_size == len(TOKENS)
            logits, state = part(short, part.begin(batch_of()))
            expected = allowed(whole, torch.ones_like(OWN) if own is None else own)
            torch.testing.assert_close(logits, expected, rtol=1e-12, atol=1e-12)
            assert (state.attention is None) == (options.get("attention") == "none")


@pytest.mark.parametrize("own", [None, OWN], ids=["all", "own"])
def test_nothing_becomes_a_repeated_token(own: Tensor | None) -> None:
    model, short = translator_of(), torch.randint(len(TOKENS), (3, 4))
    tokens = torch.cat([TOKENS, TOKENS[-1:].expand(3)])
    wide = None if own is None else torch.cat([own, own[:, -1:].expand(-1, 3)], 1)
    with torch.no_grad():
        part = model.restricted(Shortlist(TOKENS, own))
        expected, _ = part(short, part.begin(batch_of()))
        part = model.restricted(Shortlist(tokens, wide))
        logits, _ = part(short, part.begin(batch_of()))
    torch.testing.assert_close(logits[..., :7], expected)
    assert bool((logits[..., 7:] == -torch.inf).all())
    assert Shortlist(tokens, wide).shorten([11, 9]) == [6, 5]


def test_rows_that_move_keep_the_tokens_of_their_source() -> None:
    model, short = translator_of(), torch.tensor([[3], [4], [5]])
    part = model.restricted(Shortlist(TOKENS, OWN))
    with torch.no_grad():
        _, state = part(short, part.begin(batch_of()))
        wide = state.select(torch.zeros(3, 2, dtype=torch.int64)).keep(torch.tensor([2, 0]))
        features, _ = part.features(torch.full((4, 1), 3), wide)
        logits = part.output(features.view(2, 2, -1))  # (B, K, V')
        _, whole = model(TOKENS[short], model.begin(batch_of()))
        expected, _ = model(torch.full((3, 1), int(TOKENS[3])), whole)
    rows = allowed(expected, OWN)[[2, 2, 0, 0]].view(2, 2, -1)
    torch.testing.assert_close(logits, rows, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_the_sources_of_a_large_batch_are_told_apart(kind: torch.dtype) -> None:
    count, size = 700, 4 + 700
    torch.manual_seed(3)
    model = Translator(TranslatorConfig(hidden=4, embedding=4), 9, size).to(kind).eval()
    own = torch.zeros(count, size, dtype=torch.bool)
    own[:, :2] = True
    own[torch.arange(count), 4 + torch.arange(count)] = True  # one of its own for each source
    part = model.restricted(Shortlist(torch.arange(size), own))
    batch = Batch(count, torch.full((count, 1), 3), torch.ones(count, dtype=torch.int64))
    with torch.no_grad():
        logits, _ = part(torch.ones(count, 1, dtype=torch.int64), part.begin(batch))
    assert torch.equal(logits[:, 0].isfinite(), own)


def test_the_told_source_does_not_change_what_features_are_compared_by() -> None:
    part = translator_of().float().restricted(Shortlist(TOKENS, OWN))
    with torch.no_grad():
        features, _ = part.features(torch.ones(3, 1, dtype=torch.int64), part.begin(batch_of()))
    told, plain = features[:, 0], features[:, 0, :-2]
    assert bool((told[1:, -2:] != 0).any())
    torch.testing.assert_close(told @ told.T, plain @ plain.T, rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("average", ["probabilities", "log-probabilities"])
def test_an_ensemble_chooses_among_the_same_tokens(
    average: Literal["probabilities", "log-probabilities"],
) -> None:
    members = [translator_of(1), translator_of(2, hidden=8, attention="none")]
    part = Ensemble(members, average).restricted(Shortlist(TOKENS, OWN))
    short = torch.randint(len(TOKENS), (3, 4))
    with torch.no_grad():
        logits, state = part(short, part.begin(batch_of()))
        each = [
            allowed(model(TOKENS[short], model.begin(batch_of()))[0], OWN).softmax(-1)
            for model in members
        ]
        if average == "probabilities":
            expected = (each[0] + each[1]) / 2
        else:
            expected = (each[0] * each[1]).sqrt()
            expected = expected / expected.sum(-1, keepdim=True)
    torch.testing.assert_close(logits.exp().double(), expected, rtol=1e-5, atol=1e-6)
    assert state.attention is not None
    assert part.vocabulary_size == len(TOKENS)


def test_numbers_go_there_and_back() -> None:
    shortlist = Shortlist(TOKENS, OWN)
    assert len(shortlist) == 7
    assert shortlist.shorten([2, 11, 5]) == [2, 6, 3]
    assert shortlist.lengthen(torch.tensor([[2, 6], [3, 0]])).tolist() == [[2, 11], [5, 0]]
    assert shortlist.shorten([]) == []
