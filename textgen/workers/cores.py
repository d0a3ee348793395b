"""How many threads work where nobody says it."""

from __future__ import annotations

import os

MAX_THREADS = 1024
"""More threads than this are a slip of the finger, and may not even start."""
MAX_DEFAULT_THREADS = 8
"""Most threads that translate where nobody says how many: they take turns in what is Python."""


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_threads() -> int:
    """Threads that translate at once: OMP_NUM_THREADS, or all cores up to a few."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if asked.isdecimal() and int(asked):
        return min(int(asked), MAX_THREADS)
    return min(cores(), MAX_DEFAULT_THREADS)
