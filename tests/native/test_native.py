"""What was compiled against float64, for every kind that this processor runs."""

from __future__ import annotations

import ctypes
import itertools
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import textgen.native.library
import textgen.native.prepacked
from checks import some
from textgen.models.products import eight_bits
from textgen.native import (
    KINDS,
    MAX_KERNEL_ROWS,
    Attended,
    Kernels,
    Prepacked,
    kernels,
    load,
    without,
)

FOLDER = Path(textgen.native.__file__).parent
FOUND = {
    kind: found
    for kind in KINDS
    if (path := FOLDER / f"kernels-{kind}.so").is_file() and (found := load(path, kind))
}
TYPES = ["float32", "bfloat16", "int8"]
pytestmark = pytest.mark.skipif(
    not FOUND or kernels() is None, reason="textgen.native was not compiled, or is left out"
)


@pytest.fixture(params=list(FOUND))
def compiled(request: pytest.FixtureRequest) -> Kernels:
    return FOUND[request.param]


@pytest.fixture
def two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def prepacked(
    compiled: Kernels, weight: Tensor, bias: Tensor | None, kind: str, *, gates: bool = False
) -> tuple[Prepacked, Tensor]:
    """Weights prepacked, and their values (O, I) in float64."""
    if kind == "int8":
        levels, scale = eight_bits(weight)
        values = levels.double() * scale.double().unsqueeze(1)
        return Prepacked(compiled, levels, bias, scale, gates=gates), values
    weight = weight.to(getattr(torch, kind))
    return Prepacked(compiled, weight, bias, gates=gates), weight.double()


def numbers(rows: int, size: int, kind: str) -> Tensor:
    return torch.randn(rows, size).to(torch.float32 if kind == "float32" else torch.bfloat16)


def close(found: Tensor, exact: Tensor, kind: str) -> None:
    # 8-bit weights meet rows of 16 bits: 2^-16 of the row's largest for each product
    within = 3e-4 if kind == "int8" else 2e-6
    scale = float(exact.abs().amax())
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=within * max(scale, 1.0))


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (64, 64), (130, 65), (200, 128)])
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 6, 7, MAX_KERNEL_ROWS, MAX_KERNEL_ROWS + 3])
def test_products(compiled: Kernels, rows: int, size: tuple[int, int], kind: str) -> None:
    torch.manual_seed(rows)
    bias = torch.randn(size[0])
    weights, values = prepacked(compiled, torch.randn(size), bias, kind)
    given, addend = numbers(rows, size[1], kind), numbers(rows, size[0], kind)
    exact = given.double() @ values.t() + bias.double()
    found = weights.product(given)
    assert found.dtype == torch.float32
    close(found, exact, kind)
    close(weights.product(given, addend), exact + addend.double(), kind)


def test_rows_of_float32_are_rounded_to_the_weights_type(compiled: Kernels) -> None:
    torch.manual_seed(1)
    weight, rows = torch.randn(20, 30), torch.randn(3, 30)
    weights, values = prepacked(compiled, weight, None, "bfloat16")
    found = weights.product(rows)
    if compiled.kind in {"amx", "avx512-bf16"}:
        rows = rows.bfloat16()
    close(found, rows.double() @ values.t(), "bfloat16")


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("size", [1, 16, 37])
@pytest.mark.parametrize("rows", [1, 5, MAX_KERNEL_ROWS])
@pytest.mark.parametrize("above", [False, True], ids=["first layer", "above it"])
def test_lstm(compiled: Kernels, rows: int, size: int, kind: str, above: bool) -> None:
    torch.manual_seed(2)
    inside = 2 * size + 3 if above else size
    bias = torch.randn(4 * size) if above else None
    weights, values = prepacked(compiled, torch.randn(4 * size, inside), bias, kind, gates=True)
    hidden, memory = numbers(rows, size, kind), torch.randn(rows, size)
    if above:
        inputs = numbers(rows, size + 3, kind)
        found = weights.lstm((hidden, memory), inputs=inputs)
        gates = torch.cat([inputs, hidden], 1).double() @ values.t() + bias.double()  # type: ignore[union-attr]
    else:
        table, tokens = numbers(9, 4 * size, kind), torch.randint(9, (rows,))
        found = weights.lstm((hidden, memory), addend=table, tokens=tokens)
        chosen = weights.lstm((hidden, memory), addend=table[tokens])
        assert all(map(torch.equal, found, chosen))
        short = weights.lstm((hidden, memory), addend=table, tokens=tokens.int())
        assert all(map(torch.equal, found, short))
        gates = hidden.double() @ values.t() + table[tokens].double()
    i, f, o, candidate = gates.chunk(4, 1)
    expected = f.sigmoid() * memory.double() + i.sigmoid() * candidate.tanh()
    assert found[0].dtype == hidden.dtype
    close(found[1], expected, kind)
    output = o.sigmoid() * expected.tanh()
    within = 2e-6 if kind == "float32" else 5e-3  # h is rounded to bfloat16
    torch.testing.assert_close(found[0].double(), output, rtol=0, atol=within)


