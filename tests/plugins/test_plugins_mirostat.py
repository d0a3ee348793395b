"""Mirostat against the algorithm of the paper, one row at a time in float64."""

from __future__ import annotations

import math

import pytest
import torch

from fakes import MEMORIES, SPECIAL, FakeModel, FixedRandom, make_beam, random_model
from textgen.decoding import decode, make_session, search
from textgen.decoding.chain import default_registries, resolve
from textgen.protocols import Batch, Beam, Filter, Pick, Session
from textgen_decoders.beam import BeamSearch
from textgen_decoders.mirostat import Mirostat
from textgen_decoders.sample import Sample, pick

DEAD = float("-inf")


def expected_bounds(
    model: FakeModel, prefix: list[int], tokens: list[int], tau: float, eta: float
) -> list[tuple[float, set[int]]]:
    """μ before each token, and what may be chosen, step by step in plain Python."""
    bound, found, memory = 2 * tau, [], 0
    for token in [SPECIAL.bos, *prefix]:
        memory = (5 * memory + token + 1) % MEMORIES
    for token in tokens:
        row = model.logits[0, memory].double().tolist()
        weights = {v: math.exp(x) for v, x in enumerate(row) if v not in {SPECIAL.pad, SPECIAL.bos}}
        # pad and bos are forbidden: a filter sees the others, which it normalises
        total = sum(weights.values())
        surprise = {v: -math.log2(weight / total) for v, weight in weights.items()}
        left = {v for v in weights if surprise[v] <= bound or weights[v] == max(weights.values())}
        found.append((bound, left))
        share = weights[token] / sum(weights[v] for v in left)
        bound -= eta * (-math.log2(share) - tau)
        memory = (5 * memory + token + 1) % MEMORIES
    return found


class Spy:
    """A filter around another one that notes what it leaves of the first row."""

    def __init__(self, one: Mirostat) -> None:
        self.one, self.left = one, []  # type: ignore[var-annotated]

    def start(self, session: Session) -> Filter:
        inner = self.one.start(session)

        def spy(log_probs: torch.Tensor, beam: Beam) -> torch.Tensor:
            result = inner(log_probs, beam)
            for row, source in enumerate(beam.sources.tolist()):
                for k in range(beam.width):
                    output = tuple(beam.tokens[row, k].tolist())
                    allowed = set((result[row, k] > DEAD).nonzero().flatten().tolist())
                    self.left.append((source, output, allowed))
            return result

        return spy

    def __call__(self, log_probs: torch.Tensor, beam: Beam) -> torch.Tensor:
        raise AssertionError(log_probs, beam)


def test_what_is_dropped_and_that_the_likeliest_stays() -> None:
    scores = torch.tensor([[[0.5, 0.25, 0.125, 0.125]]]).log()
    beam = make_beam([[[]]])

    def left(tau: float) -> list[int]:
        return (Mirostat(tau=tau)(scores, beam)[0, 0] > DEAD).nonzero().flatten().tolist()

    assert left(1.5) == [0, 1, 2, 3]  # μ = 3 bits
    assert left(1.49) == [0, 1]
    assert left(1.0) == [0, 1]
    assert left(0.99) == [0]
    assert left(0.1) == [0]
    tie = torch.zeros(1, 1, 4)
    assert (Mirostat(tau=0.1)(tie, beam) > DEAD).all()


def test_the_bound_follows_the_surprise() -> None:
    """Of (1/2, 1/4, 1/8, 1/8) with μ = 2 the half and the quarter are left: 2/3 and 1/3."""
    session = make_session(random_model(4), Batch(1), [[]], special=SPECIAL, limits=9)
    scores = torch.tensor([[[0.5, 0.25, 0.125, 0.125]]]).log()
    running = Mirostat(tau=1.0, eta=0.5).start(session)
    running(scores, make_beam([[[]]]))
    running(scores, make_beam([[[1]]]))
    first = 2 - 0.5 * (math.log2(3) - 1)
    assert float(running.bound) == pytest.approx(first)  # type: ignore[attr-defined]
    running(scores, make_beam([[[1, 0]]]))  # μ = 1.7 left the half alone: no surprise
    assert float(running.bound) == pytest.approx(first + 0.5)  # type: ignore[attr-defined]
    running(scores, make_beam([[[1, 0, 3]]]))  # μ = 2.2 did not offer it
    assert float(running.bound) == pytest.approx(first + 0.5)  # type: ignore[attr-defined]


