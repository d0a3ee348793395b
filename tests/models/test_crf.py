"""The linear-chain CRF against the sum over all sequences."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from textgen.models.crf import (
    LinearChainCrf,
    Transitions,
    log_partition,
    marginals,
    sequence_score,
    viterbi,
)

LENGTHS = [4, 1, 3]


def chain_of(seed: int, batch: int, steps: int, labels: int) -> tuple[Tensor, Transitions]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return draw(batch, steps, labels), Transitions(draw(labels), draw(labels, labels), draw(labels))


def every_sequence(unary: Tensor, chain: Transitions) -> list[tuple[float, tuple[int, ...]]]:
    """Scores of all tag sequences of one row (S, L), written out, best first."""
    steps, labels = unary.shape
    found = []
    for tags in itertools.product(range(labels), repeat=steps):
        score = float(chain.start[tags[0]] + chain.end[tags[-1]])
        score += sum(float(unary[place, tag]) for place, tag in enumerate(tags))
        score += sum(float(chain.between[pair]) for pair in itertools.pairwise(tags))
        found.append((score, tags))
    return sorted(found, reverse=True)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_partition_scores_marginals_and_the_best_by_enumeration(seed: int, labels: int) -> None:
    unary, chain = chain_of(seed, len(LENGTHS), max(LENGTHS), labels)
    lengths = torch.tensor(LENGTHS)
    best = min(3, labels)
    log_z, shares = log_partition(unary, lengths, chain), marginals(unary, lengths, chain)
    tags, scores = viterbi(unary, lengths, chain, best)
    for row, length in enumerate(LENGTHS):
        every = every_sequence(unary[row, :length], chain)
        expected = math.log(sum(math.exp(score) for score, _ in every))
        assert float(log_z[row]) == pytest.approx(expected, abs=1e-10)
        for place in range(length):
            for label in range(labels):
                mass = sum(math.exp(s - expected) for s, own in every if own[place] == label)
                assert float(shares[row, place, label]) == pytest.approx(mass, abs=1e-10)
        assert shares[row, length:].abs().sum() == 0
        for rank, (score, own) in enumerate(every[:best]):
            assert float(scores[row, rank]) == pytest.approx(score, abs=1e-10)
            assert tuple(tags[row, rank, :length].tolist()) == own
        given_tags = tags[row : row + 1, 0]
        found = sequence_score(unary[row : row + 1], given_tags, lengths[row : row + 1], chain)
        assert float(found) == pytest.approx(every[0][0], abs=1e-10)


def test_fewer_sequences_than_wanted_are_minus_infinity() -> None:
    unary, chain = chain_of(1, 1, 1, 2)
    _, scores = viterbi(unary, torch.tensor([1]), chain, 2)
    assert scores.isfinite().all()
    forbidden = chain._replace(start=torch.tensor([-torch.inf, 0.0], dtype=torch.float64))
    _, scores = viterbi(unary, torch.tensor([1]), forbidden, 2)
    assert scores[0].isfinite().tolist() == [True, False]


def test_forbidden_moves_have_no_mass_and_finite_gradients() -> None:
    between = torch.tensor([[True, True, False], [True, True, True], [True, True, True]])
    every = torch.tensor([True, True, True])
    crf = LinearChainCrf(3, Transitions(torch.tensor([True, True, False]), between, every))
    unary = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(3), requires_grad=True)
    lengths = torch.tensor([5, 2])
    log_partition(unary, lengths, crf.chain()).sum().backward()
    assert unary.grad is not None
    assert unary.grad.isfinite().all()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in crf.parameters())
    tags, _ = viterbi(unary.detach() + torch.tensor([0.0, 0.0, 9.0]), lengths, crf.chain())
    pairs = [tuple(pair) for pair in itertools.pairwise(tags[0, 0].tolist())]
    assert len(pairs) == 4
    assert (0, 2) not in pairs
    assert tags[0, 0, 0] != 2


def test_gradients() -> None:
    unary, chain = chain_of(5, 2, 3, 3)
    lengths = torch.tensor([3, 2])
    leaves = [part.clone().requires_grad_() for part in (unary, *chain)]

    def total(scores: Tensor, start: Tensor, between: Tensor, end: Tensor) -> Tensor:
        return log_partition(scores, lengths, Transitions(start, between, end))

    assert torch.autograd.gradcheck(total, leaves)
