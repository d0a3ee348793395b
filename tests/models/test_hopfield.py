"""Hopfield networks: energies, fixed points and cycles against brute force; attention."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional as F

import textgen
from textgen.errors import DataError, UsageError
from textgen.models.hopfield import (
    Hopfield,
    HopfieldNetwork,
    ModernHopfieldNetwork,
    flipped,
    hebb,
    overlaps,
    pseudo_inverse,
)
from textgen.models.hopfield.memory import Rule

Array = NDArray[np.float64]
NAMES = ("Ada Lovelace", "Alan Turing", "Grace Hopper", "John Hopfield")


def random_patterns(count: int, units: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).choice((-1.0, 1.0), (count, units))


def all_states(units: int) -> Array:
    return np.array(list(itertools.product((-1.0, 1.0), repeat=units)))


def energy(weights: Array, state: Array) -> float:
    """−½ Σ_i Σ_j W_ij s_i s_j, written out."""
    pairs = itertools.product(range(len(state)), repeat=2)
    return -0.5 * sum(float(weights[i, j] * state[i] * state[j]) for i, j in pairs)


def test_the_hebb_rule_is_the_sum_of_products() -> None:
    patterns = random_patterns(3, 7)
    weights = hebb(patterns)
    for i, j in itertools.product(range(7), repeat=2):
        expected = sum(float(p[i] * p[j]) for p in patterns) / 7 if i != j else 0.0
        assert weights[i, j] == pytest.approx(expected, abs=1e-15)


def test_the_pseudo_inverse_is_the_projection_without_its_diagonal() -> None:
    patterns = random_patterns(4, 9, seed=1)
    projection = patterns.T @ np.linalg.inv(patterns @ patterns.T) @ patterns
    expected = projection - np.diag(np.diag(projection))
    np.testing.assert_allclose(pseudo_inverse(patterns), expected, atol=1e-14)


@given(st.integers(1, 20), st.integers(2, 24), st.integers(0, 999), st.booleans())
def test_the_energy_never_rises_in_asynchronous_updates(
    count: int, units: int, seed: int, projection: bool
) -> None:
    patterns = random_patterns(count, units, seed)
    network = HopfieldNetwork((pseudo_inverse if projection else hebb)(patterns))
    cue = np.random.default_rng(seed).choice((-1.0, 0.0, 1.0), units)
    found = network.recall(cue, seed=seed)
    assert list(found.energies) == sorted(found.energies, reverse=True)
    assert found.converged
    assert found.steps == len(found.energies) - 1
    assert found.energies[0] == pytest.approx(energy(network.weights, cue), abs=1e-12)
    assert found.energy == pytest.approx(energy(network.weights, found.state), abs=1e-9)
    fields = network.weights @ found.state
    assert bool((found.state * fields >= -1e-9).all())


def test_asynchronous_updates_are_those_of_one_unit_at_a_time() -> None:
    weights = hebb(random_patterns(4, 15, seed=3))
    state = random_patterns(1, 15, seed=4)[0]
    found = HopfieldNetwork(weights).recall(state, seed=5)
    rng, energies, changed = np.random.default_rng(5), [energy(weights, state)], True
    while changed:
        changed = False
        for unit in rng.permutation(15):
            field = sum(float(weights[unit, j] * state[j]) for j in range(15))
            if abs(field) > 1e-9 and np.sign(field) != state[unit]:
                state[unit], changed = np.sign(field), True
                energies.append(energy(weights, state))
    assert np.array_equal(found.state, state)
    assert found.energies == pytest.approx(energies, abs=1e-12)
    assert found.steps > 1


@pytest.mark.parametrize("rule", [hebb, pseudo_inverse])
def test_fixed_points_are_the_local_minima_of_all_states(rule: Callable[[Array], Array]) -> None:
    weights = rule(random_patterns(3, 8, seed=2))
    network = HopfieldNetwork(weights)
    states = all_states(8)
    energies = {state.tobytes(): energy(weights, state) for state in states}
    fixed = 0
    for state in states:
        neighbours = [np.where(np.arange(8) == unit, -state, state) for unit in range(8)]
        own = energies[state.tobytes()]
        minimum = all(energies[each.tobytes()] >= own - 1e-12 for each in neighbours)
        found = network.recall(state)
        assert (found.steps == 0) == minimum
        assert energies[found.state.tobytes()] <= own + 1e-12
        fixed += minimum
    assert 2 <= fixed < len(states)


@given(st.integers(1, 8), st.integers(0, 999))
def test_the_pseudo_inverse_stores_every_pattern_and_its_reverse(count: int, seed: int) -> None:
    patterns = random_patterns(count, 16, seed)
    network = HopfieldNetwork(pseudo_inverse(patterns))
    for state in (*patterns, *-patterns):
        for synchronous in (False, True):
            found = network.recall(state, synchronous=synchronous)
            assert (found.steps, found.converged, found.cycle) == (0, True, 1)
            assert np.array_equal(found.state, state)


def test_as_many_patterns_as_units_are_fixed_points_of_the_pseudo_inverse() -> None:
    patterns = np.where(np.tri(6) > 0, 1.0, -1.0)  # linearly independent: W is rounding alone
    assert np.linalg.matrix_rank(patterns) == 6
    network = HopfieldNetwork(pseudo_inverse(patterns))
    assert all(network.recall(each).steps == 0 for each in patterns)


def test_two_units_that_want_what_the_other_has_swap_for_ever() -> None:
    network = HopfieldNetwork([[0, 1], [1, 0]])
    found = network.recall([1, -1], synchronous=True)
    assert (found.cycle, found.converged, found.steps) == (2, False, 2)
    assert found.state.tolist() == [1, -1]
    assert network.recall([1, -1]).converged
    assert network.recall([1, -1], synchronous=True, max_steps=1).cycle == 0


@given(st.integers(0, 9999))
def test_synchronous_updates_end_at_a_fixed_point_or_in_a_cycle_of_two(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(9, 9))
    weights = weights + weights.T - np.diag(2 * weights.diagonal())  # no field is 0
    found = HopfieldNetwork(weights).recall(rng.choice((-1.0, 1.0), 9), synchronous=True)
    assert found.cycle in {1, 2}
    state = found.state
    for _ in range(found.cycle):
        state = np.sign(weights @ state)
    assert np.array_equal(state, found.state)
    assert found.converged == np.array_equal(np.sign(weights @ state), state)


def test_a_limit_of_steps_ends_the_updates() -> None:
    network = HopfieldNetwork(hebb(random_patterns(1, 30)))
    cue = flipped(random_patterns(1, 30)[0], 0.3, np.random.default_rng(0))
    found = network.recall(cue, max_steps=4)
    assert (found.steps, found.converged, found.cycle) == (4, False, 0)


@pytest.mark.parametrize("beta", [0.1, 1.0, 1 / math.sqrt(12)])
def test_the_modern_update_is_attention_with_the_patterns_as_keys_and_values(beta: float) -> None:
    rng = np.random.default_rng(6)
    patterns, state = rng.normal(size=(5, 12)), rng.normal(size=12)
    keys = torch.from_numpy(patterns).unsqueeze(0)
    query = torch.from_numpy(state).view(1, 1, 12)
    expected = F.scaled_dot_product_attention(query, keys, keys, scale=beta)[0, 0]
    found = ModernHopfieldNetwork(patterns, beta).update(state)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-12)


@given(st.integers(1, 9), st.floats(0.01, 20), st.integers(0, 999))
def test_the_modern_energy_never_rises_and_is_the_formula(
    count: int, beta: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    patterns = rng.normal(size=(count, 6))
    network = ModernHopfieldNetwork(patterns, beta)
    found = network.recall(rng.normal(size=6))
    changes = np.diff(found.energies)
    assert bool((changes <= 1e-9).all())
    s = found.state
    lse = math.log(sum(math.exp(beta * float(x @ s)) for x in patterns)) / beta
    largest = max(float(x @ x) for x in patterns)
    expected = -lse + 0.5 * float(s @ s) + math.log(count) / beta + 0.5 * largest
    assert found.energy == pytest.approx(expected, abs=1e-9)
    assert min(found.energies) >= -1e-9
    assert np.allclose(network.update(s), s, atol=1e-6) or not found.converged


def test_beta_decides_between_a_pattern_and_a_mixture() -> None:
    patterns = random_patterns(4, 20, seed=7)
    sharp = ModernHopfieldNetwork(patterns, 1.0).recall(patterns[2])
    np.testing.assert_allclose(sharp.state, patterns[2], atol=1e-3)
    blurred = ModernHopfieldNetwork(patterns, 1e-3).recall(patterns[2])
    np.testing.assert_allclose(blurred.state, patterns.mean(0), atol=0.05)
    assert not ModernHopfieldNetwork(patterns, 0.01).recall(patterns[2], max_steps=1).converged


@given(st.floats(0, 1), st.integers(0, 99))
def test_noise_changes_exactly_its_share_of_the_known_units(share: float, seed: int) -> None:
    state = np.random.default_rng(seed).choice((-1.0, 0.0, 1.0), 40)
    noisy = flipped(state, share, np.random.default_rng(seed))
    assert int((noisy != state).sum()) == round(share * np.count_nonzero(state))
    assert np.array_equal(np.abs(noisy), np.abs(state))


def test_overlaps_are_shares_of_equal_signs() -> None:
    found = overlaps(np.array([[1.0, 1, 1, 1], [1, -1, 1, -1]]), np.array([3.0, -0.5, 0, -2]))
    assert found.tolist() == [-0.25, 0.75]


@pytest.mark.parametrize("rule", get_args(Rule))
def test_a_memory_recalls_texts(rule: Rule) -> None:
    memory = Hopfield(rule)
    memory.store(NAMES[:2]).store([NAMES[2], "", NAMES[0], NAMES[3]])
    assert memory.texts == NAMES
    for cue, text in (("Ada", NAMES[0]), ("Alan Turink", NAMES[1]), ("????? Hopper", NAMES[2])):
        found = memory.recall(cue)
        assert (found.text, found.kind, found.nearest) == (text, "stored", text)
        assert str(found) == text
        assert found.overlap == 1
        assert 0 < found.cue_overlap < 1
    noisy = memory.recall(memory.patterns[3], noise=0.2, seed=4)
    assert noisy.text == NAMES[3]
    assert noisy.cue_overlap == pytest.approx(0.6, abs=0.01)
    assert textgen.Hopfield is Hopfield


def test_kinds_of_states() -> None:
    memory = Hopfield().store(["ab"])
    assert memory.recall(-memory.patterns[0]).kind == "reverse"
    three = Hopfield("hebb").store(["abcdef", "ghijkl", "mnopqr"])
    mixture = np.sign(three.patterns.sum(0))
    assert three.recall(mixture).kind == "spurious"
    inverse = HopfieldNetwork(-hebb(memory.patterns))  # each update reverses the state
    memory._network = inverse
    found = memory.recall(memory.patterns[0], synchronous=True)
    assert (found.kind, found.recall.cycle) == ("cycle", 2)


def test_characters_stand_for_missing_ones_unless_they_are_stored() -> None:
    assert Hopfield().store(["ab"]).missing() == "_?"
    memory = Hopfield().store(["who?", "a_b"])
    assert memory.missing() == ""
    assert memory.recall("who?").text == "who?"
    assert np.count_nonzero(Hopfield().store(["abcd"]).cue("a_?")) == 32


def test_drawn_letters_are_recalled_from_noise() -> None:
    letters = list("ABCDEFGH")
    memory = Hopfield("pseudo-inverse", drawn=True).store(letters)
    for number, letter in enumerate(letters):
        found = memory.recall(memory.patterns[number], noise=0.1, index=number)
        assert (found.text, found.kind) == (letter, "stored")
    picture = memory.code.picture(memory.patterns[0])
    assert picture.shape == memory.code.shape
    assert 0.1 < float((picture > 0).mean()) < 0.6


def test_the_same_seed_gives_the_same_recall_and_each_index_noise_of_its_own() -> None:
    memory = Hopfield().store(NAMES)
    first, again = (memory.recall("Ada Lovelace", noise=0.3, seed=5) for _ in range(2))
    other = memory.recall("Ada Lovelace", noise=0.3, seed=5, index=1)
    assert np.array_equal(first.cue, again.cue)
    assert first.recall.energies == again.recall.energies
    assert not np.array_equal(first.cue, other.cue)


def test_wrong_requests_say_what_is_allowed() -> None:
    memory = Hopfield().store(["ab"])
    with pytest.raises(UsageError, match="longest stored text has 2"):
        memory.recall("abc")
    with pytest.raises(UsageError, match="Nothing is stored"):
        Hopfield().recall("a")
    with pytest.raises(UsageError, match=r"Did you mean 'hebb'\?"):
        Hopfield("heb")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="above 0"):
        Hopfield("modern", beta=math.nan)
    with pytest.raises(UsageError, match="above 0"):
        ModernHopfieldNetwork([[1.0]], beta=0)
    with pytest.raises(DataError, match="no pattern"):
        Hopfield().store([" "])
    with pytest.raises(UsageError, match="up to 256 characters"):
        Hopfield().store("a" * 257)
    with pytest.raises(DataError, match="no picture of '漢'"):
        Hopfield(drawn=True).store("漢")
    with pytest.raises(UsageError, match="from 0 to 1"):
        memory.recall("ab", noise=1.5)
    with pytest.raises(UsageError, match="−1 or 1"):
        hebb([[1, 2]])
    with pytest.raises(UsageError, match="a row for each pattern"):
        hebb([1, -1])
    with pytest.raises(UsageError, match="array of numbers"):
        hebb([["a"]])
    with pytest.raises(UsageError, match="zero diagonal"):
        HopfieldNetwork([[1, 0], [0, 0]])
    with pytest.raises(UsageError, match="square"):
        HopfieldNetwork([[0, 0]])
    with pytest.raises(UsageError, match="finite"):
        HopfieldNetwork([[0, math.inf], [math.inf, 0]])
    network = HopfieldNetwork([[0, 1], [1, 0]])
    with pytest.raises(UsageError, match=r"shape \(2,\)"):
        network.recall([1])
    with pytest.raises(UsageError, match="0 where it is unknown"):
        network.recall([0.5, 1])
    with pytest.raises(UsageError, match="finite"):
        ModernHopfieldNetwork([[1.0]]).recall([math.nan])
    with pytest.raises(UsageError, match="finite numbers"):
        ModernHopfieldNetwork([1.0])
