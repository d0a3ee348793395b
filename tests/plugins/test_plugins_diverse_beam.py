"""Diverse beam search against a slow reference that spells out every group."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch

from fakes import SPECIAL, FakeModel, random_model
from textgen.decoding import decode, make_session, rescore
from textgen.errors import UsageError
from textgen.protocols import Batch, Beam, Session
from textgen_decoders.beam import BeamSearch
from textgen_decoders.diverse_beam import DiverseBeam

LIMITS = [9, 6, 11, 1, 7]
PREFIXES = [[1], [1, 4, 5], [1, 5], [1, 3, 3], [1, 3]]
Found = list[tuple[float, list[int]]]


def session_of(model: FakeModel, limits: object = None, **options: object) -> Session:
    sources = torch.tensor([[row % 3, 4, 5] for row in range(5)])
    lengths = torch.tensor([1 + row % 3 for row in range(5)])
    batch = Batch(5, sources, lengths)
    limits = LIMITS if limits is None else limits
    return make_session(model, batch, PREFIXES, special=SPECIAL, limits=limits, **options)


def penalty(kind: str, alpha: float, length: int) -> float:
    if kind == "average":
        return float(length**alpha)
    return ((5 + length) / 6) ** alpha if kind == "gnmt" else 1.0


def slow(model: FakeModel, row: int, options: DiverseBeam) -> list[Found]:
    """For each group all that it finishes by the source's limit, best first."""
    width, size = options.width // options.groups, model.vocabulary_size
    running: list[Found] = [[(0.0, [])] for _ in range(options.groups)]
    ended: list[Found] = [[] for _ in range(options.groups)]
    for step in range(LIMITS[row]):
        chosen: Counter[int] = Counter()
        for number in range(options.groups):
            moves = []
            for score, tokens in running[number]:
                for token in range(2, size):
                    cost = model.log_prob(row % 3, [*PREFIXES[row], *tokens], [token])[0]
                    shy = score + cost - options.strength * chosen[token]
                    moves.append((shy, score + cost, [*tokens, token]))
            moves = sorted(moves, reverse=True)[: 2 * width]
            ends = [move for move in moves[:width] if move[2][-1] == SPECIAL.eos]
            on = [move for move in moves if move[2][-1] != SPECIAL.eos][:width]
            chosen.update(move[2][-1] for move in [*ends, *on])
            running[number] = [(score, tokens) for _, score, tokens in on]
            finished = ends if step < LIMITS[row] - 1 else [*ends, *on]
            for _, score, tokens in finished:
                value = score / penalty(options.length, options.alpha, len(tokens))
                ended[number].append((value, tokens))
    return [sorted(each, reverse=True) for each in ended]


def outputs(found: object, row: int) -> Found:
    alive = int((found.scores[row] > float("-inf")).sum())  # type: ignore[attr-defined]
    return [
        (float(found.scores[row, k]), found.tokens[row, k, : found.lengths[row, k]].tolist())  # type: ignore[attr-defined]
        for k in range(alive)
    ]


def best_of_groups(groups: list[Found], n_best: int) -> Found:
    """The groups' best, each once; where two groups agree the second best of all fill up."""
    known: list[list[int]] = []
    leads: Found = []
    others: Found = []
    led: set[int] = set()
    for place in range(max(map(len, groups))):
        for number, each in enumerate(groups):
            if place < min(len(each), n_best) and each[place][1] not in known:
                known.append(each[place][1])
                (others if number in led else leads).append(each[place])
                led.add(number)
    chosen = [*sorted(leads, reverse=True), *sorted(others, reverse=True)][:n_best]
    return sorted(chosen, reverse=True)


