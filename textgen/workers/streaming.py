"""What a function passes to a callback, as a generator."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


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
        while (item := job.items.get()) is not None:
            yield item[0]
    finally:
        job.end()
    if job.error is not None:
        raise job.error
    return job.results[0]


class _UnwantedError(BaseException):
    """The generator was closed. A BaseException, so that plugins do not catch it by accident."""


class _Job(Generic[T, R]):
    """A function in its thread, and its items."""

    def __init__(self, run: Callable[[Callable[[T], None]], R]) -> None:
        self.items: queue.Queue[tuple[T] | None] = queue.Queue(1)
        self.results: list[R] = []
        self.error: BaseException | None = None
        self._run = run
        self._unwanted = threading.Event()
        self.thread = threading.Thread(target=self._work, daemon=True)

    def end(self) -> None:
        """Let the thread end, and wait for it."""
        self._unwanted.set()
        while self.thread.is_alive():
            try:
                self.items.get_nowait()  # it may be waiting for room
            except queue.Empty:
                self.thread.join(0.01)

    def _work(self) -> None:
        try:
            self.results.append(self._run(self._tell))
        except _UnwantedError:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised where the items are taken
            self.error = error
        finally:
            self.items.put(None)

    def _tell(self, item: T) -> None:
        if not self._unwanted.is_set():
            self.items.put((item,))
        if self._unwanted.is_set():
            raise _UnwantedError
