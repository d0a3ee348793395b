"""Lines of a pipe, read ahead by a thread, so that who types one line gets its answer."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO

CHUNK = 1 << 16
AHEAD = 1 << 22
"""Bytes that may wait to be taken."""

LONGEST_LINE = 1 << 20
"""Bytes of a line that are kept: without this a line without an end would need all memory."""

IDLE = 0.05
PATIENCE = 0.5
"""Seconds without a new line, and seconds altogether, after which a group is not waited for."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
FIRST_GROUP = 16


class LineReader:
    r"""Reads a stream ahead, within bounds. Only ``\n`` ends a line; a ``\r`` before it is dropped.

    Bytes that are no UTF-8 become U+FFFD.

    Args:
        stream: binary; a buffered one must not have been read from.

    Attributes:
        undecodable: lines so far that were not UTF-8.
        shortened: lines so far of which only the first bytes were kept.
    """

    def __init__(self, stream: BinaryIO) -> None:
        # the raw stream has no lock that a thread could hold when the process ends
        self._stream: BinaryIO = getattr(stream, "raw", stream)
        self._lines: deque[bytes] = deque()
        self._waiting = 0  # bytes in _lines
        self._changed = threading.Condition()
        self._ended = False
        self._failure: BaseException | None = None
        self.undecodable = 0
        self.shortened = 0
        threading.Thread(target=self._read, name="line reader", daemon=True).start()

    def groups(self, size: int) -> Iterator[list[str]]:
        """Lines in groups of at most ``size``: as many as come without a pause.

        The first groups are small, so that the first results come soon.

        Raises:
            OSError: if the stream cannot be read.
        """
        wanted = min(size, FIRST_GROUP)
        first = True
        while lines := self._take(wanted):
            if first:
                lines[0] = lines[0].removeprefix(BYTE_ORDER_MARK)
                first = False
            yield [self._decoded(line) for line in lines]
            wanted = min(size, wanted * 4)

    def _decoded(self, line: bytes) -> str:
        line = line.removesuffix(b"\r")
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError:
            self.undecodable += 1
            return line.decode("utf-8", "replace")

    def _take(self, most: int) -> list[bytes]:
        """Lines that have come: at least one, unless the stream has ended."""
        with self._changed:
            while not (self._lines or self._ended):
                self._changed.wait()
            patience = time.monotonic() + PATIENCE
            while len(self._lines) < most and not self._ended and self._waiting < AHEAD:
                if not self._changed.wait(IDLE) or time.monotonic() > patience:
                    break
            if self._failure is not None and not self._lines:
                raise self._failure
            taken = [self._lines.popleft() for _ in range(min(most, len(self._lines)))]
            self._waiting -= sum(len(line) + 1 for line in taken)
            self._changed.notify_all()
            return taken

    def _read(self) -> None:
        """The thread: split what comes into lines, and wait while enough is waiting."""
        try:
            self._split()
        except BaseException as error:  # noqa: BLE001 - told where the lines are taken
            self._failure = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _split(self) -> None:
        rest = _Line()
        while chunk := self._stream.read(CHUNK):
            first, *others = chunk.split(b"\n")
            rest.add(first)
            if not others:
                continue
            *whole, last = others
            self._put([self._finished(rest), *whole])
            rest = _Line()
            rest.add(last)
        if rest.data:
            self._put([self._finished(rest)])

    def _finished(self, line: _Line) -> bytes:
        self.shortened += line.shortened
        return bytes(line.data)

    def _put(self, lines: list[bytes]) -> None:
        with self._changed:
            while self._waiting >= AHEAD:
                self._changed.wait()
            self._lines.extend(lines)
            self._waiting += sum(len(line) + 1 for line in lines)
            self._changed.notify_all()


class _Line:
    """The beginning of a line whose end has not come yet."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.shortened = False

    def add(self, data: bytes) -> None:
        """Append what came, up to the longest that is kept."""
        room = LONGEST_LINE - len(self.data)
        self.shortened = self.shortened or len(data) > room
        self.data += data[:room]
