"""What a function passes to a callback, as a generator."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_WAIT = 0.05
"""Seconds between two looks at whether the other side is still there."""


def streamed(run: Callable[[Callable[[T], None]], R]) -> Generator[T, None, R]:
    """Run a function in a thread of its own and yield the items that it passes to its callback.

    The function runs at most one item ahead. Closing the generator ends the function at its next
    item, and waits until then. An exception of the function is raised here, after the items before.

    Args:
        run: called with the callback.

    Returns:
        The items; the value of the generator (of ``yield from``) is what ``run`` returns.
    """
    job = _Job(run)
    job.thread.start()
    try:
        while (item := job.next()) is not None:
            yield item[0]
    finally:
        job.end()
    if job.error is not None:
        raise job.error
    return job.results[0]


class _UnwantedError(BaseException):
    """The generator was closed. A BaseException, so that plugins do not catch it by accident."""


class _Job(Generic[T, R]):
    """A function in its thread, and its items.

    The thread is no daemon: one that computes while the interpreter ends would abort the process.
    So it ends by itself where the main thread has ended.
    """

    def __init__(self, run: Callable[[Callable[[T], None]], R]) -> None:
        self.results: list[R] = []
        self.error: BaseException | None = None
        self._run = run
        self._items: queue.Queue[tuple[T] | None] = queue.Queue(1)
        self._unwanted = threading.Event()
        self.thread = threading.Thread(target=self._work)

    def next(self) -> tuple[T] | None:
        """The next item; None at the end."""
        while True:
            try:
                return self._items.get(timeout=_WAIT)
            except queue.Empty:
                if not self.thread.is_alive() and self._items.empty():
                    return None

    def end(self) -> None:
        """Let the thread end, and wait for it."""
        self._unwanted.set()
        self.thread.join()

    def _work(self) -> None:
        try:
            self.results.append(self._run(lambda item: self._put((item,))))
            self._put(None)
        except _UnwantedError:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised where the items are taken
            self.error = error
            with contextlib.suppress(_UnwantedError):
                self._put(None)

    def _put(self, item: tuple[T] | None) -> None:
        """Wait for room for an item.

        Raises:
            _UnwantedError: if nobody will take it.
        """
        while not self._unwanted.is_set() and threading.main_thread().is_alive():
            try:
                self._items.put(item, timeout=_WAIT)
            except queue.Full:
                continue
            return
        raise _UnwantedError
