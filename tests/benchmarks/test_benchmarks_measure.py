"""Timing, ceilings, tables and JSON of the benchmarks."""

import itertools
import json
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.measure import (
    Product,
    Row,
    as_data,
    bare_products,
    fast_products,
    figure,
    interleaved,
    kernels,
    machine,
    operations,
    product_seconds,
    run,
    table,
    write_json,
)
from textgen.native import MAX_KERNEL_ROWS


def test_a_ratio_is_the_share_of_what_the_machine_allows() -> None:
    assert Row("a", 50.0, "tokens/s", 200.0).ratio == 0.25
    assert Row("b", 4.0, "s", 1.0, less_is_better=True).ratio == 0.25
    assert Row("c", 50.0, "tokens/s").ratio is None


def test_operations_are_a_multiplication_and_an_addition_for_each_triple() -> None:
    product = Product(3, 4, 5, times=2)
    triples = list(itertools.product(range(3), range(4), range(5)))
    assert product.operations == 2 * 2 * len(triples)
    assert operations([product, Product(1, 1, 1)]) == product.operations + 2
    assert product._replace(batch=3).operations == 3 * product.operations


def test_works_are_called_in_turn_and_equally_often() -> None:
    called: list[str] = []
    works = {name: lambda name=name: called.append(name) for name in "ab"}
    found = interleaved(works, warmup=2, rounds=3, least=0.0)
    assert called == ["a"] * 3 + ["b"] * 3 + ["a", "b"] * 3
    assert set(found) == {"a", "b"}
    assert all(value >= 0 for value in found.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8])
def test_bare_products_run_and_leave_the_setting_of_products_alone(dtype: torch.dtype) -> None:
    before = torch.get_float32_matmul_precision()
    bare_products([Product(2, 8, 4, times=3), Product(1, 4, 4), Product(2, 8, 4, batch=3)], dtype)()
    assert product_seconds(Product(2, 8, 4), dtype, rounds=1) > 0
    assert torch.get_float32_matmul_precision() == before


def test_the_setting_of_products_comes_back_after_an_error() -> None:
    before = torch.get_float32_matmul_precision()
    with pytest.raises(ZeroDivisionError), fast_products():
        raise ZeroDivisionError
    assert torch.get_float32_matmul_precision() == before


def test_a_command_tells_its_output_time_and_memory() -> None:
    code = "import sys; block = b'x' * 50_000_000; print(sys.stdin.read()); sys.stderr.write('!')"
    ended = run([sys.executable, "-c", code], stdin="word")
    assert ended.output == "word\n"
    assert ended.seconds > 0
    assert 50_000_000 < ended.peak < 500_000_000


def test_a_command_that_fails_says_its_last_words() -> None:
    with pytest.raises(RuntimeError, match=r"failed:\n(.|\n)*the end"):
        run([sys.executable, "-c", "raise SystemExit('the end')"])


def test_the_table_shows_shares_and_dashes() -> None:
    rows = [Row("fast", 1234.5, "tokens/s", 2469.0, "products"), Row("alone", 0.12345, "s")]
    lines = table(rows).splitlines()
    assert lines[2] == "| fast | 1,234 tokens/s | 2,469 | 50% | products |"
    assert lines[3] == "| alone | 0.123 s | – | – |  |"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12345.6, "12,346"),
        (99.96, "100"),
        (999.9, "1,000"),
        (999.4, "999"),
        (0.00123, "0.00123"),
        (None, "–"),
    ],
)
def test_figures_have_three_digits(value: float | None, text: str) -> None:
    assert figure(value) == text


def test_json_holds_rows_ratios_and_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    write_json(path, {"rows": as_data([Row("a", 1.0, "s", 0.5, "bare", less_is_better=True)])})
    data = json.loads(path.read_text())
    assert data["rows"][0]["ratio"] == 0.5
    assert data["machine"]["torch"] == machine().torch
    assert machine().torch in machine().line()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8])
def test_what_was_compiled_is_a_way_to_multiply(dtype: torch.dtype, either: str) -> None:
    for rows in (MAX_KERNEL_ROWS, MAX_KERNEL_ROWS + 1):
        assert ("native" in kernels(Product(rows, 32, 8), dtype)) == (either == "native")
    for way in kernels(Product(3, 32, 8), dtype).values():
        assert way().shape == (3, 8)  # type: ignore[attr-defined]
