"""Worker processes: what they answer, what they raise, and that they always end."""

import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from functools import partial

import pytest

from textgen.errors import ConfigError, TextgenError, UsageError
from textgen.workers import ordered, processes


def adding(amount: int) -> Callable[[int], tuple[int, int]]:
    return lambda item: (item + amount, os.getpid())


def failing(error: Exception) -> Callable[[int], int]:
    raise error


class OddError(TextgenError):
    """One that pickle cannot make again."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def obeying() -> Callable[[str], str]:
    def obey(order: str) -> str:
        if order == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if order == "leave":
            os._exit(7)
        if order == "sleep":
            time.sleep(60)
        if order == "problems":
            raise ConfigError(["a.b: wrong", "c: missing"])
        if order == "odd":
            raise OddError(1, 2)
        if order == "bug":
            return {"bug": ""}[order[1:]]
        if order == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
        return order

    return obey


def test_answers_come_in_order_from_several_processes() -> None:
    with processes(partial(adding, 10), 2) as pool:
        found = list(ordered(pool, range(40)))
        again = list(ordered(pool, range(3)))
    assert [each for each, _ in found] == list(range(10, 50))
    assert [each for each, _ in again] == [10, 11, 12]
    assert len({process for _, process in found} - {os.getpid()}) == 2
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("order", "kind", "message"),
    [
        ("die", TextgenError, r"died \(SIGKILL\).*fewer --processes"),
        ("leave", TextgenError, r"died \(exit code 7\)"),
        ("problems", UsageError, "a.b: wrong\nc: missing"),  # pickle cannot make a ConfigError
        ("odd", TextgenError, "1 and 2"),
        ("bug", KeyError, "ug"),
    ],
)
def test_errors_are_raised_here(order: str, kind: type[Exception], message: str) -> None:
    with processes(obeying, 1) as pool:
        results = ordered(pool, ["good", order, "good"])
        assert next(results) == "good"
        with pytest.raises(kind, match=message) as caught:
            next(results)
    assert type(caught.value) is kind
    assert ("in obey" in "".join(getattr(caught.value, "__notes__", []))) == (order == "bug")
    assert multiprocessing.active_children() == []


def test_what_cannot_be_set_up_is_told_at_the_first_item() -> None:
    with (
        processes(partial(failing, UsageError("no such model")), 1) as pool,
        pytest.raises(UsageError, match="no such model"),
    ):
        next(ordered(pool, itertools.count()))


def test_an_early_end_does_not_wait_for_the_work() -> None:
    began = time.monotonic()
    with processes(obeying, 2) as pool:
        results = ordered(pool, itertools.chain(["good"], itertools.repeat("sleep")))
        assert next(results) == "good"
        results.close()
    assert time.monotonic() - began < 50  # it sleeps for 60 seconds
    assert multiprocessing.active_children() == []


def test_interrupts_are_for_the_parent() -> None:
    with processes(obeying, 1) as pool:
        assert list(ordered(pool, ["interrupt", "good"])) == ["interrupt", "good"]