def test_an_lstm_of_extreme_gates(compiled: Kernels) -> None:
    """Saturated gates are 0 and 1, and what is not a number stays none."""
    weights = Prepacked(compiled, torch.zeros(4, 1), None, gates=True)
    gates = torch.tensor(
        [
            [100.0, -100.0, 100.0, 100.0],
            [-1e30, 1e30, -1e30, 1e30],
            [math.inf, -math.inf, 0.0, 0.0],
            [math.nan, 0.0, 0.0, 1.0],
        ]
    )
    hidden, memory = weights.lstm((torch.zeros(4, 1), torch.ones(4, 1)), addend=gates)
    assert memory[:3, 0].tolist() == pytest.approx([1.0, 1.0, 0.0], abs=1e-37)
    assert hidden[0, 0] == pytest.approx(math.tanh(1))
    assert hidden[1:3, 0].tolist() == pytest.approx([0.0, 0.0], abs=1e-37)
    assert memory[3].isnan()
    assert hidden[3].isnan()


def test_small_numbers_keep_their_digits(compiled: Kernels) -> None:
    """tanh x ≈ x near 0: the difference of two numbers near 1 would lose it."""
    weights = Prepacked(compiled, torch.zeros(4, 1), None, gates=True)
    candidates = torch.logspace(-20, 1, 200)
    gates = torch.zeros(200, 4)
    gates[:, 0], gates[:, 3] = 100.0, candidates
    _, memory = weights.lstm((torch.zeros(200, 1), torch.zeros(200, 1)), addend=gates)
    torch.testing.assert_close(
        memory[:, 0].double(), candidates.double().tanh(), rtol=5e-7, atol=0.0
    )


