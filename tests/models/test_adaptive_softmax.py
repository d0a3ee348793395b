"""The adaptive softmax against its definition in float64, brute force and torch's own."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from textgen.config import structure
from textgen.decoding.scoring import token_log_probs
from textgen.errors import ConfigError
from textgen.models import adaptive_softmax as module
from textgen.models.adaptive_softmax import AdaptiveSoftmax
from textgen.models.config import LanguageModelConfig
from textgen.models.language_model import LanguageModel
from textgen.protocols import Batch

H, V = 8, 23
CUTOFFS = (5, 9, 16)


def layer_of(cutoffs: tuple[int, ...] = CUTOFFS, shrink: int = 2, seed: int = 3) -> AdaptiveSoftmax:
    torch.manual_seed(seed)
    layer = AdaptiveSoftmax(H, V, cutoffs, shrink).double()
    nn.init.normal_(layer.head.weight)
    layer.order_by(torch.randint(0, 4, (V,)))
    return layer


def log_prob_by_hand(layer: AdaptiveSoftmax, vector: Tensor, token: int) -> float:
    """log p of one token: sums of exponentials, one by one."""
    rank = int(layer.ranks[token])
    head = [float(w @ vector + b) for w, b in zip(layer.head.weight, layer.head.bias, strict=True)]
    head_sum = sum(math.exp(value) for value in head)
    if rank < layer.common:
        return head[rank] - math.log(head_sum)
    cluster = next(i for i, (start, stop) in enumerate(layer.clusters) if start <= rank < stop)
    narrow, wide = (part.weight for part in layer.tails[cluster])  # type: ignore[union-attr]
    tail = [float(row @ (narrow @ vector)) for row in wide]
    tail_sum = sum(math.exp(value) for value in tail)
    chosen = head[layer.common + cluster] - math.log(head_sum)
    return chosen + tail[rank - layer.clusters[cluster][0]] - math.log(tail_sum)


@given(
    st.lists(st.integers(1, V - 1), min_size=1, max_size=5, unique=True),
    st.integers(1, 5),
    st.integers(0, 2**31),
)
@settings(max_examples=25, deadline=None)
def test_it_is_the_definition_and_sums_to_one(cutoffs: list[int], shrink: int, seed: int) -> None:
    layer = layer_of(tuple(sorted(cutoffs)), shrink, seed)
    features = torch.randn(2, H, dtype=torch.float64)
    with torch.no_grad():
        log_probs = layer(features)
        expected = [[log_prob_by_hand(layer, row, token) for token in range(V)] for row in features]
        torch.testing.assert_close(log_probs, torch.tensor(expected, dtype=torch.float64))
        torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(2, dtype=torch.float64))
        tokens = torch.arange(V).repeat(2)
        found = layer.token_log_probs(features.repeat_interleave(V, 0), tokens)
        torch.testing.assert_close(found.view(2, V), log_probs)


def test_it_is_that_of_torch_with_the_same_weights() -> None:
    layer = layer_of()
    theirs = nn.AdaptiveLogSoftmaxWithLoss(H, V, list(CUTOFFS), 2.0, head_bias=True).double()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), layer.parameters(), strict=True)))
    features = torch.randn(40, H, dtype=torch.float64)
    targets = torch.randint(V, (40,))
    ranks = layer.ranks[targets]
    expected = theirs(features, ranks)
    torch.testing.assert_close(layer.token_log_probs(features, targets), expected.output)
    torch.testing.assert_close(layer(features), theirs.log_prob(features)[:, layer.ranks])


def test_parts_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = layer_of()
    features, targets = torch.randn(50, H, dtype=torch.float64), torch.randint(V, (50,))
    whole = layer.token_log_probs(features, targets)
    monkeypatch.setattr(module, "LOGITS_AT_ONCE", 30)
    torch.testing.assert_close(layer.token_log_probs(features, targets), whole)


def test_no_rows_at_all() -> None:
    layer = layer_of()
    none = torch.zeros(0, dtype=torch.int64)
    assert layer.token_log_probs(torch.zeros(0, H, dtype=torch.float64), none).shape == (0,)


def test_only_the_tails_that_targets_need() -> None:
    layer = layer_of()
    tokens = layer.ranks.argsort()[[0, 4, 4, 9, 15]]  # two clusters of three are not hit
    sizes = [
        tuple(choice.logits.shape)
        for choice in layer.choices(torch.randn(5, H, dtype=torch.float64), tokens)
    ]
    assert sizes == [(5, 5 + 3), (0, 4), (2, 7), (0, 7)]


def test_tokens_are_ranked_by_their_counts() -> None:
    layer = AdaptiveSoftmax(4, 6, (2,), 4)
    assert layer.ranks.tolist() == [0, 1, 2, 3, 4, 5]
    layer.order_by(torch.tensor([0, 7, 3, 7, 9, 0]))
    assert layer.ranks.tolist() == [4, 1, 3, 2, 0, 5]
    assert "ranks" in layer.state_dict()


def test_a_fresh_one_is_near_uniform() -> None:
    torch.manual_seed(0)
    layer = AdaptiveSoftmax(64, 5000, (200, 1000), 4)
    with torch.no_grad():
        log_probs = layer(torch.rand(50, 64) - 0.5)
    entropy = -(log_probs.exp() * log_probs).sum(1).mean()
    assert math.isclose(float(entropy), math.log(5000), rel_tol=0.02)


def test_features_of_16_bits_are_normalised_in_32() -> None:
    layer = layer_of().bfloat16()
    log_probs = layer(torch.randn(3, 4, H).bfloat16())
    assert log_probs.dtype == torch.float32
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(3, 4))
    assert layer.ranks.dtype == torch.int64


def model_of(**options: object) -> LanguageModel:
    torch.manual_seed(5)
    given = {"hidden": 12, "embedding": 5, "output": "adaptive", "cutoffs": [4, 9], **options}
    model = LanguageModel(structure(LanguageModelConfig, given), V).double().eval()
    assert model.factored is not None
    model.factored.order_by(torch.randint(0, 5, (V,)))
    return model


def test_a_model_scores_alike_by_both_paths() -> None:
    model = model_of()
    tokens = torch.randint(V, (3, 7))
    with torch.no_grad():
        features, state = model.features(tokens, model.begin(Batch(3)))
        logits, _ = model(tokens, model.begin(Batch(3)))
        torch.testing.assert_close(model.output(features), logits)
        wanted = torch.randint(V, (3, 7))
        expected = logits.log_softmax(-1).gather(2, wanted.unsqueeze(2)).squeeze(2)
        torch.testing.assert_close(token_log_probs(model, features, wanted), expected.float())
    assert state.width == 1


def test_an_adaptive_model_has_fewer_parameters() -> None:
    config = LanguageModelConfig(hidden=64, embedding=8, layers=1)
    full = LanguageModel(config, 20_000)
    adaptive = LanguageModel(
        LanguageModelConfig(hidden=64, embedding=8, layers=1, output="adaptive"), 20_000
    )
    head = (2500 + 1) * (64 + 1)
    tail = 64 * 16 + 16 * 17_500
    saved = 20_000 * (64 + 1) - head - tail
    assert sum(p.numel() for p in full.parameters()) - saved == sum(
        p.numel() for p in adaptive.parameters()
    )


@pytest.mark.parametrize(
    ("size", "cutoffs"),
    [
        (4_000, (2000,)),
        (10_000, (2000,)),
        (16_000, (2000,)),
        (32_000, (4000,)),
        (64_000, (4000, 20_000)),
        (128_000, (4000, 20_000)),
        (1_000_000, (4000, 20_000, 100_000, 500_000)),
    ],
)
def test_cutoffs_that_nobody_said(size: int, cutoffs: tuple[int, ...]) -> None:
    assert LanguageModelConfig(output="adaptive").cutoffs_for(size) == cutoffs


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"cutoffs": [9, 4]}, r"must increase, got \[9, 4\]"),
        ({"cutoffs": [4, 4]}, "must increase"),
        ({"cutoffs": [4, V]}, "23 is no rank in a vocabulary of 23 tokens"),
        ({"cutoffs": []}, "this one has 23 tokens and 4,000 are needed"),
        ({"tied": True}, "cannot be tied: turn model.tied off"),
        ({"output": "full"}, "only model.output=adaptive has clusters"),
        ({"cutoffs": [0]}, "greater than or equal to 1"),
        ({"shrink": 0}, "greater than or equal to 1"),
        ({"output": "sampled"}, "'full' or 'adaptive'"),
    ],
)
def test_what_does_not_fit_is_told(options: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        model_of(**options)
