"""Atomic output: a file that is replaced is either the old one or the new one, never a part.

The new contents are written to ``.NAME.part`` beside the target, flushed to disk, and renamed over
it. A symbolic link is followed and stays a link. A new file has the permissions that the umask
leaves; a replaced file keeps its own. What is not a regular file (a named pipe, a terminal,
``/dev/stdout``) cannot be replaced and is written to directly.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from textgen.errors import DataError, TextgenError

_UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP}  # by file systems that cannot flush a folder


def write(
    path: Path,
    writer: Callable[[Path], object],
    error: type[TextgenError] = DataError,
    *,
    failures: tuple[type[Exception], ...] = (),
) -> None:
    """Replace a file by what a function writes.

    Args:
        path: the file; its folder exists.
        writer: is given the path to write to.
        error: raised where the file cannot be written.
        failures: exceptions of the writer that mean this, besides OSError.

    Raises:
        TextgenError: of the type ``error``; the old file is untouched.
    """
    expected: tuple[type[Exception], ...] = (OSError, *failures)
    replacement = None
    try:
        replacement = _Replacement(path)
        writer(replacement.beside)
        replacement.commit()
    except expected as failure:
        _abandon(replacement)
        raise error(_sentence(path, failure, replacement)) from None
    except BaseException:
        _abandon(replacement)
        raise


def write_bytes(path: Path, data: bytes, error: type[TextgenError] = DataError) -> None:
    """Replace the contents of a file; the arguments and errors are those of ``write``."""

    def writer(beside: Path) -> None:
        with io.BufferedWriter(_Output(beside)) as file:
            file.write(data)

    write(path, writer, error)


def write_text(path: Path, text: str, error: type[TextgenError] = DataError) -> None:
    r"""Replace the contents of a file by UTF-8 text, line ends as they are; see ``write``.

    Halves of surrogates, as in names of files that are not UTF-8, are written as JSON writes them:
    ``\udcff``.
    """
    write_bytes(path, text.encode(errors="backslashreplace"), error)


@contextlib.contextmanager
def open_text(path: Path, error: type[TextgenError] = DataError) -> Iterator[IO[str]]:
    """A stream of UTF-8 lines that replaces a file when the block ends without an exception.

    Args:
        path: the file; its folder exists.
        error: raised where it cannot be written.

    Yields:
        The stream; a pipe gets each line at once. Exceptions of the block are passed on.

    Raises:
        TextgenError: of the type ``error``; the old file is untouched.
    """
    replacement = None
    try:
        replacement = _Replacement(path)
        raw = _Output(replacement.beside, lambda failure: error(_sentence(path, failure)))
    except OSError as failure:
        _abandon(replacement)
        raise error(_sentence(path, failure)) from None
    try:
        with io.TextIOWrapper(
            io.BufferedWriter(raw), "utf-8", "backslashreplace", newline="\n", line_buffering=True
        ) as file:
            yield file
    except BaseException:
        _abandon(replacement)
        raise
    try:
        replacement.commit()
    except OSError as failure:
        _abandon(replacement)
        raise error(_sentence(path, failure, replacement)) from None


def flush(path: Path) -> None:
    """Wait until a file's contents, or a folder's names, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    finally:
        os.close(handle)


class _Replacement:
    """New contents of a file, before they are in place.

    Args:
        path: the file.

    Attributes:
        beside: where to write; the file itself where it cannot be replaced.
        done: whether the new contents are in place.
    """

    def __init__(self, path: Path) -> None:
        self.done = False
        self.direct = _is_written_directly(path)
        self.beside = path
        if not self.direct:
            self.target = Path(os.path.realpath(path))
            self.beside = self.target.with_name(f".{self.target.name}.part")
            self._mode = _create(self.beside, self.target)

    def commit(self) -> None:
        """Put the new contents in place."""
        if self.direct:
            return
        self.beside.chmod(self._mode)  # some writers make a file of their own
        flush(self.beside)
        self.beside.replace(self.target)
        self.done = True
        flush(self.target.parent)


def _abandon(replacement: _Replacement | None) -> None:
    """Remove contents that are not in place."""
    if replacement is not None and not replacement.direct and not replacement.done:
        with contextlib.suppress(OSError):
            replacement.beside.unlink()


class _Output(io.FileIO):
    """A file to write to; a standard stream goes on where it is, instead of being cut.

    Args:
        path: of the file.
        explained: makes the exception to raise when writing fails, but for a closed pipe.
    """

    def __init__(self, path: Path, explained: Callable[[OSError], Exception] | None = None) -> None:
        stream = _stream(path)
        super().__init__(path if stream is None else os.dup(stream), "w")
        self._explained = explained

    def write(self, data: Any) -> int:
        """Write bytes, as ``io.RawIOBase.write`` does."""
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as failure:
            if self._explained is None:
                raise
            raise self._explained(failure) from None


def _create(beside: Path, target: Path) -> int:
    """Make an empty file, and tell the permissions that it shall have."""
    beside.unlink(missing_ok=True)  # of a process that was killed
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        mode = os.fstat(handle).st_mode
    finally:
        os.close(handle)
    with contextlib.suppress(FileNotFoundError):
        mode = target.stat().st_mode
    return stat.S_IMODE(mode)


def _is_written_directly(path: Path) -> bool:
    """Whether a path leads to something that a rename would not replace as its users expect."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        return True
    place = Path(os.path.abspath(path)).parts  # noqa: PTH100 keeps links
    if place[1:2] == ("proc",) or place[1:3] in {
        ("dev", "fd"),
        ("dev", "stdout"),
        ("dev", "stderr"),
    }:
        return True
    return _stream(path) is not None


def _stream(path: Path) -> int | None:
    """The standard output or error stream that a path leads to, if any."""
    for number in (1, 2):
        with contextlib.suppress(OSError):  # it is closed, or there is no file
            if os.path.samestat(path.stat(), os.fstat(number)):
                return number
    return None


def _sentence(path: Path, failure: Exception, replacement: _Replacement | None = None) -> str:
    reason = getattr(failure, "strerror", None) or str(failure)
    replaced = replacement is not None and (replacement.done or replacement.direct)
    kept = " The file before is untouched." if path.is_file() and not replaced else ""
    return f"{path}: cannot be written: {reason}.{kept}"