@pytest.mark.parametrize("additive", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (5, 16), (33, 70)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention(
    compiled: Kernels, size: tuple[int, int], additive: bool, dtype: torch.dtype
) -> None:
    torch.manual_seed(3)
    (positions, depth), hidden = size, 20
    keys, values = torch.randn(2, positions, depth), torch.randn(2, positions, hidden)
    mask = torch.zeros(2, 1, positions)
    mask[1, :, (positions + 1) // 2 :] = -math.inf
    keys[1, (positions + 1) // 2 :] = math.nan  # padding may be anything
    values[1, (positions + 1) // 2 :] = math.nan
    query, given = torch.randn(6, depth).to(dtype), torch.randn(6, hidden)
    vector = torch.randn(depth) if additive else None
    attended = Attended(keys, values, mask, vector, 0.7)
    vectors, weights = compiled.attend(query, given, attended, dtype)
    for row in range(6):
        own, real = row // 3, (positions + 1) // 2 if row >= 3 else positions
        seen = keys[own, :real].double()
        if vector is None:
            scores = 0.7 * seen @ query[row].double()
        else:
            scores = torch.tanh(seen + query[row].double()) @ vector.double()
        shares = scores.softmax(0)
        context = shares @ values[own, :real].double()
        expected = torch.tanh(context + given[row].double())
        torch.testing.assert_close(weights[row, :real].double(), shares, rtol=0, atol=2e-6)
        assert not weights[row, real:].any()
        within = 3e-6 if dtype == torch.float32 else 5e-3
        torch.testing.assert_close(vectors[row].double(), expected, rtol=0, atol=within)


LEVELS = st.sampled_from([-math.inf, -3.5, -1.0, -0.5, 0.0])


@given(st.data())
def test_best_moves_are_those_of_sorting(data: st.DataObject) -> None:
    """Few different numbers, so that many are equal: the first of them comes first."""
    sources, width = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    size = data.draw(st.integers(1, 150))
    count = data.draw(st.integers(1, min(12, width * size)))
    cells = data.draw(
        st.lists(LEVELS, min_size=sources * width * size, max_size=sources * width * size)
    )
    log_probs = torch.tensor(cells).view(sources, width, size)
    scores = torch.tensor(data.draw(st.lists(LEVELS, min_size=width, max_size=width)))
    sums = log_probs + scores.view(1, width, 1)
    for compiled in FOUND.values():
        best, parents, tokens = compiled.best(log_probs, scores.expand(sources, -1), count)
        for source in some(range(sources)):
            flat = sums[source].flatten().tolist()
            places = sorted(range(len(flat)), key=lambda place: -flat[place])[:count]
            assert (parents[source] * size + tokens[source]).tolist() == places
            assert best[source].tolist() == [flat[place] for place in places]


def test_what_is_not_a_number_is_seen(compiled: Kernels) -> None:
    log_probs = torch.zeros(1, 2, 300)
    log_probs[0, 1, 77] = log_probs[0, 0, 5] = math.nan
    best, parents, tokens = compiled.best(log_probs, torch.zeros(1, 2), 3)
    assert best.isnan().tolist() == [[True, True, False]]
    assert list(zip(parents[0].tolist(), tokens[0].tolist(), strict=True)) == [
        (0, 5),
        (1, 77),
        (0, 0),
    ]
    best, _, tokens = compiled.best(torch.full((1, 1, 200), math.nan), torch.zeros(1, 1), 2)
    assert best.isnan().all()
    assert tokens.tolist() == [[0, 1]]


@pytest.mark.parametrize("size", [1, 40, 700])
def test_draws_are_those_of_the_cumulated_mass(compiled: Kernels, size: int) -> None:
    torch.manual_seed(6)
    log_probs = torch.randn(3, 4, size)
    log_probs[log_probs < -1] = -math.inf
    log_probs[..., size // 2] = 0.0
    uniform = torch.rand(3, 4, dtype=torch.float64)
    mass = torch.softmax(log_probs, -1, dtype=torch.float64).cumsum(-1)
    aims = (uniform.unsqueeze(2) * mass[..., -1:]).expand_as(mass)
    assert torch.equal(compiled.draw(log_probs, uniform), (mass <= aims).sum(-1))
    log_probs[1] = -math.inf  # no token can be drawn: one past the last
    assert (compiled.draw(log_probs, uniform)[1] == size).all()


@pytest.mark.parametrize("turned", [False, True], ids=["own parents", "other parents"])
def test_a_step_is_recorded(compiled: Kernels, turned: bool) -> None:
    torch.manual_seed(7)
    values = torch.randn(2, 3, 9).log_softmax(-1)
    allowed = values.clone()
    allowed[0, 1, 5] = -math.inf  # forbidden: a dead row
    scores = torch.tensor([[-1.0, -2.0, -3.0], [-4.0, -5.0, -math.inf]])
    said, paid = torch.randint(9, (2 * 3, 8)), torch.randn(2 * 3, 8)
    tokens = torch.tensor([[1, 5, 3], [4, 2, 2]])
    parents = torch.tensor([[2, 1, 1], [0, 1, 2]])
    before = said.clone()
    given = (parents if turned else None, tokens)
    found = compiled.record((values, allowed), given, scores, (said, paid), steps=4, eos=3)
    for source, row in itertools.product(range(2), range(3)):
        parent = int(parents[source, row]) if turned else row
        token = int(tokens[source, row])
        price = values[source, parent, token]
        if allowed[source, parent, token] == -math.inf:
            price = torch.tensor(-math.inf)
        place, come = 3 * source + row, 3 * source + parent
        assert found.tokens[place, :5].tolist() == [*before[come, :4].tolist(), token]
        assert found.log_probs[place, 4] == price
        assert found.scores[source, row] == scores[source, parent] + price
        dead = turned and found.scores[source, row] == -math.inf
        assert bool(found.finished[source, row]) == (token == 3 or dead)
    for wrong in (9, -1):
        bad = (given[0], torch.full_like(tokens, wrong))
        with pytest.raises(IndexError, match="pick"):
            compiled.record((values, allowed), bad, scores, (said, paid), steps=4, eos=3)
    with pytest.raises(IndexError, match="pick"):
        compiled.record(
            (values, allowed), (parents + 1, tokens), scores, (said, paid), steps=4, eos=3
        )
    for steps, places in ((8, said), (4, said[:, :4]), (4, said[:4])):
        with pytest.raises(ValueError, match=r"sizes|places"):
            compiled.record((values, allowed), given, scores, (places, paid), steps=steps, eos=3)


def test_moves_that_end_stand_apart(compiled: Kernels) -> None:
    log_probs = torch.tensor([[[-1.0, -9.0, -2.0, -3.0, -math.inf]]])
    for eos, expected in ((4, [0, 2, 9, 9]), (0, [2, 3, 9, 0]), (3, [0, 2, 9, 9])):
        _, tokens, some = compiled.continuations(
            log_probs, torch.zeros(1, 1), 4, width=2, eos=eos, bos=9
        )
        assert some == (eos != 4)
        assert tokens.tolist() == [expected]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.usefixtures("two_threads")
def test_threads_change_nothing(compiled: Kernels, kind: str) -> None:
    torch.manual_seed(4)
    weights, _ = prepacked(compiled, torch.randn(600, 700), torch.randn(600), kind)
    gates, _ = prepacked(compiled, torch.randn(800, 700), None, kind, gates=True)
    rows, layer = numbers(5, 700, kind), (numbers(5, 200, kind), torch.randn(5, 200))
    log_probs, scores = torch.randn(4, 5, 9000), torch.randn(4, 5)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        inputs = rows[:, :500].contiguous()
        found.append(
            [
                weights.product(rows),
                *gates.lstm(layer, inputs=inputs),
                *compiled.best(log_probs, scores, 10),
            ]
        )
    assert all(map(torch.equal, *found))


def test_sizes_that_do_not_fit_are_refused(compiled: Kernels) -> None:
    weights = Prepacked(compiled, torch.randn(8, 4), None)
    gates = Prepacked(compiled, torch.randn(8, 2), None, gates=True)
    layer, table = (torch.zeros(3, 2), torch.zeros(3, 2)), torch.zeros(5, 8)
    memory = Attended(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4), torch.zeros(2, 1, 3), None, 1.0)
    with pytest.raises(ValueError, match="sizes"):
        weights.product(torch.randn(2, 5))
    with pytest.raises(ValueError, match="sizes"):
        weights.product(torch.randn(2, 4), torch.randn(2, 7))
    with pytest.raises(ValueError, match="sizes"):
        gates.lstm(layer, addend=table)
    with pytest.raises(ValueError, match="sizes"):
        gates.lstm((torch.zeros(3, 2), torch.zeros(2, 2)), addend=table[:3])
    for rows, width in ((5, 4), (4, 3)):
        with pytest.raises(ValueError, match="sizes"):
            compiled.attend(torch.zeros(rows, width), torch.zeros(rows, 4), memory, torch.float32)
    wrong = memory._replace(additive=torch.zeros(3))
    with pytest.raises(ValueError, match="sizes"):
        compiled.attend(torch.zeros(4, 4), torch.zeros(4, 4), wrong, torch.float32)
    with pytest.raises(ValueError, match="sizes"):
        compiled.best(torch.zeros(1, 2, 9), torch.zeros(1, 3), 2)
    for token in (-1, 5):
        with pytest.raises(IndexError, match="vocabulary"):
            gates.lstm(layer, addend=table, tokens=torch.tensor([0, token, 1]))


def test_parts_of_larger_tensors_are_taken_as_they_are_seen(compiled: Kernels) -> None:
    torch.manual_seed(5)
    weight, wide = torch.randn(8, 4), torch.randn(3, 9)
    found = Prepacked(compiled, weight, None).product(wide[:, 2:6])
    torch.testing.assert_close(found, wide[:, 2:6] @ weight.t())
    keys, values, mask = torch.randn(3, 2, 4), torch.randn(4, 2, 3), torch.zeros(3, 1, 2)
    query, given = torch.randn(2, 4), torch.randn(2, 4)
    turned = keys.transpose(0, 1), values.permute(1, 2, 0), mask.permute(2, 1, 0)
    whole = tuple(part.contiguous() for part in turned)
    results = [
        compiled.attend(query, given, Attended(*parts, None, 1.0), torch.float32)
        for parts in (turned, whole)
    ]
    assert all(map(torch.equal, *results))


def test_the_variable_turns_it_off() -> None:
    program = "from textgen.native import kernels; raise SystemExit(kernels() is not None)"
    for value, code in (("0", 0), ("1", 1), (next(reversed(FOUND)), 1)):
        environment = {"TEXTGEN_NATIVE": value, "PATH": ""}
        done = subprocess.run([sys.executable, "-c", program], check=False, env=environment)
        assert done.returncode == code


def test_the_variable_names_the_fastest_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in FOUND:
        monkeypatch.setenv("TEXTGEN_NATIVE", kind)
        found = textgen.native.library._found.__wrapped__()
        assert found is not None
        assert found.kind == kind


def test_it_can_be_left_out_for_a_while() -> None:
    with without():
        assert kernels() is None
    assert kernels() is not None


def test_a_file_of_another_version_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = next(iter(FOUND))
    sizes = textgen.native.library._SIZES
    assert sizes[0] == ctypes.sizeof(textgen.native.prepacked._Layout)
    monkeypatch.setattr(textgen.native.library, "_SIZES", (*sizes[:-1], sizes[-1] + 8))
    assert load(FOLDER / f"kernels-{kind}.so", kind) is None


def test_a_file_that_is_no_library_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kernels-amx.so").write_bytes(b"no library")
    assert load(tmp_path / "kernels-amx.so", "amx") is None


def test_the_fastest_kind_is_taken() -> None:
    found = kernels()
    assert found is not None
    assert found.kind == next(iter(FOUND))
    assert list(FOUND) == [kind for kind in KINDS if kind in FOUND]
    assert all(a.group >= b.group for a, b in itertools.pairwise(FOUND.values()))
