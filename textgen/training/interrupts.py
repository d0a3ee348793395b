"""Signals that wait for the end of a step, so that nothing is saved half done."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Self

from textgen.errors import Terminated


def raise_terminated(number: int, frame: FrameType | None) -> None:
    """Handle SIGTERM as Python handles Ctrl-C, so that what is half done is undone.

    Raises:
        Terminated: always.
    """
    del number, frame
    raise Terminated


_DEFAULT_HANDLERS: dict[signal.Signals, tuple[Any, ...]] = {
    signal.SIGINT: (signal.default_int_handler,),
    signal.SIGTERM: (signal.SIG_DFL, raise_terminated),
}
"""Signals that are waited with, and what is done at them by Python and by the command line."""


@contextlib.contextmanager
def terminated() -> Iterator[None]:
    """Within the block SIGTERM raises ``Terminated``, unless somebody else handles it."""
    free = threading.current_thread() is threading.main_thread()
    if not free or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, raise_terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Interrupts:
    """While entered, the first Ctrl-C or SIGTERM is only noted; the second one ends at once.

    SIGTERM is what ``kill``, job schedulers and containers send before they kill. Signals that
    somebody else handles are left alone, and outside of the main thread, where signals cannot be
    handled, nothing is noted.

    Raises:
        Terminated: at the exit, in the place of a KeyboardInterrupt, if SIGTERM was noted.
    """

    def __init__(self) -> None:
        self._noted: int | None = None
        self._handled: dict[signal.Signals, Any] = {}

    def noted(self) -> bool:
        """Whether one of the signals came."""
        return self._noted is not None

    def __enter__(self) -> Self:
        """Handle signals from here on."""
        if threading.current_thread() is threading.main_thread():
            before = {each: signal.getsignal(each) for each in _DEFAULT_HANDLERS}
            self._handled = {
                each: handler
                for each, handler in before.items()
                if handler in _DEFAULT_HANDLERS[each]
            }
        for each in self._handled:
            signal.signal(each, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Python's own handling again."""
        for each in self._handled:
            signal.signal(each, self._handled[each])
        if isinstance(error, KeyboardInterrupt) and self._noted == signal.SIGTERM:
            raise Terminated from None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._noted is None:
            self._noted = number
        elif number == signal.SIGINT:
            signal.default_int_handler(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
