"""The results of several threads: in order, few ahead, errors where they belong."""

import itertools
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.workers import WorkerPool, ordered
from textgen.workers.ordered import AHEAD


def running() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name in {"worker", "reader"}]


@given(st.lists(st.integers(0, 3), max_size=30), st.integers(1, 5))
def test_results_come_in_the_order_of_the_items(waits: list[int], workers: int) -> None:
    def work(item: tuple[int, int]) -> int:
        time.sleep(item[1] / 5000)
        return item[0]

    assert list(ordered(WorkerPool([work] * workers), enumerate(waits))) == list(range(len(waits)))
    assert running() == []


def test_all_workers_work_at_once() -> None:
    everybody = threading.Barrier(3)

    def work(item: int) -> int:
        everybody.wait(30)  # passes only if three are here at the same time
        return item

    assert list(ordered(WorkerPool([work] * 3), range(6))) == list(range(6))


def test_each_work_has_a_thread_that_was_begun() -> None:
    begun: set[int] = set()
    pool: WorkerPool[int, bool] = WorkerPool(
        [lambda _: threading.get_ident() in begun] * 3,
        begin=lambda: begun.add(threading.get_ident()),
    )
    assert all(ordered(pool, range(20)))
    assert threading.get_ident() not in begun


def test_few_items_are_read_ahead() -> None:
    asked = 0

    def endless() -> Iterator[int]:
        nonlocal asked
        while True:
            asked += 1
            yield asked

    results = ordered(WorkerPool([int, int]), endless())
    for taken in range(1, 50):
        assert next(results) == taken
        assert asked <= taken + 2 * AHEAD
    results.close()
    assert running() == []


def test_a_result_does_not_wait_for_the_next_item() -> None:
    told = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        assert told.wait(30)
        yield 2

    results = ordered(WorkerPool([int, int]), items())
    assert next(results) == 1
    told.set()
    assert list(results) == [2]


def test_an_error_is_raised_in_its_place() -> None:
    def work(item: int) -> int:
        if item == 3:
            raise ValueError(item)
        time.sleep(0.01 * (item < 3))  # those before it are finished after it
        return item

    results = ordered(WorkerPool([work] * 4), itertools.count())
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="3"):
        next(results)
    assert running() == []


def test_an_error_of_the_items_is_raised_after_the_results_before_it() -> None:
    def items() -> Iterator[int]:
        yield from (1, 2)
        raise LookupError

    results = ordered(WorkerPool([int] * 2), items())
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(LookupError):
        next(results)


def test_an_error_at_the_beginning_of_a_thread_is_told() -> None:
    def begin() -> None:
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - it has no text
        list(ordered(WorkerPool([int], begin), [1]))


def test_work_that_is_not_wanted_any_more_is_cancelled() -> None:
    unwanted = threading.Event()

    def work(item: int) -> int:
        if item:
            assert unwanted.wait(30)
        return item

    results = ordered(WorkerPool([work] * 2, cancel=unwanted.set), itertools.count())
    assert next(results) == 0
    results.close()
    assert unwanted.is_set()
    assert running() == []


def test_a_complete_job_is_not_cancelled() -> None:
    cancelled = threading.Event()
    assert list(ordered(WorkerPool([int], cancel=cancelled.set), [1, 2])) == [1, 2]
    assert not cancelled.is_set()


def test_who_waits_for_input_does_not_hold_up_the_end() -> None:
    never = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        never.wait(30)

    results = ordered(WorkerPool([int]), items())
    assert next(results) == 1
    results.close()
    assert running() == ["reader"]
    never.set()
