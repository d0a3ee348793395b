"""Files that a training's events are written to: JSON lines, TensorBoard."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textgen.cli.failures import complain
from textgen.errors import UsageError

if TYPE_CHECKING:
    from textgen.cli.progress import Listener
    from textgen.training.events import Event


@contextmanager
def json_log(path: Path, *, append: bool) -> Iterator[Listener]:
    """Write one JSON object a line, each as soon as it happens; a full disk ends only the log.

    Args:
        path: the file; its folder is made.
        append: go on after what is in the file, for a training that is resumed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab" if append else "wb", buffering=0) as file:
        gone = False

        def write(event: Event) -> None:
            nonlocal gone
            data = as_plain(event)
            if gone or data is None:
                return
            try:
                file.write((json.dumps(data) + "\n").encode())
            except OSError as error:
                gone = True
                complain(f"{path}: {error.strerror}. The training goes on without this log.")

        yield write


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

    if isinstance(event, Validated):
        return {"event": "validated", "step": event.step, "metrics": dict(event.metrics)}
    if isinstance(event, Note | Step | Improved | Stopped):
        return {"event": type(event).__name__.lower(), **dataclasses.asdict(event)}
    return None
