"""Several threads that work on a stream of items; what they find comes in the order of the items.

One thread more reads the items, so that a result does not wait for an input that is still to come.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 4
"""Items for each worker that may be worked on or waiting before the next result is taken."""

PATIENCE = 0.2
"""Seconds to wait for the reader of the items at an early end; it may be waiting for input."""


def _nothing() -> None:
    """What there is to do where nothing is."""


@dataclass(frozen=True)
class WorkerPool(Generic[T, R]):
    """Who does the work.

    Attributes:
        works: what each of the workers does with an item; each is called in a thread of its own.
        begin: called in each of these threads before its first item.
        cancel: called where the results are no longer wanted: makes the works end soon, by an
            error or otherwise.
        finish: called at the end, where the results were taken.
    """

    works: Sequence[Callable[[T], R]]
    begin: Callable[[], None] = _nothing
    cancel: Callable[[], None] = _nothing
    finish: Callable[[], None] = _nothing


def ordered(pool: WorkerPool[T, R], items: Iterable[T]) -> Generator[R, None, None]:
    """The result of each item, in the order of the items, at most a few items ahead.

    Errors, of the items themselves too, are raised as they are, after the results of all earlier
    items: as in ``map(work, items)``. Closing the generator ends the threads; only the one that
    reads the items is left alone if it waits for one.

    Args:
        pool: the workers.
        items: read in a thread of their own; may be endless.
    """
    job = _Job(pool, items)
    try:
        yield from job.results()
    finally:
        job.close()


def in_order(parts: Iterable[Iterable[R]], number: Callable[[R], int]) -> Generator[R, None, None]:
    """Results that come in parts, each told as soon as all before it are.

    Args:
        parts: results; closed at the end where it is a generator.
        number: of a result: from 0 on, each once.
    """
    waiting: dict[int, R] = {}
    following = 0
    try:
        for part in parts:
            waiting.update((number(each), each) for each in part)
            while following in waiting:
                yield waiting.pop(following)
                following += 1
    finally:
        if isinstance(parts, Generator):
            parts.close()


@dataclass(frozen=True)
class _Failure:
    """What an item, or the work on it, raised."""

    error: BaseException


class _Job(Generic[T, R]):
    """Items and results on their way, and the threads."""

    def __init__(self, pool: WorkerPool[T, R], items: Iterable[T]) -> None:
        self._crew, self._items = pool, iter(items)
        self._most = AHEAD * len(pool.works)
        self._changed = threading.Condition()
        self._waiting: deque[tuple[int, T]] = deque()
        self._found: dict[int, R | _Failure] = {}
        self._read = self._taken = 0
        self._ended = self._closed = False
        self._reader = threading.Thread(target=self._read_items, name="reader", daemon=True)
        self._workers = [
            threading.Thread(target=self._work, args=[work], name="worker", daemon=True)
            for work in pool.works
        ]

    def results(self) -> Iterator[R]:
        """The results in order; raises the first failure where it comes."""
        for thread in (self._reader, *self._workers):
            thread.start()
        while (found := self._take()) is not None:
            yield found[0]

    def close(self) -> None:
        """End the threads."""
        with self._changed:
            early = not self._ended or self._taken < self._read
            self._closed = True
            self._changed.notify_all()
        if early:
            self._crew.cancel()
        for worker in self._workers:
            if worker.ident is not None:
                worker.join()
        if self._reader.ident is not None:
            self._reader.join(PATIENCE)
        self._crew.finish()

    def _take(self) -> tuple[R] | None:
        """The next result; None after the last."""
        with self._changed:
            while self._taken not in self._found:
                if self._ended and self._taken == self._read:
                    return None
                self._changed.wait()
            found = self._found.pop(self._taken)
            self._taken += 1
            self._changed.notify_all()
        if isinstance(found, _Failure):
            raise found.error
        return (found,)

    def _read_items(self) -> None:
        """The reader's thread: an item whenever there is room for one."""
        failure: _Failure | None = None
        try:
            while self._room():
                item = next(self._items)
                with self._changed:
                    self._waiting.append((self._read, item))
                    self._read += 1
                    self._changed.notify_all()
        except StopIteration:
            pass
        except BaseException as error:  # noqa: BLE001 - raised where the results are taken
            failure = _Failure(error)
        with self._changed:
            if failure is not None:
                self._found[self._read] = failure
                self._read += 1
            self._ended = True
            self._changed.notify_all()

    def _room(self) -> bool:
        """Wait until one more item may be read; False if none is wanted any more."""
        with self._changed:
            while self._read - self._taken >= self._most and not self._closed:
                self._changed.wait()
            return not self._closed

    def _work(self, work: Callable[[T], R]) -> None:
        """A worker's thread: one item after the other."""
        begun = False
        while (todo := self._next()) is not None:
            number, item = todo
            found: R | _Failure
            try:
                if not begun:
                    self._crew.begin()
                    begun = True
                found = work(item)
            except BaseException as error:  # noqa: BLE001 - raised where the results are taken
                found = _Failure(error)
            with self._changed:
                self._found[number] = found
                self._changed.notify_all()

    def _next(self) -> tuple[int, T] | None:
        """An item to work on; None when there is none any more."""
        with self._changed:
            while not self._waiting:
                if self._ended or self._closed:
                    return None
                self._changed.wait()
            return None if self._closed else self._waiting.popleft()
