"""Lines of a text file, one for each sentence, split at line ends and nowhere else."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from textgen.errors import DataError


def read_lines(path: Path) -> list[str]:
    r"""All lines of a UTF-8 file (also .gz), without their ends.

    Only "\n" and "\r\n" end a line: other separators that Unicode knows stay in the text, so
    that the lines of two files keep belonging together. A byte order mark is dropped.

    Raises:
        DataError: if the file cannot be read or is not UTF-8; says in which line.
    """
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path}: cannot be read: {reason}.") from None
    return split_lines(data, str(path))


def split_lines(data: bytes, where: str) -> list[str]:
    """The lines of UTF-8 bytes; ``where`` names them in the message.

    Raises:
        DataError: if they are not UTF-8.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{where}, line {line}: is not UTF-8 text (byte {error.start} is "
            f"0x{data[error.start]:02x})."
        ) from None
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]