def test_sampling_follows_the_reference_whoever_leaves() -> None:
    model = random_model(vocabulary=9, languages=1, seed=4, spread=2.0)
    model.logits[:, :, SPECIAL.eos] -= 3
    prefixes = [[3, 4], [], [5], [4, 4, 4, 3], [8], [7, 7]]
    spy = Spy(Mirostat(tau=1.5, eta=0.4))
    session = make_session(
        model, Batch(6), prefixes, special=SPECIAL, limits=[12, 3, 12, 15, 1, 8], seed=3, samples=3,
        filters=[spy],
    )  # fmt: skip
    decode(Sample(), session)
    checked = 0
    for source, output, left in spy.left:
        if {SPECIAL.pad, SPECIAL.bos, SPECIAL.eos} & set(output):
            continue  # what finished rows get is not used
        wanted = expected_bounds(model, prefixes[source], [*output, 3], 1.5, 0.4)[-1]
        assert left == wanted[1], (source, output, wanted)
        checked += len(output) > 3
    assert checked > 60
    assert len({len(left) for *_, left in spy.left}) > 3


def test_beams_keep_their_own_bounds() -> None:
    model = random_model(vocabulary=9, languages=1, seed=6, spread=2.0)
    spy = Spy(Mirostat(tau=1.2, eta=0.5))
    prefixes = [[3], [], [5, 6]]
    session = make_session(
        model, Batch(3), prefixes, special=SPECIAL, limits=[9, 4, 12], filters=[spy]
    )
    decode(BeamSearch(width=4), session)
    lengths = [
        len(output)
        for source, output, left in spy.left
        if not {SPECIAL.eos, SPECIAL.bos, SPECIAL.pad} & set(output)
        and left == expected_bounds(model, prefixes[source], [*output, 3], 1.2, 0.5)[-1][1]
    ]
    asked = [
        each for _, each, _ in spy.left if not {SPECIAL.eos, SPECIAL.bos, SPECIAL.pad} & set(each)
    ]
    assert len(lengths) == len(asked)
    assert max(lengths) > 5


def test_the_mean_surprise_comes_near_the_target() -> None:
    model = random_model(vocabulary=64, languages=1, seed=8, spread=1.0)
    model.logits[:, :, SPECIAL.eos] = -60.0
    for tau in (2.0, 4.0):
        noted: list[float] = []

        def noting(log_probs: torch.Tensor, beam: Beam, noted: list[float] = noted) -> Pick:
            found = pick(log_probs, beam)
            bits = log_probs.log_softmax(-1) / -math.log(2)
            noted.extend(bits.gather(2, found.tokens.unsqueeze(2)).flatten().tolist())
            return found

        session = make_session(
            model,
            Batch(8),
            [[]] * 8,
            special=SPECIAL,
            limits=120,
            filters=[Mirostat(tau=tau, eta=0.2)],
            seed=5,
        )
        search(session, noting)
        late = noted[len(noted) // 3 :]
        assert sum(late) / len(late) == pytest.approx(tau, abs=0.15)


def test_by_name_it_is_sampled_with_and_stands_last() -> None:
    chain = resolve("mirostat:tau=3", [], default_registries())
    assert chain.filters == (Mirostat(tau=3),)
    assert isinstance(chain.strategy, Sample)


def test_a_forced_end_teaches_nothing() -> None:
    session = make_session(random_model(5), Batch(1), [[]], special=SPECIAL, limits=9)
    running = Mirostat().start(session)
    running(torch.full((1, 1, 5), DEAD), make_beam([[[]]], random=FixedRandom(0.5)))
    running(torch.zeros(1, 1, 5), make_beam([[[2]]]))
    assert float(running.bound) == 10  # type: ignore[attr-defined]
