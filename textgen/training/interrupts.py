"""Ctrl-C that waits for the end of a step, so that nothing is saved half done."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Self


class Interrupts:
    """While entered, the first Ctrl-C is only noted; the second one interrupts at once.

    Outside of the main thread, where signals cannot be handled, nothing is noted.
    """

    def __init__(self) -> None:
        self._noted = False
        self._handles = False

    def noted(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._noted

    def __enter__(self) -> Self:
        """Handle Ctrl-C from here on."""
        usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        self._handles = usual and threading.current_thread() is threading.main_thread()
        if self._handles:
            signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Python's own handling again."""
        if self._handles:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._noted:
            signal.default_int_handler(number, frame)
        self._noted = True
