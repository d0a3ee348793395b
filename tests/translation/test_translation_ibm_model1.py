"""IBM model 1 against its definition, written out cell by cell."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest

from textgen.errors import DataError
from textgen.translation import ibm_model1
from textgen.translation.ibm_model1 import Model1

Pairs = list[tuple[list[int], list[int]]]

HOUSE: Pairs = [([0, 1], [0, 1]), ([0, 2], [0, 2]), ([3, 2], [3, 2])]
"""das Haus – the house, das Buch – the book, ein Buch – a book (das 0, Haus 1, Buch 2, ein 3)."""


def random_pairs(count: int = 30) -> Pairs:
    random = np.random.default_rng(5)
    return [
        (
            random.integers(0, 9, random.integers(1, 7)).tolist(),
            random.integers(0, 11, random.integers(1, 7)).tolist(),
        )
        for _ in range(count)
    ]


def by_hand(pairs: Pairs, size: int, rounds: int) -> tuple[dict[tuple[int, int], float], float]:
    """Entries after some rounds, and nats of a target token before the last of them."""
    chance: dict[tuple[int, int], float] = defaultdict(lambda: 1 / size)
    nats = 0.0
    for _ in range(rounds):
        counts: dict[tuple[int, int], float] = defaultdict(float)
        totals: dict[int, float] = defaultdict(float)
        nats, tokens = 0.0, 0
        for source, target in pairs:
            for to in target:
                whole = sum(chance[of, to] for of in source)
                nats -= float(np.log(whole / len(source)))
                tokens += 1
                for of in source:
                    counts[of, to] += chance[of, to] / whole
                    totals[of] += chance[of, to] / whole
        chance = defaultdict(float, {key: counts[key] / totals[key[0]] for key in counts})
        nats /= tokens
    return dict(chance), nats


def entries(model: Model1) -> dict[tuple[int, int], float]:
    table = model.table
    keys = zip(table.sources.tolist(), table.targets.tolist(), strict=True)
    return dict(zip(keys, table.probabilities.tolist(), strict=True))


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_rounds_are_those_of_the_definition(rounds: int) -> None:
    pairs = random_pairs()
    model = Model1(pairs, 11)
    nats = [model.improve() for _ in range(rounds)]
    expected, last = by_hand(pairs, 11, rounds)
    assert entries(model) == pytest.approx(expected, rel=1e-12)
    assert nats[-1] == pytest.approx(last, rel=1e-12)


def test_the_example_of_the_textbook() -> None:
    """Koehn 2009, "Statistical Machine Translation", figure 4.4."""
    model = Model1(HOUSE, 4)
    told = {1: (0.5, 0.5, 0.25), 2: (0.6364, 0.4286, 0.1818), 3: (0.7479, 0.3466, 0.1208)}
    for number in (1, 2, 3):
        model.improve()
        found = entries(model)
        the, house, book = found[0, 0], found[1, 0], found[0, 2]
        assert (the, house, book) == pytest.approx(told[number], abs=5e-5)
    for _ in range(300):
        model.improve()
    assert entries(model)[0, 0] == pytest.approx(1, abs=1e-2)
    assert entries(model)[2, 2] == pytest.approx(1, abs=1e-2)


def test_each_round_makes_the_pairs_likelier() -> None:
    model = Model1(random_pairs(), 11)
    nats = [model.improve() for _ in range(12)]
    assert all(after < before for before, after in itertools.pairwise(nats))
    sums = np.bincount(model.table.sources, model.table.probabilities)
    np.testing.assert_allclose(sums[np.unique(model.table.sources)], 1, rtol=1e-12)


@pytest.mark.parametrize("block", [1, 40, 1 << 20])
def test_blocks_do_not_matter(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ibm_model1, "BLOCK", block)
    model = Model1(random_pairs(), 11)
    model.improve()
    model.improve()
    assert entries(model) == pytest.approx(by_hand(random_pairs(), 11, 2)[0], rel=1e-12)


def test_pairs_are_counted_and_empty_ones_left_out() -> None:
    model = Model1([([1], []), ([], [1]), ([2, 2], [3, 0, 3])], 5)
    assert model.pairs == 1
    assert model.counts.tolist() == [1, 0, 0, 2, 0]
    assert set(entries(model)) == {(2, 0), (2, 3)}
    with pytest.raises(DataError, match="nothing to learn from"):
        Model1([([1], []), ([], [1])], 5)


def test_no_more_is_read_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ibm_model1, "BLOCK", 4)
    read = 0

    def endless() -> object:
        nonlocal read
        while True:
            read += 1
            yield [1, 2], [3]

    model = Model1(endless(), 5, limit=10)  # type: ignore[arg-type]
    assert model.pairs == 5
    assert read == 6
