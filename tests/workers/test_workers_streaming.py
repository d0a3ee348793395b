"""A function's callback turned into a generator: order, result, errors, and leaving early."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Generator

import pytest

from textgen.workers.streaming import streamed


def counting_to(number: int, seen: list[int]) -> Callable[[Callable[[int], None]], str]:
    def run(tell: Callable[[int], None]) -> str:
        for each in range(number):
            seen.append(each)
            tell(each)
        return "done"

    return run


def test_items_come_in_order_and_the_result_at_the_end() -> None:
    results = []

    def whole() -> Generator[int, None, None]:
        results.append((yield from streamed(counting_to(5, []))))

    assert list(whole()) == [0, 1, 2, 3, 4]
    assert results == ["done"]


def test_nothing_runs_before_the_first_item_is_asked_for() -> None:
    seen: list[int] = []
    streamed(counting_to(5, seen)).close()
    assert seen == []


def test_the_function_runs_hardly_ahead_and_ends_when_the_generator_is_closed() -> None:
    before, seen = threading.active_count(), list[int]()
    items = streamed(counting_to(1000, seen))
    assert [next(items), next(items)] == [0, 1]
    items.close()
    assert len(seen) <= 5
    assert threading.active_count() == before


def test_an_error_comes_after_the_items_before_it() -> None:
    def run(tell: Callable[[int], None]) -> None:
        tell(1)
        raise ValueError("broken")

    items = streamed(run)
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)
    assert list(items) == []


def test_an_except_clause_of_the_function_does_not_keep_it_running() -> None:
    ended = threading.Event()

    def run(tell: Callable[[int], None]) -> None:
        try:
            while True:
                with contextlib.suppress(Exception):  # as careless plugins do
                    tell(1)
        finally:
            ended.set()

    items = streamed(run)
    next(items)
    items.close()
    assert ended.is_set()


LEFT = """
    import sys
    from textgen.workers.streaming import streamed

    def run(tell):
        while True:
            tell(1)

    items = streamed(run)
    sys.stdout.write(str(next(items)))
"""


def test_a_generator_that_is_left_open_does_not_hold_up_the_exit() -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LEFT)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("1", "", 0)