@pytest.mark.parametrize(("width", "groups"), [(6, 3), (4, 4), (6, 2), (5, 1)])
@pytest.mark.parametrize(
    ("kind", "alpha", "strength"),
    [("average", 1.0, 0.7), ("none", 1.0, 1.5), ("gnmt", 0.8, 0.0)],
)
def test_it_is_the_slow_reference(
    width: int, groups: int, kind: str, alpha: float, strength: float
) -> None:
    """Stopped by nothing but the limit, so that all that ever finished counts."""
    model = random_model(vocabulary=8, seed=width, spread=1.0)
    options = DiverseBeam(
        width, groups, strength, length=kind, alpha=alpha, stop="patience", patience=1e9  # type: ignore[arg-type]
    )  # fmt: skip
    references = [slow(model, row, options) for row in range(5)]
    for n_best in (1, groups, groups + 2):
        if width == groups and n_best <= groups:
            continue  # groups of one row asked for one hypothesis are greedy
        found = decode(replace(options, n_best=n_best), session_of(model))
        for row in range(5):
            wanted, got = best_of_groups(references[row], n_best), outputs(found, row)
            # texts may tie, the same steps in another order; their scores tell
            scores = [score for score, _ in wanted]
            assert [score for score, _ in got] == pytest.approx(scores, abs=1e-4)
            for score, text in got:
                total = sum(model.log_prob(row % 3, PREFIXES[row], text))
                assert total / penalty(kind, alpha, len(text)) == pytest.approx(score, abs=1e-4)
            assert len({tuple(text) for _, text in got}) == len(got)


def test_groups_of_one_row_are_greedy_and_shy() -> None:
    """A group ends with its first eos and chooses nothing more: each token costs the next ones."""
    model = random_model(vocabulary=9, seed=4)
    found = decode(DiverseBeam(3, 3, 2.0, n_best=3), session_of(model))
    for row in range(5):
        choices: list[list[list[int]]] = []  # of each group at each step: to end, to go on
        texts = []
        for _ in range(3):
            tokens, own = [], []
            while len(tokens) < LIMITS[row] and tokens[-1:] != [SPECIAL.eos]:
                others = [each[len(own)] for each in choices if len(each) > len(own)]
                costs = {
                    token: model.log_prob(row % 3, [*PREFIXES[row], *tokens], [token])[0]
                    - 2.0 * sum(token in other for other in others)
                    for token in range(2, 9)
                }
                first, second = sorted(costs, key=lambda token: -costs[token])[:2]
                own.append([first, second] if first == SPECIAL.eos else [first])
                tokens.append(first)
            choices.append(own)
            texts.append(tuple(tokens))
        assert {tuple(text) for _, text in outputs(found, row)} == set(texts)


@pytest.mark.parametrize("n_best", [1, 2, 5])
@pytest.mark.parametrize("stop", ["provable", "first", "patience"])
def test_one_group_is_beam_search(n_best: int, stop: str) -> None:
    for seed in range(3):
        session = session_of(random_model(vocabulary=7, seed=seed), [12, 5, 20, 0, 3])
        one = decode(DiverseBeam(5, 1, 3.0, n_best=n_best, stop=stop), session)  # type: ignore[arg-type]
        beam = decode(BeamSearch(5, n_best=n_best, stop=stop), session)  # type: ignore[arg-type]
        assert torch.equal(one.tokens, beam.tokens)
        assert torch.equal(one.scores, beam.scores)
        assert torch.equal(one.log_probs, beam.log_probs)
        assert torch.equal(one.finished, beam.finished)


@pytest.mark.parametrize("length", ["none", "average", "gnmt"])
def test_stopping_early_loses_no_groups_best(length: str) -> None:
    """A group that has stopped no longer counts: so only the first is compared, and no penalty."""
    for seed in range(3):
        model = random_model(vocabulary=7, seed=seed, spread=2.5)
        session = session_of(model, [25, 14, 9, 30, 2])
        model.calls.clear()
        early = decode(DiverseBeam(6, 2, 0.0, length=length), session)  # type: ignore[arg-type]
        steps = len(model.calls)
        model.calls.clear()
        never = DiverseBeam(6, 2, 0.0, length=length, stop="patience", patience=1e9)  # type: ignore[arg-type]
        late = decode(never, session)
        assert steps <= len(model.calls)
        assert torch.equal(early.tokens, late.tokens)


def test_groups_that_agree_say_it_once() -> None:
    """Without a penalty all groups are one beam; the rest of n_best is what else it found."""
    session = session_of(random_model(vocabulary=8, seed=1))
    found = decode(DiverseBeam(8, 4, 0.0, n_best=4), session)
    alone = decode(BeamSearch(2), session)
    for row in range(5):
        texts = [tuple(tokens) for _, tokens in outputs(found, row)]
        assert len(set(texts)) == len(texts)
        best = int(alone.lengths[row, 0])
        assert texts[0] == tuple(alone.tokens[row, 0, :best].tolist())


