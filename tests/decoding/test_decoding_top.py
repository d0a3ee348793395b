"""The largest entries of long rows: the same as torch's own, however rows are cut."""

from __future__ import annotations

import pytest
import torch

from textgen.decoding import argmax, best_moves


@pytest.mark.parametrize("size", [7, 1023, 1024, 1100, 5001])
def test_argmax_takes_the_first_of_equal_ones(size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    for values in (
        torch.randn(5, 3, size, generator=generator),
        torch.randint(0, 3, (5, 3, size), generator=generator).float(),
        torch.full((2, 2, size), float("-inf")),
    ):
        assert torch.equal(argmax(values), values.argmax(-1))


@pytest.mark.parametrize("size", [7, 1024, 5001])
@pytest.mark.parametrize("count", [1, 10, 500])
def test_best_moves_are_the_best(size: int, count: int) -> None:
    generator = torch.Generator().manual_seed(size)
    log_probs = torch.randn(9, 4, size, generator=generator)
    log_probs[:, 1:3] = float("-inf")
    log_probs[0, :, 5:] = float("-inf")
    scores = torch.randn(9, 4, generator=generator)
    moves = best_moves(log_probs, scores, count)
    totals = (log_probs + scores.unsqueeze(2)).flatten(1)
    wanted = totals.topk(min(count, 4 * size), 1).values
    assert torch.equal(moves.scores, wanted)
    assert torch.equal(totals.gather(1, moves.parents * size + moves.tokens), moves.scores)
    places = moves.parents * size + moves.tokens
    assert all(len(set(row)) == len(row) for row in places.tolist())
