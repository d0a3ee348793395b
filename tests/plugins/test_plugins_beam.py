"""Beam search against everything that a toy model can say."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from fakes import SPECIAL, FakeModel, all_outputs, random_model
from textgen.decoding import decode, make_session
from textgen.errors import UsageError
from textgen.protocols import Batch, Session
from textgen_decoders.beam import BeamSearch
from textgen_decoders.greedy import Greedy

LIMIT = 4
PREFIX = [1, 4]


def session_of(
    model: FakeModel, limits: object = LIMIT, size: int = 3, **options: object
) -> Session:
    sources = torch.tensor([[row % 3, 4, 5] for row in range(size)])
    lengths = torch.tensor([1 + row % 3 for row in range(size)])
    batch = Batch(size, sources, lengths)
    return make_session(model, batch, [PREFIX] * size, special=SPECIAL, limits=limits, **options)


def penalty(kind: str, alpha: float, length: int) -> float:
    if kind == "average":
        return float(length**alpha)
    return ((5 + length) / 6) ** alpha if kind == "gnmt" else 1.0


def coverage(model: FakeModel, output: tuple[int, ...], positions: int) -> float:
    memory, seen = 0, []
    for token in (*PREFIX, *output):
        seen.append(memory)
        memory = (5 * memory + token + 1) % 13
    weights = model.look(torch.tensor([seen[len(PREFIX) :]]), torch.tensor([positions]), positions)
    return sum(math.log(min(float(total), 1.0)) for total in weights[0].sum(0))


def ranked(
    model: FakeModel, row: int, score: Callable[[float, tuple[int, ...]], float]
) -> list[tuple[float, list[int]]]:
    outputs = [
        (score(sum(model.log_prob(row % 3, PREFIX, output)), output), list(output))
        for output in all_outputs(model.vocabulary_size, LIMIT)
    ]
    return sorted(outputs, reverse=True)


@pytest.mark.parametrize(
    ("kind", "alpha", "beta"),
    [
        ("none", 1.0, 0.0),
        ("average", 1.0, 0.0),
        ("average", 0.7, 0.4),
        ("gnmt", 0.6, 0.0),
        ("gnmt", 2.0, 0.8),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_as_wide_as_the_space_it_is_brute_force(
    kind: str, alpha: float, beta: float, seed: int
) -> None:
    model = random_model(vocabulary=5, seed=seed)
    search = BeamSearch(width=32, length=kind, alpha=alpha, coverage=beta, n_best=4)
    found = decode(search, session_of(model, attention=True))
    for row in range(3):

        def score(total: float, output: tuple[int, ...], positions: int = 1 + row % 3) -> float:
            normalised = total / penalty(kind, alpha, len(output))
            return normalised + (beta * coverage(model, output, positions) if beta else 0.0)

        everything = ranked(model, row, score)
        own = {tuple(output): value for value, output in everything}
        outputs = [tuple(found.tokens[row, k, : found.lengths[row, k]].tolist()) for k in range(4)]
        assert len(set(outputs)) == 4
        for k, output in enumerate(outputs):  # two outputs may tie within float32
            assert own[output] == pytest.approx(everything[k][0], abs=1e-5)
            assert float(found.scores[row, k]) == pytest.approx(own[output], abs=1e-4)


def test_it_returns_more_than_there_is_as_nothing() -> None:
    model = random_model(vocabulary=5)
    found = decode(BeamSearch(width=32, n_best=40), session_of(model))
    alive = found.scores > float("-inf")
    assert alive.sum(1).tolist() == [31, 31, 31]
    assert not found.lengths[~alive].any()
    for row in range(3):
        texts = {tuple(found.tokens[row, k].tolist()) for k in range(31)}
        assert len(texts) == 31


@pytest.mark.parametrize("kind", ["none", "average", "gnmt"])
def test_width_one_is_greedy(kind: str) -> None:
    for seed in range(5):
        model = random_model(vocabulary=7, seed=seed)
        session = session_of(model, [20, 3, 7, 0], 4)
        one, greedy = decode(BeamSearch(width=1, length=kind), session), decode(Greedy(), session)
        assert torch.equal(one.tokens, greedy.tokens)
        torch.testing.assert_close(one.log_probs, greedy.log_probs)
        assert torch.equal(one.finished, greedy.finished)


@pytest.mark.parametrize(
    "options", [{"length": "none"}, {"length": "average"}, {"length": "gnmt", "alpha": 0.8}]
)
@pytest.mark.parametrize("n_best", [1, 3])
def test_stopping_early_loses_nothing(options: dict[str, object], n_best: int) -> None:
    """The proof's bound: going on to the limit finds nothing better."""
    for seed in range(4):
        model = random_model(vocabulary=7, seed=seed, spread=2.5)
        model.calls.clear()
        session = session_of(model, [25, 14, 9])
        early = decode(BeamSearch(width=4, n_best=n_best, **options), session)
        steps = len(model.calls)
        model.calls.clear()
        never = BeamSearch(width=4, n_best=n_best, stop="patience", patience=1e9, **options)
        late = decode(never, session)
        assert steps <= len(model.calls)
        assert torch.equal(early.scores, late.scores)
        assert torch.equal(early.tokens, late.tokens)


