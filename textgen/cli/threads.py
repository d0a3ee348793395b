"""How many threads a command computes with."""

from __future__ import annotations

import dataclasses
import os

import click

from textgen.cli.options import grouped_option
from textgen.workers.cores import MAX_THREADS, cores

threads_option = grouped_option(
    "--threads",
    type=click.IntRange(1, MAX_THREADS),
    metavar="N",
    help="Number of CPU threads of this process; by default torch decides.",
)
"""A kept option: a dataclass for ``collected`` asks for it with ``threads: int | None``."""


@dataclasses.dataclass(frozen=True)
class Threads:
    """What ``threads_option`` says."""

    threads: int | None


def set_threads(count: int | None) -> None:
    """Let torch compute with so many threads.

    Args:
        count: at least 1. None leaves it to torch, but gives processes that torchrun started on
            this machine an equal part of its cores, unless OMP_NUM_THREADS asks for several.
    """
    if count is None:
        count = _share_of_cores()
    if count is not None:
        import torch

        torch.set_num_threads(count)


def _share_of_cores() -> int | None:
    """Cores for each of the processes of torchrun on this machine; None where there is but one."""
    processes = os.environ.get("LOCAL_WORLD_SIZE", "1")
    # torchrun itself sets OMP_NUM_THREADS to 1 where nobody did
    if not processes.isdecimal() or int(processes) <= 1 or _asked_for_several():
        return None
    return max(1, cores() // int(processes))


def _asked_for_several() -> bool:
    asked = os.environ.get("OMP_NUM_THREADS", "1")
    return asked.isdecimal() and int(asked) > 1
