"""Mutants: each is one change, compiles, and leaves annotations and other functions alone."""

from __future__ import annotations

import ast

import pytest

from benchmarks.mutation import interval, mutants_of

TEXT = '''
SIZE = 3


def pick(values: list[int], most: int = 2) -> int:
    """The first of 2 that is small."""
    for value in values:
        if not value < most and value != 7:
            return min(value + 1, -value)
    return 0
'''


def test_each_mutant_is_one_change_that_compiles() -> None:
    found = list(mutants_of(TEXT))
    changes = {change for _, change, _ in found}
    assert changes >= {
        "value < most → value <= most",
        "value != 7 → value == 7",
        "not value < most and value != 7 → not value < most or value != 7",
        "min → max",
        "value + 1 → value - 1",
        "-value → value",
        "7 → 8",
        "0 → 1",
        "return 0 → return None",
    }
    lines = TEXT.splitlines()
    for line, _, text in found:
        ast.parse(text)
        changed = [one for one, other in zip(lines, text.splitlines(), strict=True) if one != other]
        assert changed == [lines[line - 1]]


def test_the_interval_is_wilson_s() -> None:
    assert interval(40, 45) == pytest.approx((0.765, 0.952), abs=1e-3)
    low, high = interval(45, 45)
    assert 0.9 < low < 1
    assert high == pytest.approx(1)