def plain_beam(model: FakeModel, width: int, limit: int, row: int) -> tuple[list[int], float]:
    """Beam search in plain Python: 2K candidates, eos within the first K, length ``none``."""
    running: list[tuple[float, list[int]]] = [(0.0, [])]
    best: tuple[float, list[int]] = (-1e9, [])
    for step in range(limit):
        moves = sorted(
            (
                (score + model.log_prob(row % 3, [*PREFIX, *tokens], [token])[0], [*tokens, token])
                for score, tokens in running
                for token in range(2, model.vocabulary_size)
            ),
            reverse=True,
        )[: 2 * width]
        for score, tokens in moves[:width]:
            if tokens[-1] == SPECIAL.eos:
                best = max(best, (score, tokens))
        running = [move for move in moves if move[1][-1] != SPECIAL.eos][:width]
        if step == limit - 1:
            best = max(best, *running)
    return best[1], best[0]


@pytest.mark.parametrize("width", [2, 3, 5])
def test_it_is_the_plain_algorithm(width: int) -> None:
    for seed in range(3):
        model = random_model(vocabulary=8, seed=seed, spread=1.0)
        found = decode(BeamSearch(width=width, length="none"), session_of(model, 7))
        for row in range(3):
            tokens, score = plain_beam(model, width, 7, row)
            assert found.tokens[row, 0, : found.lengths[row, 0]].tolist() == tokens
            assert float(found.log_probs[row, 0]) == pytest.approx(score, abs=1e-4)


def test_first_stops_with_the_first_that_finish() -> None:
    model = random_model(vocabulary=7)
    calls = {}
    for stop in ("first", "provable"):
        model.calls.clear()
        found = decode(BeamSearch(width=4, stop=stop), session_of(model, 30))
        calls[stop] = len(model.calls)
        assert (found.scores > float("-inf")).all()
    assert calls["first"] < calls["provable"]


def test_coverage_needs_attention_and_says_so() -> None:
    model = random_model()
    session = make_session(model, Batch(1), [[]], special=SPECIAL, limits=3)
    with pytest.raises(UsageError, match="attention"):
        decode(BeamSearch(coverage=0.2), session)


def test_samples_ask_for_as_many_hypotheses() -> None:
    model = random_model()
    assert decode(BeamSearch(width=4), session_of(model, samples=3)).tokens.shape[1] == 3
    assert decode(BeamSearch(width=4, n_best=2), session_of(model, samples=3)).tokens.shape[1] == 2


def test_attention_that_was_not_asked_for_is_not_returned() -> None:
    session = session_of(random_model())
    assert decode(BeamSearch(coverage=0.3), session).attention is None
    wanted = decode(BeamSearch(coverage=0.3), replace(session, attention=True)).attention
    assert wanted is not None
    assert wanted.shape[3] == 3


@pytest.mark.parametrize(
    "search",
    [BeamSearch(1), BeamSearch(4, stop="first"), BeamSearch(3, stop="patience"), BeamSearch(3)],
)
def test_a_source_that_is_over_finds_nothing_more_while_it_waits_for_others(
    search: BeamSearch,
) -> None:
    for seed in range(7):
        session = session_of(random_model(vocabulary=7, seed=seed), 12, size=9)
        prefixes = torch.tensor([[1, 3 + row % 4] for row in range(9)])
        together = decode(search, replace(session, prefix=prefixes))
        for row in range(9):
            one = session_of(random_model(vocabulary=7, seed=seed), 12, size=row + 1)
            alone = replace(
                one,
                state=one.state.keep(torch.tensor([row])),
                prefix=prefixes[row : row + 1],
                prefix_lengths=one.prefix_lengths[row:],
                limit=one.limit[row:],
            )
            found = decode(search, alone)
            length = int(found.lengths[0, 0])
            assert together.tokens[row, 0, : together.lengths[row, 0]].tolist() == (
                found.tokens[0, 0, :length].tolist()
            )
