"""The shared loop: what it records, forces, forbids, and when it stops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from checks import some
from fakes import SPECIAL, FakeModel, FixedRandom, random_model
from textgen.decoding import decode, make_session, rescore, score, search
from textgen.errors import PluginError, TextgenError, UsageError
from textgen.protocols import Batch, Beam, Hypotheses, Pick, Session, Strategy
from textgen_decoders.beam import BeamSearch
from textgen_decoders.diverse_beam import DiverseBeam
from textgen_decoders.greedy import Greedy
from textgen_decoders.sample import Sample
from textgen_decoders.temperature import Temperature
from textgen_decoders.top_k import TopK

pytestmark = pytest.mark.usefixtures("either")
STRATEGIES = [Greedy(), Sample(), BeamSearch(width=3), BeamSearch(width=3, length="none")]


def session_of(
    model: FakeModel, prefixes: list[list[int]], limits: object = 6, **options: object
) -> Session:
    sources = torch.tensor([[row % 3, 4, 5] for row in range(len(prefixes))])
    lengths = torch.tensor([1 + row % 3 for row in range(len(prefixes))])
    batch = Batch(len(prefixes), sources, lengths)
    return make_session(model, batch, prefixes, special=SPECIAL, limits=limits, **options)


def test_greedy_takes_the_argmax_of_each_step() -> None:
    model = random_model()
    result = search(session_of(model, [[1], [1, 4, 5]]), lambda p, _: Pick(None, p.argmax(-1)))
    for row, prefix in enumerate(([1], [1, 4, 5])):
        tokens = result.tokens[row, 0, : result.lengths[row, 0]].tolist()
        for place in some(range(len(tokens))):
            costs = [
                model.log_prob(row, [*prefix, *tokens[:place]], [token])[0]
                if token not in (SPECIAL.pad, SPECIAL.bos)
                else -1e9
                for token in range(6)
            ]
            assert costs[tokens[place]] == max(costs)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_scores_equal_a_teacher_forced_pass(strategy: object) -> None:
    model = random_model()
    prefixes = [[1], [1, 4, 5, 3], [1, 5], [1, 3, 3]]
    session = session_of(model, prefixes, [6, 3, 0, 9], samples=3, attention=True)
    result = decode(strategy, session)
    torch.testing.assert_close(rescore(session, result), result.token_log_probs)
    for row, prefix in enumerate(prefixes):
        for k in range(result.tokens.shape[1]):
            tokens = result.tokens[row, k, : result.lengths[row, k]].tolist()
            if result.scores[row, k] > float("-inf"):
                exact = sum(model.log_prob(row % 3, prefix, tokens))
                assert float(result.log_probs[row, k]) == pytest.approx(exact, abs=1e-4)
                ended = bool(tokens) and tokens[-1] == SPECIAL.eos
                assert bool(result.finished[row, k]) == ended
            assert (result.tokens[row, k, len(tokens) :] == SPECIAL.pad).all()
        assert (result.lengths[row] <= session.limit[row]).all()


def plain(found: Hypotheses, row: int, positions: int) -> list[object]:
    """The hypotheses of one source without their padding, rounded."""
    assert found.attention is not None
    result: list[object] = []
    for k in range(found.tokens.shape[1]):
        if found.scores[row, k] > float("-inf"):
            length = int(found.lengths[row, k])
            log_probs = found.token_log_probs[row, k, :length]
            weights = found.attention[row, k, :length, :positions]
            result.append(
                (
                    found.tokens[row, k, :length].tolist(),
                    [round(value, 4) for value in log_probs.tolist()],
                    bool(found.finished[row, k]),
                    [round(value, 4) for value in weights.flatten().tolist()],
                )
            )
    return result


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_neighbours_order_and_batch_size_change_nothing(strategy: object) -> None:
    model = random_model(vocabulary=9, seed=3)
    prefixes = [[1], [1, 4, 5, 3], [1, 5], [1, 3, 3], [1, 8, 8, 8, 8, 8], [1, 7]] * 2
    limits = [5, 30, 17, 0, 9, 12, 3, 40, 2, 6, 25, 1]
    sources = torch.tensor([[row % 3, 4, 5] for row in range(12)])
    lengths = torch.tensor([1 + row % 3 for row in range(12)])

    def run(rows: list[int]) -> dict[int, list[object]]:
        longest = int(lengths[rows].max())
        batch = Batch(len(rows), sources[rows, :longest], lengths[rows])
        session = make_session(
            model,
            batch,
            [prefixes[row] for row in rows],
            special=SPECIAL,
            limits=[limits[row] for row in rows],
            seed=5,
            indices=rows,
            samples=2,
            attention=True,
            filters=(Temperature(1.3), TopK(5)),
        )
        found = decode(strategy, session)
        return {row: plain(found, at, int(lengths[row])) for at, row in enumerate(rows)}

    everything = run(list(range(12)))
    assert run(list(range(11, -1, -1))) == everything
    alone: dict[int, list[object]] = {}
    for row in range(12):
        alone |= run([row])
    assert alone == everything
    pairs: dict[int, list[object]] = {}
    for row in range(0, 12, 3):
        pairs |= run([row + 2, row, row + 1])
    assert pairs == everything


def test_attention_is_that_of_the_call_which_chose_the_token() -> None:
    model = random_model()
    for strategy in STRATEGIES:
        session = session_of(model, [[1, 4], [1, 5, 3], [1]], 5, attention=True, samples=2)
        found = decode(strategy, session)
        assert found.attention is not None
        for row in range(3):
            size = 1 + row % 3
            for k in range(found.tokens.shape[1]):
                memory = 0
                prefix = session.prefix[row, : session.prefix_lengths[row]].tolist()
                tokens = found.tokens[row, k, : found.lengths[row, k]].tolist()
                seen: list[int] = []
                for token in [*prefix, *tokens]:
                    seen.append(memory)
                    memory = (5 * memory + token + 1) % 13
                wanted = model.look(
                    torch.tensor([seen[len(prefix) :]]), torch.tensor([size]), size
                )[0]
                got = found.attention[row, k, : len(tokens)]
                torch.testing.assert_close(got[:, :size], wanted)
                assert not got[:, size:].any()


def test_the_prefix_is_read_in_one_call_and_leavers_leave() -> None:
    model = random_model(vocabulary=9, seed=3)
    session = session_of(model, [[1], [1, 4, 5], [1, 5], [1, 4]], [30, 1, 2, 1])
    decode(Greedy(), session)
    assert model.calls[0] == (4, 3)
    assert all(steps == 1 for _, steps in model.calls[1:])
    rows = [count for count, _ in model.calls]
    assert rows == sorted(rows, reverse=True)
    assert rows[1] == 2


def test_with_every_token_forbidden_eos_is_forced() -> None:
    def nothing_after_two(scores: Tensor, beam: Beam) -> Tensor:
        if beam.step < 2:
            return scores.index_fill(-1, torch.tensor([SPECIAL.eos]), float("-inf"))
        return torch.full_like(scores, float("-inf"))

    for strategy in STRATEGIES:
        session = session_of(random_model(), [[1], [1, 4]], 8, filters=[nothing_after_two])
        found = decode(strategy, session)
        for row in range(2):
            assert found.lengths[row, 0] == 3
            assert found.tokens[row, 0, 2] == SPECIAL.eos
            assert found.finished[row, 0]
        torch.testing.assert_close(rescore(session, found), found.token_log_probs)


def test_eos_at_the_limit_is_forced_when_asked_for() -> None:
    never = random_model()
    never.logits[:, :, SPECIAL.eos] = -30.0
    for strategy in STRATEGIES:
        cut = decode(strategy, session_of(never, [[1], [1]], [3, 5]))
        assert cut.lengths[:, 0].tolist() == [3, 5]
        assert not cut.finished[:, 0].any()
        ended = decode(strategy, session_of(never, [[1], [1]], [3, 5], eos_at_limit=True))
        assert ended.lengths[:, 0].tolist() == [3, 5]
        assert ended.tokens[0, 0, 2] == ended.tokens[1, 0, 4] == SPECIAL.eos
        assert ended.finished[:, 0].all()
        assert (ended.log_probs[:, 0] < -25).all()


def test_a_pick_of_no_rows_is_named() -> None:
    nothing = torch.zeros(2, 0, dtype=torch.int64)
    session = session_of(random_model(), [[1], [1]])
    with pytest.raises(PluginError, match="K' ≥ 1"):
        decode(lambda given: search(given, lambda _, __: Pick(nothing, nothing)), session)


def test_dead_rows_stay_dead() -> None:
    """Of four moves asked for two exist; the spare rows must never come back."""
    logits = torch.full((1, 13, 5), float("-inf"))
    logits[:, :, 2], logits[:, :, 4] = 0.0, 0.5
    model = FakeModel(logits)

    def wide(scores: Tensor, beam: Beam) -> Pick:
        totals = (beam.scores.unsqueeze(2) + scores).flatten(1)
        index = totals.topk(4, 1).indices
        return Pick(index // 5, index % 5)

    session = make_session(model, Batch(2), [[1], [1]], special=SPECIAL, limits=3)
    found = search(session, wide)
    assert found.scores.shape == (2, 4)
    for row in range(2):
        alive = found.scores[row] > float("-inf")
        texts = [
            tuple(found.tokens[row, k, : found.lengths[row, k]].tolist())
            for k in range(4)
            if alive[k]
        ]
        assert sorted(texts) == [(2,), (4, 2), (4, 4, 2), (4, 4, 4)]
        assert len(set(texts)) == len(texts)
    one = search(make_session(model, Batch(1), [[1]], special=SPECIAL, limits=1), wide)
    assert (one.scores[0] > float("-inf")).tolist() == [True, True, False, False]
    assert one.lengths[0].tolist() == [1, 1, 0, 0]
    assert not one.finished[0, 2:].any()


def test_a_watch_stops_rows() -> None:
    seen = []

    def watch(beam: Beam) -> Tensor | None:
        seen.append(beam.tokens.clone())
        return beam.tokens[:, :, -1] == 5 if beam.step >= 2 else None

    model = random_model()
    model.logits[:, :, SPECIAL.eos] = -30.0
    for strategy in STRATEGIES:
        found = decode(strategy, session_of(model, [[1], [1, 3]], 40, watch=watch))
        for row in range(2):
            tokens = found.tokens[row, 0, : found.lengths[row, 0]].tolist()
            assert tokens[-1] == 5
            assert 5 not in tokens[1:-1]
            assert found.finished[row, 0]
    assert seen[0].shape == (2, 1, 1)


def test_no_sources_and_no_steps() -> None:
    model = random_model()
    for strategy in STRATEGIES:
        none = decode(strategy, make_session(model, Batch(0), [], special=SPECIAL, limits=5))
        assert none.tokens.shape[0] == 0
        empty = decode(strategy, make_session(model, Batch(2), [[], []], special=SPECIAL, limits=0))
        assert empty.tokens.shape[::2] == (2, 0)
        assert empty.scores[:, 0].tolist() == [0, 0]
        assert not empty.finished.any()


def test_long_outputs_outgrow_the_first_buffers() -> None:
    model = random_model(vocabulary=9)
    model.logits[:, :, SPECIAL.eos] = -40.0
    for strategy in STRATEGIES:
        session = session_of(model, [[1], [1, 4]], 150)
        found = decode(strategy, session)
        assert found.lengths[:, 0].tolist() == [150, 150]
        torch.testing.assert_close(rescore(session, found), found.token_log_probs)


def test_score_gives_each_token_its_log_probability() -> None:
    model = random_model()
    batch = Batch(3, torch.tensor([[0], [1], [2]]), torch.tensor([1, 1, 1]))
    prefixes, rest = [[1, 4], [1], [1, 3, 3, 5]], [[5, 5, 2], [], [4]]
    found = score(model, batch, prefixes, rest)
    for row in range(3):
        wanted = model.log_prob(row, prefixes[row], rest[row])
        assert found[row, : len(wanted)].tolist() == pytest.approx(wanted, abs=1e-5)
        assert not found[row, len(wanted) :].any()


def wrong_shape(scores: Tensor, beam: Beam) -> Tensor:
    del beam
    return scores[:, :, :-1]


def wrong_type(scores: Tensor, beam: Beam) -> object:
    del beam
    return scores.tolist()


def not_a_number(scores: Tensor, beam: Beam) -> Tensor:
    return scores * float("nan") if beam.step == 1 else scores


def one_nan(scores: Tensor, beam: Beam) -> Tensor:
    del beam
    return scores.index_fill(-1, torch.tensor([3]), float("nan"))


def too_much(scores: Tensor, beam: Beam) -> Tensor:
    del beam
    return scores.index_fill(-1, torch.tensor([3]), float("inf"))


def raises(scores: Tensor, beam: Beam) -> Tensor:
    del scores
    raise ValueError(f"what is {beam.step}?")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (wrong_shape, "shape"),
        (wrong_type, "list"),
        (not_a_number, "NaN"),
        (one_nan, "NaN"),
        (too_much, "NaN or"),
        (raises, "ValueError: what is 0"),
    ],
)
def test_a_bad_filter_is_named(bad: object, said: str) -> None:
    session = session_of(random_model(), [[1], [1]], filters=[Temperature(2.0), bad, TopK(3)])
    with pytest.raises(PluginError, match=said) as caught:
        decode(Sample(), session)
    assert bad.__name__ in str(caught.value)
    assert "test_decoding_search.py" in str(caught.value)


@pytest.mark.parametrize(
    ("pick", "said"),
    [
        (lambda s, _: Pick(None, s.argmax(-1) + 100), "from 10"),
        (lambda s, _: Pick(None, s.argmax(-1) * 0 - 1), "from -1 to -1"),
        (lambda s, _: Pick(s.argmax(-1) * 0 + 7, s.argmax(-1)), "parents from 7"),
        (lambda s, _: Pick(None, s.argmax(-1).squeeze(1)), "expected int64"),
        (lambda s, _: Pick(None, s.argmax(-1).float()), "expected int64"),
        (lambda s, _: s.argmax(-1).tolist()[0], "raised|expected"),
        (lambda s, _: s.nothing, "AttributeError"),
    ],
)
def test_a_bad_pick_is_named(pick: object, said: str) -> None:
    for limit in (1, 5):
        with pytest.raises(PluginError, match=said):
            search(session_of(random_model(), [[1], [1]], limit), pick)


def test_a_bad_strategy_is_named() -> None:
    class Odd:
        def __init__(self, result: object) -> None:
            self.result = result

        def __call__(self, session: Session) -> object:
            del session
            return self.result

    session = session_of(random_model(), [[1], [1]])
    good = decode(Greedy(), session)
    bad = [
        None,
        replace(good, tokens=good.tokens + 99),
        replace(good, tokens=good.tokens[:1]),
        replace(good, scores=good.scores * float("nan")),
        replace(good, lengths=good.lengths[:, :0]),
        replace(good, tokens=good.tokens.float()),
    ]
    for result in some(bad):
        with pytest.raises(PluginError, match="Odd"):
            decode(Odd(result), session)


def test_a_model_that_says_nan_is_an_error_and_not_a_plugin() -> None:
    for filters in ((), (Temperature(0.5),)):
        for strategy in STRATEGIES:
            model = random_model()
            model.logits[:, :, SPECIAL.eos] = -30.0
            model.logits[:, 3:] = float("nan")
            session = session_of(model, [[1], [1, 4]], 30, filters=filters)
            with pytest.raises(TextgenError, match="not a number") as caught:
                decode(strategy, session)
            assert not isinstance(caught.value, PluginError)


def test_the_same_fixed_number_gives_the_quantile() -> None:
    logits = torch.tensor([0.0, 0.0, 0.125, 0.125, 0.25, 0.5]).log().expand(1, 13, 6)
    for value, token in ((0.01, 2), (0.13, 3), (0.26, 4), (0.49, 4), (0.51, 5), (0.99, 5)):
        session = make_session(FakeModel(logits), Batch(1), [[]], special=SPECIAL, limits=1)
        found = decode(Sample(), replace(session, random=FixedRandom(value)))
        assert found.tokens.item() == token


def fails(anything: object) -> Tensor:
    del anything
    raise LookupError("no")


def test_what_the_watch_or_the_model_raises_is_nobody_elses_fault() -> None:
    def full(beam: Beam) -> None:
        del beam
        raise BrokenPipeError("nobody reads")

    def odd(beam: Beam) -> None:
        del beam
        raise KeyError("mine")

    for strategy in STRATEGIES:
        for watch, error in ((full, BrokenPipeError), (odd, KeyError)):
            with pytest.raises(error):
                decode(strategy, session_of(random_model(), [[1]], watch=watch))
        model = random_model()
        session = session_of(model, [[1]])
        model.output = fails
        with pytest.raises(LookupError):
            decode(strategy, session)


def test_a_strategy_that_raises_is_named() -> None:
    def broken(session: Session) -> None:
        del session
        raise ZeroDivisionError("by nothing")

    def bad_done(session: Session) -> object:
        return search(session, lambda s, _: Pick(None, s.argmax(-1)), done=fails)

    def odd_done(session: Session) -> object:
        return search(session, lambda s, _: Pick(None, s.argmax(-1)), done=lambda b: b.finished)

    session = session_of(random_model(), [[1], [1]])
    for strategy, said in (
        (broken, "ZeroDivisionError: by nothing"),
        (bad_done, "LookupError: no"),
        (odd_done, "done gave"),
    ):
        with pytest.raises(PluginError, match=f"{strategy.__name__}, .*{said}"):
            decode(strategy, session)


def test_a_filter_that_gives_float64_changes_no_result() -> None:
    def finer(scores: Tensor, _: Beam) -> Tensor:
        return scores.double()

    for strategy in (Sample(), BeamSearch(width=3)):
        plain = strategy(session_of(random_model(), [[1], [1, 4]]))
        found = strategy(session_of(random_model(), [[1], [1, 4]], filters=(finer,)))
        assert torch.equal(found.tokens, plain.tokens)
        torch.testing.assert_close(found.token_log_probs.float(), plain.token_log_probs)


@pytest.mark.parametrize("options", [{}, {"length": "gnmt", "alpha": 0.6}, {"coverage": 0.3}])
@pytest.mark.parametrize("make", [BeamSearch, partial(DiverseBeam, groups=1)])
def test_forcing_any_beginning_of_an_exact_search_gives_its_result(
    make: Callable[..., Strategy], options: dict[str, Any]
) -> None:
    model, rows, limit = random_model(5, spread=0.7), 3, 4
    strategy = make(width=32, **options)
    free = decode(strategy, session_of(model, [[1]] * rows, limit, attention=True))
    for count in some(range(1, limit + 1)):
        beginnings = [
            free.tokens[row, 0, : min(count, int(free.lengths[row, 0]))].tolist()
            for row in range(rows)
        ]
        session = session_of(model, [[1]] * rows, limit, attention=True, forced=beginnings)
        found = decode(strategy, session)
        for name in ("lengths", "scores", "log_probs", "finished"):
            torch.testing.assert_close(getattr(found, name)[:, 0], getattr(free, name)[:, 0])
        steps = int(free.lengths[:, 0].max())
        for name in ("tokens", "token_log_probs", "attention"):
            one, other = getattr(found, name)[:, 0, :steps], getattr(free, name)[:, 0, :steps]
            torch.testing.assert_close(one, other)


def test_a_forced_beginning_is_part_of_the_output() -> None:
    model = random_model()
    seen: list[int] = []

    def forbid(scores: Tensor, beam: Beam) -> Tensor:
        seen.append(beam.step)
        return scores.index_fill(-1, torch.tensor([4]), float("-inf"))

    session = session_of(
        model, [[1, 5], [1], [1, 3]], [2, 0, 6], forced=[[4, 4, 5], [], [4]], filters=[forbid]
    )
    assert session.limit.tolist() == [3, 0, 6], "the limit is raised to what is forced"
    for strategy in STRATEGIES:
        seen.clear()
        found = decode(strategy, session)
        assert found.tokens[0, 0].tolist()[:3] == [4, 4, 5], "what is forced cannot be forbidden"
        assert found.lengths[:2, 0].tolist() == [3, 0]
        assert found.tokens[2, 0].tolist().count(4) == 1
        assert set(seen) >= set(range(int(found.lengths[2, 0]))), "filters see all steps"
        wanted = model.log_prob(0, [1, 5], [4, 4, 5])
        assert float(found.log_probs[0, 0]) == pytest.approx(sum(wanted), abs=1e-4)
    with pytest.raises(UsageError, match="2 forced beginnings were given for 1 sources"):
        session_of(model, [[1]], forced=[[4], [5]])
