"""Attention against its equations, source by source and step by step in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from checks import some
from textgen.errors import ConfigError
from textgen.models.attention import AdditiveScore, Attention, GeneralScore

H, M, S, T, B, K = 4, 4, 5, 3, 2, 3
NAMES = ["dot", "scaled-dot", "general", "additive"]


def reference_score(attention: Attention, name: str, query: Tensor, state: Tensor) -> Tensor:
    score = attention.score
    if name == "dot":
        return query @ state
    if name == "scaled-dot":
        return query @ state / math.sqrt(H)
    if name == "general":
        assert isinstance(score, GeneralScore)
        return query @ score.weight @ state
    assert isinstance(score, AdditiveScore)
    joined = torch.cat([score.weight_query, score.weight_memory], dim=1)
    return score.vector[0] @ torch.tanh(joined @ torch.cat([query, state]))


def random_attention(name: str) -> Attention:
    torch.manual_seed(1)
    attention = Attention(name, H, M).double()
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.normal_()
    return attention


@pytest.mark.parametrize("name", NAMES)
def test_equations(name: str) -> None:
    attention = random_attention(name)
    states = torch.randn(B, S, M, dtype=torch.float64)
    lengths = torch.tensor([5, 2])
    queries = torch.randn(B * K, T, H, dtype=torch.float64)
    hidden = torch.randn(B * K, T, H, dtype=torch.float64)
    joined = torch.cat([attention.weight_context, attention.weight_hidden], dim=1)  # W_c
    with torch.no_grad():
        vectors, weights = attention(queries, hidden, attention.memory(states, lengths))
        for row in some(range(B * K)):
            real = states[row // K, : lengths[row // K]]
            for step in some(range(T)):
                scores = torch.stack(
                    [reference_score(attention, name, queries[row, step], state) for state in real]
                )
                alpha = torch.exp(scores) / torch.exp(scores).sum()
                context = sum(a * state for a, state in zip(alpha, real, strict=True))
                assert isinstance(context, Tensor)
                vector = torch.tanh(joined @ torch.cat([context, hidden[row, step]]))
                torch.testing.assert_close(weights[row, step, : len(real)], alpha)
                assert (weights[row, step, len(real) :] == 0).all()
                torch.testing.assert_close(vectors[row, step], vector)


@pytest.mark.parametrize("name", NAMES)
def test_gradients(name: str) -> None:
    attention = random_attention(name)
    states = torch.randn(B, S, M, dtype=torch.float64, requires_grad=True)
    hidden = torch.randn(B, T, H, dtype=torch.float64, requires_grad=True)

    def run(states: Tensor, hidden: Tensor, *_: Tensor) -> Tensor:
        vectors: Tensor
        vectors, _ = attention(hidden, hidden, attention.memory(states, torch.tensor([5, 2])))
        return vectors

    assert torch.autograd.gradcheck(run, (states, hidden, *attention.parameters()), fast_mode=True)


@pytest.mark.parametrize("name", ["dot", "scaled-dot"])
def test_a_dot_product_needs_equal_widths(name: str) -> None:
    with pytest.raises(ConfigError, match=r"as wide as the decoder's \(6 and 4 here\)"):
        Attention(name, 4, 6)


def test_memory_keeps_sources() -> None:
    memory = random_attention("general").memory(
        torch.randn(3, S, M, dtype=torch.float64), torch.tensor([5, 2, 1])
    )
    kept = memory.keep(torch.tensor([2, 0]))
    assert torch.equal(kept.keys, memory.keys[[2, 0]])
    assert torch.equal(kept.values, memory.values[[2, 0]])
    assert (kept.mask < 0).sum(2).tolist() == [[4], [0]]
