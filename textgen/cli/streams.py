"""Standard streams that the caller closed: what stands in their place."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

from textgen.errors import TextgenError, UsageError


class _NoInput(io.RawIOBase):
    """A closed stdin: only who reads it is told."""

    def readable(self) -> bool:
        """As any input."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Never.

        Raises:
            UsageError: always.
        """
        del buffer
        raise UsageError("Standard input is closed: there is nothing to read.")


class _NoOutput(io.TextIOBase):
    """A closed stdout: only who writes to it is told."""

    def writable(self) -> bool:
        """As any output."""
        return True

    def write(self, text: str) -> int:
        """Never anything but nothing.

        Raises:
            TextgenError: always, for results are lost.
        """
        if text:
            raise TextgenError("Standard output is closed: the results cannot be written.")
        return 0


class _NoMessages(io.TextIOBase):
    """A closed stderr: nobody wants to hear anything."""

    def writable(self) -> bool:
        """As any output."""
        return True

    def write(self, text: str) -> int:
        """Forget a text."""
        return len(text)


def replace_closed_streams() -> None:
    """Let nothing be None, and no file that is opened later be taken for a standard stream."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # the lowest free number is this one; inherited by processes that are started, too
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(_NoInput()), encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = _NoOutput()
    if sys.stderr is None:
        sys.stderr = _NoMessages()
