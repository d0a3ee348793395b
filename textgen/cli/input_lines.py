"""Lines of a file or of standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from textgen.cli.failures import complain
from textgen.errors import DataError


def input_lines(file: Path | None) -> Iterator[str]:
    """Lines of a file, or of stdin for None, without their ends.

    Bytes that are no UTF-8 are reported and become U+FFFD.

    Raises:
        DataError: if the file cannot be opened.
    """
    try:
        opened = nullcontext(sys.stdin.buffer) if file is None else file.open("rb")
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}.") from None
    with opened as stream:
        for number, line in enumerate(stream, start=1):
            raw = line.rstrip(b"\r\n")
            try:
                yield raw.decode("utf-8")
            except UnicodeDecodeError as error:
                complain(
                    f"line {number}: byte {error.start + 1} is not UTF-8 text; read as \ufffd."
                )
                yield raw.decode("utf-8", "replace")