def test_strength_makes_outputs_differ_more() -> None:
    def distinct(strength: float) -> int:
        total = 0
        for seed in range(5):
            session = session_of(random_model(vocabulary=9, seed=seed))
            found = decode(DiverseBeam(6, 3, strength, n_best=3), session)
            for row in range(5):
                firsts = {tuple(tokens[:2]) for _, tokens in outputs(found, row)}
                total += len(firsts)
        return total

    assert distinct(0.0) < distinct(0.5) < distinct(5.0)


def run(strategy: DiverseBeam, rows: list[int]) -> dict[int, object]:
    model = random_model(vocabulary=8, seed=3)
    prefixes = [[1], [1, 4, 5, 3], [1, 5], [1, 3, 3], [1, 7, 7, 7, 7], [1, 7]] * 2
    limits = [5, 30, 17, 0, 9, 12, 3, 25, 2, 6, 20, 1]
    sources = torch.tensor([[row % 3, 4, 5] for row in rows])
    session = make_session(
        model,
        Batch(len(rows), sources, torch.tensor([1 + row % 3 for row in rows])),
        [prefixes[row] for row in rows],
        special=SPECIAL,
        limits=[limits[row] for row in rows],
        attention=True,
    )
    found = decode(strategy, session)
    torch.testing.assert_close(rescore(session, found), found.token_log_probs)
    assert found.attention is not None
    assert found.attention.shape == (*found.tokens.shape, 3)
    return {
        row: [(tokens, round(score, 4)) for score, tokens in outputs(found, at)]
        for at, row in enumerate(rows)
    }


@pytest.mark.parametrize("stop", ["provable", "first", "patience"])
def test_neighbours_order_and_batch_size_change_nothing(stop: str) -> None:
    strategy = DiverseBeam(6, 3, 0.6, n_best=4, stop=stop, coverage=0.2)  # type: ignore[arg-type]
    everything = run(strategy, list(range(12)))
    assert run(strategy, list(range(11, -1, -1))) == everything
    alone: dict[int, object] = {}
    for row in range(12):
        alone |= run(strategy, [row])
    assert alone == everything


def test_dead_rows_forbidden_tokens_and_nothing_to_do() -> None:
    logits = torch.full((1, 13, 5), float("-inf"))
    logits[:, :, 2], logits[:, :, 4] = 0.0, 0.5
    session = make_session(FakeModel(logits), Batch(1), [[1]], special=SPECIAL, limits=3, samples=9)
    found = decode(DiverseBeam(20, 2, 0.1), session)
    texts = {tuple(tokens) for _, tokens in outputs(found, 0)}
    assert texts == {(2,), (4, 2), (4, 4, 2), (4, 4, 4)}

    def nothing(scores: torch.Tensor, beam: Beam) -> torch.Tensor:
        return scores if beam.step < 1 else torch.full_like(scores, float("-inf"))

    found = decode(DiverseBeam(), replace(session_of(random_model()), filters=(nothing,)))
    assert (found.tokens[0, 0, found.lengths[0, 0] - 1] == SPECIAL.eos).all()
    none = decode(
        DiverseBeam(), make_session(random_model(), Batch(0), [], special=SPECIAL, limits=5)
    )
    assert none.tokens.shape[0] == 0
    empty = decode(DiverseBeam(n_best=3), session_of(random_model(), 0))
    assert empty.tokens.shape == (5, 3, 0)
    assert (empty.scores > float("-inf")).sum(1).tolist() == [1] * 5


def test_groups_must_share_the_width() -> None:
    with pytest.raises(
        UsageError, match=r"6 hypotheses .* 4 groups. Choose groups from 1, 2, 3, 6"
    ):
        DiverseBeam(6, 4)


def test_coverage_needs_attention_and_says_so() -> None:
    session = make_session(random_model(), Batch(1), [[]], special=SPECIAL, limits=3)
    with pytest.raises(UsageError, match="attention"):
        decode(DiverseBeam(coverage=0.2), session)
    translated = session_of(random_model())
    assert decode(DiverseBeam(coverage=0.3), translated).attention is None
