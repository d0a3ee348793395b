"""Worker processes: each makes itself ready, then answers items that come through a pipe."""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, TypeVar, cast

from textgen.errors import TextgenError, UsageError
from textgen.workers.ordered import WorkerPool

T = TypeVar("T")
R = TypeVar("R")

FAREWELL = 5.0
"""Seconds for a worker to leave by itself when there is no more work."""


@contextlib.contextmanager
def processes(setup: Callable[[], Callable[[T], R]], count: int) -> Iterator[WorkerPool[T, R]]:
    """Worker processes for ``ordered``; they end with the block.

    Each is a fresh interpreter ("spawn"). Ctrl-C is for the parent alone, which ends them; they
    also end when the parent is gone.

    Args:
        setup: called once in each process, where it makes ready what answers an item. What it
            raises is the answer to every item. It, the items and the answers are pickled.
        count: processes, at least 1.

    Raises:
        TextgenError: where the results are taken, if a process dies.
    """
    workers: list[_Worker[T, R]] = []
    try:
        with _interrupts_blocked():
            for _ in range(count):
                workers.append(_Worker(setup))  # noqa: PERF401 - those before a failure must end
        yield WorkerPool(workers, cancel=lambda: _end(workers))
        for worker in workers:
            worker.connection.close()
        for worker in workers:
            worker.process.join(FAREWELL)
    finally:
        _end(workers)


class _Worker(Generic[T, R]):
    """A process, seen from its parent."""

    def __init__(self, setup: Callable[[], Callable[[T], R]]) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=_serve, args=[other, setup], name="textgen worker", daemon=True
        )
        try:
            self.process.start()
        finally:
            other.close()  # so that its end is seen here

    def __call__(self, item: T) -> R:
        """The process's answer to an item.

        Raises:
            TextgenError: if the process died. What the work raised is raised as it is, or with the
                same text where it cannot be pickled.
        """
        try:
            self.connection.send(item)
            found, error = self.connection.recv()
        except (EOFError, OSError):
            raise self._died() from None
        if error is not None:
            raise cast("BaseException", error)
        return cast("R", found)

    def _died(self) -> TextgenError:
        self.process.join(FAREWELL)
        code = self.process.exitcode
        how = f"exit code {code}"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                how = signal.Signals(-code).name
        return TextgenError(
            f"A worker process died ({how}). Where memory is short, fewer --processes help: each "
            "has a model of its own."
        )


def _end(workers: list[_Worker[T, R]]) -> None:
    """End the processes, whatever they do."""
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join()


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Let processes be started that Ctrl-C does not reach; it reaches this one afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # would let Ctrl-C in again when it is started later
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, setup: Callable[[], Callable[[Any], Any]]) -> None:
    """A worker's life, in its process."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    work = _ready(setup)
    with contextlib.suppress(EOFError, OSError):  # the parent has gone or has no more work
        while True:
            item = connection.recv()
            answer: tuple[Any, Exception | None]
            try:
                answer = (work(item), None)
            except Exception as error:  # noqa: BLE001 - raised in the parent
                answer = (None, _portable(error))
            connection.send(answer)


def _ready(setup: Callable[[], Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """What answers an item: the work, or why there is none."""
    try:
        return setup()
    except Exception as error:  # noqa: BLE001 - raised in the parent
        failure = error

    def fail(_: Any) -> Any:
        raise failure

    return fail


def _portable(error: Exception) -> Exception:
    """An error that can be pickled; an unforeseen one with a note where it was raised."""
    try:
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
        whole = type(again) is type(error) and str(again) == str(error)
    except Exception:  # noqa: BLE001 - whatever its constructor does
        whole = False
    if not whole:
        kind = UsageError if isinstance(error, UsageError) else TextgenError
        told = str(error) if isinstance(error, TextgenError) else repr(error)
        return kind(told)
    if not isinstance(error, TextgenError):
        error.add_note("".join(traceback.format_exception(error)))
    return error
