"""Commands that torchrun runs in several processes at once: the first one is heard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from textgen.cli.failures import FAILED, USAGE, complain, stopped_code
from textgen.errors import TextgenError, UsageError

if TYPE_CHECKING:
    from textgen.training.group import ProcessGroup


@contextmanager
def ranks() -> Iterator[ProcessGroup]:
    """The group of processes that torchrun started, or this one alone.

    What ends the first process is told as ever. Any other one tells only trouble of its own: that
    it was interrupted, or that another has ended, is told elsewhere.
    """
    from textgen.training.distributed import PeerLost, joined

    group = None
    try:
        with joined() as group:
            yield group
    except (KeyboardInterrupt, TextgenError) as error:
        if group is None or group.leads:
            raise
        if isinstance(error, TextgenError) and not isinstance(error, PeerLost):
            complain(f"Process {group.rank}: {error}")
        raise click.exceptions.Exit(_code(error)) from None


def _code(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return stopped_code(error)
    return USAGE if isinstance(error, UsageError) else FAILED
