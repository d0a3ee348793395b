"""Signals that wait for the end of a step, so that nothing is saved half done."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from textgen.errors import Terminated

_USUAL: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}
"""Signals that are waited with, and what Python does at them."""


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
        self._handled: list[signal.Signals] = []

    def noted(self) -> bool:
        """Whether one of the signals came."""
        return self._noted is not None

    def __enter__(self) -> Self:
        """Handle signals from here on."""
        if threading.current_thread() is threading.main_thread():
            self._handled = [
                each for each, usual in _USUAL.items() if signal.getsignal(each) is usual
            ]
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
            signal.signal(each, _USUAL[each])
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
