"""Injected faults: the n-th operation on the file system fails, or the process "dies" there."""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from textgen import atomic, checkpoint

OPERATIONS = ("replace", "rename", "fsync", "unlink", "remove", "mkdir", "rmdir", "link", "chmod")
CLEANING = {"unlink", "remove", "rmdir"}


class Killed(BaseException):
    """Stands for SIGKILL: from here on no operation on a file is possible."""


class Faults:
    """Counts operations that change files, and lets one of them go wrong.

    Args:
        at: number of the operation that goes wrong, from 0.
        kill: it and all later ones raise ``Killed``; else it alone raises an OSError.
    """

    def __init__(self, at: int, *, kill: bool) -> None:
        self.at, self.kill = at, kill
        self.count = 0
        self.hit = ""

    def point(self, name: str) -> None:
        """Something that may go wrong."""
        number, self.count = self.count, self.count + 1
        if self.kill and number >= self.at:
            self.hit = self.hit or name
            raise Killed
        if number == self.at:
            self.hit = name
            raise OSError(errno.EIO, f"{os.strerror(errno.EIO)} (injected into {name})")


@contextlib.contextmanager
def injected(at: int, *, kill: bool) -> Iterator[Faults]:
    """Let the operation number ``at`` of the block go wrong; a large number counts them all."""
    faults = Faults(at, kill=kill)
    with pytest.MonkeyPatch.context() as patch:
        for name in OPERATIONS:
            patch.setattr(os, name, _before(getattr(os, name), faults, name))
        patch.setattr(os, "open", _opening(os.open, faults, _flags_write, torn=False))
        for module in (io, builtins):
            patch.setattr(module, "open", _opening(open, faults, _mode_writes))
        patch.setattr(atomic._Output, "write", _torn_write(atomic._Output.write, faults))
        patch.setattr(checkpoint, "save_file", _torn(checkpoint.save_file, faults))
        yield faults


def _before(function: Callable[..., Any], faults: Faults, name: str) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **options: Any) -> Any:
        faults.point(name)
        return function(*arguments, **options)

    return wrapped


def _opening(
    function: Callable[..., Any], faults: Faults, writes: Callable[..., bool], *, torn: bool = True
) -> Callable[..., Any]:
    """Goes wrong before a file is opened for writing, or when it is open and empty."""

    def wrapped(path: Any, *arguments: Any, **options: Any) -> Any:
        changes = writes(*arguments, **options)
        if changes:
            faults.point("open")
        opened = function(path, *arguments, **options)
        if changes and torn:
            try:
                faults.point("write")
            except BaseException:
                opened.close()
                raise
        return opened

    return wrapped


def _flags_write(flags: int = 0, *_: Any, **__: Any) -> bool:
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _mode_writes(mode: str = "r", *_: Any, **__: Any) -> bool:
    return mode.strip("rbtU") != ""


def _torn(function: Callable[..., Any], faults: Faults) -> Callable[..., Any]:
    """Goes wrong before tensors are written, or when half is."""

    def wrapped(tensors: Any, path: Path, metadata: Any) -> None:
        faults.point("open")
        function(tensors, path, metadata)
        try:
            faults.point("write")
        except BaseException:
            os.truncate(path, path.stat().st_size // 2)
            raise

    return wrapped


def _torn_write(function: Callable[..., int], faults: Faults) -> Callable[..., int]:
    """Goes wrong when half is written."""

    def wrapped(file: Any, data: Any) -> int:
        try:
            faults.point("write")
        except Killed:
            function(file, bytes(data)[: len(data) // 2])
            raise
        except OSError as failure:
            function(file, bytes(data)[: len(data) // 2])
            if file._explained is None:
                raise
            raise file._explained(failure) from None
        return function(file, data)

    return wrapped
