"""Replacing several files of a folder as one.

New files are written into ``FOLDER/.staged`` while the folder is locked. ``commit`` renames the
staging folder, which is one atomic step, and then puts its files in place. A process that is killed
before the rename leaves the old files untouched; after it, ``recover`` goes on with what is left,
whoever calls it:

```
.staged    being written: removed by the next training
.complete  old files are being removed
.moving    new files are being put in place
```
The staging folder is inside the model's folder, which may be a mount point or the shell's working
folder; files that are not the model's are never touched. The model's own are replaced as a whole:
where one is a link, the link is replaced and not the file that it leads to.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from textgen.atomic import flush
from textgen.errors import CheckpointError

STAGED, COMPLETE, MOVING = ".staged", ".complete", ".moving"
_POLL = 0.01  # s


@contextlib.contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """An empty folder for new files, removed at the end of the block unless it was committed.

    The block holds the folder's lock, so that no other one writes there.

    Args:
        folder: whose files will be replaced; is made, and removed again if it stays empty.

    Raises:
        CheckpointError: if it cannot be made, or another block, of any process, holds the lock.
    """
    made = not folder.exists()
    place = folder / STAGED
    with contextlib.ExitStack() as ends:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not ends.enter_context(_locked(folder)):
                raise CheckpointError(
                    f"{folder}: another training writes here. Wait until it ends, or choose "
                    "another folder."
                )
            shutil.rmtree(place, ignore_errors=True)  # of a training that was killed
            place.mkdir()
        except OSError as error:
            raise CheckpointError(f"{folder}: cannot be made: {error.strerror}.") from None
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)
            if made:
                with contextlib.suppress(OSError):  # it is not empty
                    folder.rmdir()


def commit(folder: Path, own: Collection[str], last: str) -> None:
    """Replace files of a folder by those that are ``staged``, within that block.

    Args:
        folder: of the files.
        own: names of files to remove where no staged one replaces them.
        last: name of the file that is put in place after all others.

    Raises:
        CheckpointError: if it fails; the old files are untouched, or ``recover`` completes it.
    """
    try:
        flush(folder / STAGED)
        (folder / STAGED).replace(folder / (COMPLETE if own else MOVING))
        flush(folder)
        _finish(folder, own, last)
    except OSError as error:
        raise _failed(folder, error) from None


def recover(folder: Path, own: Collection[str], last: str) -> None:
    """Complete a ``commit`` that was interrupted; the arguments are those of ``commit``.

    Raises:
        CheckpointError: if it cannot be completed.
    """
    try:
        while _is_begun(folder):
            with _locked(folder) as held:
                if held:
                    _finish(folder, own, last)
                    return
            time.sleep(_POLL)  # a training is just committing
    except OSError as error:
        raise _failed(folder, error) from None


def _is_begun(folder: Path) -> bool:
    """Whether there are new files that are not all in place."""
    return (folder / COMPLETE).is_dir() or (folder / MOVING).is_dir()


def _finish(folder: Path, own: Collection[str], last: str) -> None:
    """Remove old files, then put new ones in place; may be interrupted and begun again."""
    complete, moving = folder / COMPLETE, folder / MOVING
    if complete.is_dir():
        new = {path.name for path in complete.iterdir()}
        for name in own:
            shutil.rmtree(folder / f".{name}.part", ignore_errors=True)
            with contextlib.suppress(IsADirectoryError):
                (folder / f".{name}.part").unlink(missing_ok=True)
            if (folder / name).is_dir():
                remove_folder(folder / name)
            elif name not in new:
                (folder / name).unlink(missing_ok=True)
        complete.replace(moving)
    if moving.is_dir():
        for path in sorted(moving.iterdir(), key=lambda path: path.name == last):
            _move(path, folder / path.name)
        moving.rmdir()
        flush(folder)


def remove_folder(path: Path) -> None:
    """Remove a folder; a process that is killed meanwhile leaves no half of it under its name."""
    beside = path.with_name(f".{path.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    if path.is_dir():
        path.replace(beside)
        shutil.rmtree(beside, ignore_errors=True)


def _move(path: Path, target: Path) -> None:
    """Put a file in place, or what is in a folder beside what is there already."""
    if path.is_dir():
        target.mkdir(exist_ok=True)
        for each in path.iterdir():
            remove_folder(target / each.name)
            each.replace(target / each.name)
        path.rmdir()
        return
    target.with_name(f".{target.name}.part").unlink(missing_ok=True)  # of a killed process
    if target.is_file():
        path.chmod(stat.S_IMODE(target.stat().st_mode))
    path.replace(target)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Take a folder's lock, which ends with the process; whether it was free."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        held = True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = False
        except OSError:  # file systems without locks
            pass
        yield held
    finally:
        os.close(handle)


def _failed(folder: Path, error: OSError) -> CheckpointError:
    if _is_begun(folder):
        state = "The new files are complete; the next command that reads the model goes on."
    else:
        state = "The files before are untouched."
    return CheckpointError(f"{folder}: its files cannot be replaced: {error.strerror}. {state}")
