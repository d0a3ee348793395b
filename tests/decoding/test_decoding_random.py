"""Random numbers for each row: a hash of whose they are, checked against plain integers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fakes import make_beam
from textgen.decoding import RowRandom, row_seeds
from textgen.decoding.random import check_seed
from textgen.errors import UsageError

MASK = (1 << 64) - 1


def fold(key: int, part: int) -> int:
    """The same hash in Python's integers, modulo 2⁶⁴."""
    x = (key + (part + 1) * 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def number(seed: int, *parts: int) -> float:
    for part in parts:
        seed = fold(seed, part)
    return ((seed >> 12) + 0.5) / 2**52


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 5), st.integers(0, 700), st.integers(0, 9))
def test_a_number_is_the_hash_of_its_place(
    seed: int, hypothesis: int, step: int, stream: int
) -> None:
    random = RowRandom(torch.tensor([7, seed]))
    beam = make_beam([[[4] * step] * 6] * 2)
    wanted = number(seed & MASK, stream, hypothesis, step)
    assert float(random.uniform(beam, stream=stream)[1, hypothesis]) == wanted
    several = random.uniform(beam, 3, stream)
    assert several.shape == (2, 6, 3)
    assert several.dtype == torch.float64
    assert several[1, hypothesis].tolist() == [
        number(seed & MASK, stream, hypothesis, step, place) for place in range(3)
    ]


def test_seeds_depend_on_the_job_and_the_number_of_the_source() -> None:
    seeds = row_seeds(5, torch.tensor([3, 1, 4]))
    assert seeds.tolist() == row_seeds(5, torch.arange(5))[[3, 1, 4]].tolist()
    assert seeds[0] != row_seeds(6, torch.tensor([3]))[0]
    assert row_seeds(-1, torch.tensor([0])).shape == (1,)
    assert row_seeds(2**70, torch.tensor([0])).shape == (1,)


def test_who_is_left_keeps_its_numbers() -> None:
    random = RowRandom(torch.tensor([5, 6, 7]))
    for step in (0, 63, 64, 65):
        beam = make_beam([[[4] * step]] * 3)
        everybody = random.uniform(beam)
        left = replace(make_beam([[[4] * step]] * 2), sources=torch.tensor([0, 2]))
        assert random.uniform(left).tolist() == everybody[[0, 2]].tolist()
        wide = random.uniform(make_beam([[[4] * step] * 4] * 3))
        assert wide[:, :1].tolist() == everybody.tolist()


def test_numbers_are_uniform_and_unlike_each_other() -> None:
    random = RowRandom(torch.arange(100))
    beam = make_beam([[[4]] * 5] * 100)
    numbers = random.uniform(beam, 200)
    assert float(numbers.min()) > 0
    assert float(numbers.max()) < 1
    assert numbers.unique().numel() == numbers.numel()
    counts = torch.histc(numbers.float(), 64, 0, 1)
    expected = numbers.numel() / 64
    statistic = float(((counts - expected) ** 2 / expected).sum())
    assert 30 < statistic < 105  # chi-square with 63 degrees of freedom: 0.01 % each side
    for other in (random.uniform(beam, 200, stream=1), numbers.roll(1, 0), numbers.roll(1, 1)):
        correlation = torch.corrcoef(torch.stack([numbers.flatten(), other.flatten()]))[0, 1]
        assert abs(float(correlation)) < 0.015


def test_a_million_pairs_of_seed_and_index_have_a_million_streams() -> None:
    """Seeds that differ by a power of two, and indices that make up for it, too."""
    near = torch.arange(700)
    far = torch.tensor(
        [1 << bits for bits in range(63)] + [(1 << bits) + 1 for bits in range(1, 63)]
    )
    seeds = torch.cat([near, far]).unique()
    indices = torch.cat([near, far, torch.arange(700, 1300)]).unique()
    found = torch.cat([row_seeds(int(seed), indices) for seed in seeds])
    assert len(found) > 1_000_000
    assert len(found.unique()) == len(found)
    assert row_seeds(0, near).tolist() != row_seeds(1 << 24, near).tolist()


def test_uniform_numbers_of_neighbouring_pairs_look_independent() -> None:
    """Chi-square over 64 bins, and the correlation of neighbours in seed and in index."""
    seeds = torch.stack([row_seeds(seed, torch.arange(300)) for seed in range(300)])
    numbers = (seeds >> 11 & ((1 << 52) - 1)).double() / (1 << 52)
    counts = torch.histc(numbers.float().flatten(), 64, 0, 1)
    expected = numbers.numel() / 64
    chi = float(((counts - expected) ** 2 / expected).sum())
    assert 20 < chi < 130  # 63 degrees of freedom
    for left, right in ((numbers[1:], numbers[:-1]), (numbers[:, 1:], numbers[:, :-1])):
        pairs = torch.stack([left.flatten(), right.flatten()])
        assert abs(float(torch.corrcoef(pairs)[0, 1])) < 0.02


@pytest.mark.parametrize("seed", [-1, 1 << 63, -(1 << 63)])
def test_seeds_out_of_range_are_refused(seed: int) -> None:
    with pytest.raises(UsageError, match=r"seed .* is out of range: allowed is 0 to"):
        check_seed(seed)
