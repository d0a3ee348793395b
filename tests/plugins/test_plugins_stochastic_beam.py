"""Stochastic beam search draws without replacement: against exact enumeration."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor

from fakes import SPECIAL, FakeModel, all_outputs, random_model
from frequencies import Output, probabilities, require_fit
from textgen.decoding import decode, make_session, rescore
from textgen.protocols import Batch, Beam, Filter, Hypotheses, Session
from textgen_decoders.stochastic_beam import StochasticBeam, conditioned
from textgen_decoders.temperature import Temperature
from textgen_decoders.top_k import TopK

DRAWS = 12_000


def outputs(found: Hypotheses, row: int) -> list[Output]:
    alive = int((found.scores[row] > float("-inf")).sum())
    return [tuple(found.tokens[row, k, : found.lengths[row, k]].tolist()) for k in range(alive)]


def drawn(model: FakeModel, width: int, limit: int, filters: list[Filter]) -> list[list[Output]]:
    session = make_session(
        model, Batch(DRAWS), [[]] * DRAWS, special=SPECIAL, limits=limit, seed=11, filters=filters
    )
    found = decode(StochasticBeam(width), session)
    return [outputs(found, row) for row in range(DRAWS)]


@pytest.mark.parametrize("filters", [[], [Temperature(1.6), TopK(3)]])
def test_one_sample_is_a_plain_sample(filters: list[Filter]) -> None:
    model = random_model(vocabulary=6, spread=0.8, seed=2)
    counts: Counter[object] = Counter(each[0] for each in drawn(model, 1, 3, filters))
    require_fit(counts, dict(probabilities(model, 3, filters)), DRAWS)


@pytest.mark.parametrize("filters", [[], [Temperature(0.7)]])
def test_two_samples_are_draws_without_replacement_in_their_order(filters: list[Filter]) -> None:
    """P(first = a, second = b) = p_a · p_b / (1 − p_a)."""
    model = random_model(vocabulary=5, spread=1.0, seed=1)
    exact = probabilities(model, 2, filters)
    pairs: dict[object, float] = {
        (one, two): exact[one] * exact[two] / (1 - exact[one])
        for one in exact
        for two in exact
        if one != two
    }
    counts: Counter[object] = Counter(tuple(each) for each in drawn(model, 2, 2, filters))
    require_fit(counts, pairs, DRAWS)


def test_inclusion_probabilities_of_three() -> None:
    """How often an output is among three, which are less than all in width and in depth."""
    model = random_model(vocabulary=6, spread=1.0, seed=5)
    exact = probabilities(model, 2, [])
    among = dict.fromkeys(exact, 0.0)
    for one, first in exact.items():
        for two, second in exact.items():
            for three, third in exact.items():
                if len({one, two, three}) == 3:
                    chance = first * second / (1 - first) * third / (1 - first - second)
                    for each in (one, two, three):
                        among[each] += chance
    assert sum(among.values()) == pytest.approx(3)
    counts = Counter(output for each in drawn(model, 3, 2, []) for output in each)
    for output, chance in among.items():
        deviation = (chance * (1 - chance) / DRAWS) ** 0.5
        assert abs(counts[output] / DRAWS - chance) < 4 * deviation


def test_a_gumbel_is_moved_to_its_new_largest() -> None:
    """Against the formula as it stands in the paper, in float64, where it does not overflow."""
    generator = torch.Generator().manual_seed(3)
    noisy = torch.randn(4, 3, 7, generator=generator, dtype=torch.float64) * 2
    largest = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    noisy[0, 0, 2] = largest[1, 1] = float("-inf")
    top = noisy.amax(2, keepdim=True)
    plain = -(torch.exp(-largest.unsqueeze(2)) - torch.exp(-top) + torch.exp(-noisy)).log()
    moved = conditioned(noisy, largest)
    torch.testing.assert_close(moved.amax(2), largest)
    torch.testing.assert_close(moved, plain)
    far = conditioned(noisy * 500, largest * 500)
    assert not far.isnan().any()
    torch.testing.assert_close(far.amax(2), largest * 500)


def test_the_largest_score_is_a_gumbel_variable() -> None:
    """log of a sum of probabilities that is 1, plus noise: P(G ≤ g) = exp(−e^−g)."""
    model = random_model(vocabulary=6, spread=1.0, seed=5)
    session = make_session(model, Batch(DRAWS), [[]] * DRAWS, special=SPECIAL, limits=2, seed=3)
    largest = decode(StochasticBeam(3), session).scores[:, 0].double()
    quantiles = torch.exp(-torch.exp(-largest)).sort().values
    even = (torch.arange(DRAWS, dtype=torch.float64) + 0.5) / DRAWS
    assert float((quantiles - even).abs().max()) * DRAWS**0.5 < 1.63  # Kolmogorov, 1 %


def session_of(model: FakeModel, rows: list[int], **options: object) -> Session:
    prefixes = [[1], [1, 4, 5, 3], [1, 5], [1, 3, 3], [1, 7, 7, 7, 7], [1, 7]] * 2
    limits = [5, 30, 17, 0, 9, 12, 3, 25, 2, 6, 20, 1]
    return make_session(
        model,
        Batch(
            len(rows),
            torch.tensor([[row % 3, 4, 5] for row in rows]),
            torch.tensor([1 + row % 3 for row in rows]),
        ),
        [prefixes[row] for row in rows],
        special=SPECIAL,
        limits=[limits[row] for row in rows],
        indices=rows,
        **{"seed": 5, **options},
    )


ALL = list(range(12))


def test_with_room_for_all_it_returns_all_once() -> None:
    model = random_model(vocabulary=5)
    session = make_session(model, Batch(2), [[1], [1, 4]], special=SPECIAL, limits=4, samples=40)
    found = decode(StochasticBeam(), session)
    for row in range(2):
        assert sorted(outputs(found, row)) == sorted(all_outputs(5, 4))
        assert not found.lengths[row, 31:].any()
        assert found.tokens.shape[1] == 40


def test_outputs_differ_come_by_score_and_have_the_models_log_probs() -> None:
    session = session_of(
        random_model(vocabulary=8, seed=3), ALL, samples=6, attention=True, filters=[Temperature(2)]
    )
    found = decode(StochasticBeam(), session)
    assert (found.scores[:, :-1] >= found.scores[:, 1:]).all()
    assert (found.scores[:, 0] != found.log_probs[:, 0])[found.lengths[:, 0] > 0].all()
    torch.testing.assert_close(rescore(session, found), found.token_log_probs)
    torch.testing.assert_close(found.token_log_probs.sum(2)[:, 0], found.log_probs[:, 0])
    assert found.attention is not None
    assert found.attention.shape == (*found.tokens.shape, 3)
    for row in range(12):
        texts = outputs(found, row)
        assert len(set(texts)) == len(texts) == (1 if session.limit[row] == 0 else 6)
        for k, text in enumerate(texts):
            ended = text[-1:] == (SPECIAL.eos,)
            assert bool(found.finished[row, k]) == ended
            assert ended or len(text) == session.limit[row]


def test_neighbours_change_nothing_and_seeds_do() -> None:
    model = random_model(vocabulary=8, seed=3)

    def run(rows: list[int], **options: object) -> dict[int, object]:
        found = decode(StochasticBeam(4), session_of(model, rows, **options))
        return {
            row: [
                (text, round(float(found.scores[at, k]), 4))
                for k, text in enumerate(outputs(found, at))
            ]
            for at, row in enumerate(rows)
        }

    everything = run(ALL)
    assert run(ALL[::-1]) == everything
    alone: dict[int, object] = {}
    for row in ALL:
        alone |= run([row])
    assert alone == everything
    other = run(ALL, seed=6)
    assert sum(other[row] != everything[row] for row in ALL) == 11  # one may say nothing


def test_dead_rows_forbidden_tokens_and_nothing_to_do() -> None:
    logits = torch.full((1, 13, 5), float("-inf"))
    logits[:, :, 2], logits[:, :, 4] = 0.0, 0.5
    session = make_session(FakeModel(logits), Batch(2), [[1], [1]], special=SPECIAL, limits=3)
    found = decode(StochasticBeam(9), session)
    assert [set(outputs(found, row)) for row in range(2)] == [
        {(2,), (4, 2), (4, 4, 2), (4, 4, 4)}
    ] * 2

    def nothing(scores: Tensor, beam: Beam) -> Tensor:
        return scores if beam.step < 1 else torch.full_like(scores, float("-inf"))

    session = session_of(random_model(vocabulary=8), ALL, filters=[nothing])
    found = decode(StochasticBeam(3), session)
    for row in range(12):
        for text in outputs(found, row):
            assert text == () or text[-1] == SPECIAL.eos or len(text) == session.limit[row] == 1
    none = decode(
        StochasticBeam(3), make_session(random_model(), Batch(0), [], special=SPECIAL, limits=5)
    )
    assert none.tokens.shape[0] == 0
    empty = make_session(random_model(), Batch(2), [[], []], special=SPECIAL, limits=0)
    assert decode(StochasticBeam(3), empty).scores[:, 0].tolist() == [0, 0]
