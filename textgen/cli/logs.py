"""Files that a training's events are written to: JSON lines, TensorBoard."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from textgen import atomic
from textgen.cli.failures import complain
from textgen.errors import DataError, UsageError

if TYPE_CHECKING:
    from textgen.progress import Listener
    from textgen.training.events import Event


@contextmanager
def json_log(path: Path, *, append: bool) -> Iterator[Listener]:
    """Write one JSON object a line, each as soon as it happens; a full disk ends only the log.

    An older log is replaced when the first step is reported; notes wait until then, so that a
    training that cannot begin leaves it as it was.

    Args:
        path: the file; its folder is made.
        append: go on after what is in the file, for a training that is resumed.

    Raises:
        DataError: if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab", buffering=0)  # nothing is lost yet
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}.") from None
    log = _Log(path, file, replaces=not append and _is_regular(path))
    try:
        yield log.write
    finally:
        log.close()


class _Log:
    """A log of JSON lines.

    Args:
        path: of the file.
        file: open for appending.
        replaces: the new log begins by replacing an older one.
    """

    def __init__(self, path: Path, file: IO[bytes], *, replaces: bool) -> None:
        self._path, self._file, self._replaces = path, file, replaces
        self._waiting = b""
        self._gone = False

    def write(self, event: Event) -> None:
        """Write an event, or let a note wait."""
        from textgen.training.events import Note

        data = as_plain(event)
        if self._gone or data is None:
            return
        self._waiting += (json.dumps(data) + "\n").encode()
        if self._replaces and isinstance(event, Note):
            return
        try:
            if self._replaces:
                self._begin_anew()
            else:
                self._file.write(self._waiting)
        except (OSError, DataError) as error:
            self._gone = True
            reason = error if isinstance(error, DataError) else f"{self._path}: {error.strerror}."
            complain(f"{reason} The training goes on without this log.")
        self._waiting = b""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _begin_anew(self) -> None:
        atomic.write_bytes(self._path, self._waiting)
        self._file.close()
        self._file = self._path.open("ab", buffering=0)
        self._replaces = False


def _is_regular(path: Path) -> bool:
    """Whether there is an older log that would be replaced."""
    return path.is_file() and path.stat().st_size > 0


@contextmanager
def tensorboard_log(folder: Path) -> Iterator[Listener]:
    """Write scalars that TensorBoard shows.

    Raises:
        UsageError: if TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError(
            "--tensorboard needs the package tensorboard: pip install 'textgen[tensorboard]'."
        ) from None
    writer: Any = SummaryWriter(str(folder))

    def write(event: Event) -> None:
        data = as_plain(event) or {}
        part = "train" if data.pop("event", "") == "step" else "validation"
        step = data.pop("step", 0)
        for name, value in (data | data.pop("metrics", {})).items():
            if isinstance(value, int | float):
                writer.add_scalar(f"{part}/{name}", value, step)

    try:
        yield write
    finally:
        writer.close()


def as_plain(event: Event) -> dict[str, Any] | None:
    """An event as plain data with its name; None for those that are not for the log."""
    from textgen.training.events import Improved, Note, Step, Stopped, Validated

    if isinstance(event, Validated | Note | Step | Improved | Stopped):
        return {"event": type(event).__name__.lower(), **dataclasses.asdict(event)}
    return None
