"""Exponents, their table, and the picture of growth."""

import dataclasses
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.speed.curves import Curve, exponent, exponent_table, faster_than_work
from benchmarks.speed.decoding import Steps, Watched
from benchmarks.speed.growth import GROWING, ORDERS, Sizes, decode, largest, training_job
from benchmarks.speed.growth_plot import plot_curves, spread
from benchmarks.speed.synthetic import save_translator, word_tokenizer
from benchmarks.speed.training import Run
from checks import some
from textgen.loading import load_model
from textgen.recipes import load_translator_recipe


def curve(power: float, work: float = 1.0) -> Curve:
    sizes = (1, 2, 4, 8)
    times = tuple(3.0 * size**power for size in sizes)
    return Curve("size", f"power {power}", sizes, times, tuple(size**work for size in sizes))


@given(
    st.floats(-3, 3),
    st.floats(0.01, 100),
    st.lists(st.integers(1, 10_000), min_size=2, max_size=8, unique=True),
)
def test_the_exponent_of_a_power_law_is_found(
    power: float, factor: float, sizes: list[int]
) -> None:
    values = [factor * size**power for size in sizes]
    assert exponent(sizes, values) == pytest.approx(power, abs=1e-6)


def test_the_exponent_is_the_slope_that_fits_best() -> None:
    sizes, values = [1.0, 2.0, 5.0, 9.0], [1.0, 3.0, 4.0, 20.0]
    x, y = torch.tensor(sizes).double().log(), torch.tensor(values).double().log()
    design = torch.stack([x, torch.ones_like(x)], dim=1)
    slope = torch.linalg.lstsq(design, y.unsqueeze(1)).solution[0, 0]
    assert exponent(sizes, values) == pytest.approx(float(slope))


@pytest.mark.parametrize(
    ("sizes", "values"),
    [([1], [1]), ([2, 2], [1, 3]), ([1, 2], [0, 1]), ([1, 2], [1, 2, 3]), ([-1, 2], [1, 2])],
)
def test_no_exponent_of_what_is_no_curve(sizes: list[float], values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"two different|power law"):
        exponent(sizes, values)


def test_the_table_shows_time_beside_work() -> None:
    line = exponent_table([curve(0.5)]).splitlines()[-1]
    assert line == "| size | 1 – 8 | power 0.5 | 0.50 | 1.00 | 0.50 | 1.00 | 1 |"


def test_only_what_outgrows_its_work_is_told() -> None:
    slow, fast = curve(0.9), curve(1.3)
    square = dataclasses.replace(curve(1.9, work=2.0), order=2)
    assert faster_than_work([slow, curve(1.05), fast, square]) == [fast]


def test_data_hold_the_exponents() -> None:
    data = curve(0.5).data()
    assert data["exponents"] == pytest.approx((0.5, 1.0))
    assert data["last"] == pytest.approx((0.5, 1.0))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.floats(0.01, 0.2))
def test_names_keep_their_order_and_their_distance(heights: list[float], gap: float) -> None:
    placed = spread(heights, gap)
    order = sorted(range(len(heights)), key=heights.__getitem__)
    for one, two in some(pairwise(order)):
        assert placed[two] - placed[one] >= gap - 1e-9
    if all(heights[two] - heights[one] > gap for one, two in pairwise(order)):
        assert placed == pytest.approx(heights)


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_picture_has_a_panel_for_each_size_and_is_the_same_again(
    tmp_path: Path, ending: str
) -> None:
    several = [curve(0.5), curve(0.8), Curve("lines", "reading", (1, 9), (1.0, 8.0), (1.0, 9.0))]
    paths = [tmp_path / f"{number}.{ending}" for number in range(2)]
    for path in paths:
        plot_curves(path, several)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert len(paths[0].read_bytes()) > 5000


def test_work_is_the_kind_that_grows_the_most_at_the_end() -> None:
    sizes = (1, 2, 4, 8)
    linear = [float(size) for size in sizes]
    late = [100.0 + size**2 for size in sizes[:2]] + [400.0, 1600.0]
    assert largest(sizes, list(zip(linear, late, strict=True))) == tuple(late)
    assert largest(sizes, list(zip(linear, [7.0] * 4, strict=True))) == tuple(linear)


def test_orders_are_of_what_grows() -> None:
    assert set(ORDERS) <= set(GROWING)


def test_what_grows_is_a_field_of_the_sizes() -> None:
    for name, values, base in GROWING.values():
        assert hasattr(base, name)
        assert list(values) == sorted(values)


def test_decoding_goes_on_for_as_many_tokens_as_are_asked_for(tmp_path: Path) -> None:
    recipe = load_translator_recipe("translator-small", ["model.hidden=8", "model.embedding=4"])
    save_translator(tmp_path, recipe, word_tokenizer(19))
    loaded = load_model(str(tmp_path), "cpu")
    for beam, tokens in ((1, 3), (4, 6)):
        steps = Steps()
        model = Watched(loaded.model, steps)
        decode(dataclasses.replace(loaded, model=model), ["w1", "w2"], beam, tokens)
        assert sum(steps.logits.values()) == tokens
        assert max(rows for rows, _ in steps.logits) == 2 * beam


def test_a_training_step_is_timed_and_its_shape_is_known() -> None:
    sizes = Sizes(batch=3, hidden=8, vocabulary=19, length=5, tokens=4)
    run = Run(training_job(sizes))
    try:
        run.step()
        run.step()
    finally:
        run.close()
    assert run.mean_shape() == (3, 6, 4, 12)
    assert all(0 <= wait <= step for wait, step in zip(run.waits, run.steps, strict=True))
    assert run.speed == pytest.approx(24 / sum(run.steps))
    assert run.products(run.mean_shape())
