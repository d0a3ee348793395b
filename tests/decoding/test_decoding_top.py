"""The largest entries of long rows: the same as torch's own, however rows are cut."""

from __future__ import annotations

import pytest
import torch

from textgen.decoding import argmax, best_moves, draw


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
@pytest.mark.usefixtures("either")
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


@pytest.mark.parametrize("size", [40, 2500, 4096])
@pytest.mark.usefixtures("either")
def test_neighbours_do_not_decide_which_of_equal_moves_come_first(size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    log_probs = torch.randint(-3, 0, (40, 5, size), generator=generator).float()
    scores = torch.zeros(40, 5)
    together = best_moves(log_probs, scores, 10)
    for row in range(0, 40, 7):
        alone = best_moves(log_probs[row : row + 1], scores[:1], 10)
        assert torch.equal(alone.parents[0], together.parents[row])
        assert torch.equal(alone.tokens[0], together.tokens[row])


@pytest.mark.usefixtures("either")
def test_moves_of_a_row_with_few_tokens_allowed_stay_in_the_vocabulary() -> None:
    log_probs = torch.full((1, 3, 5001), float("-inf"))
    log_probs[0, 1, 5000] = -1.0
    moves = best_moves(log_probs, torch.zeros(1, 3), 100)
    assert (int(moves.parents[0, 0]), int(moves.tokens[0, 0])) == (1, 5000)
    assert int(moves.tokens.max()) < 5001


@pytest.mark.usefixtures("either")
def test_draws_take_numbers_of_any_float_type() -> None:
    log_probs = torch.tensor([[[0.25, 0.25, 0.5]]]).log()
    for aim, token in ((0.1, 0), (0.3, 1), (0.6, 2)):
        for dtype in (torch.float32, torch.float64):
            assert draw(log_probs, torch.tensor([[aim]], dtype=dtype)).tolist() == [[token]]
