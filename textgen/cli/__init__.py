"""The command line: one file for each command; results on stdout, all else on stderr."""

from __future__ import annotations

import os
import signal
import sys

SPINS = "1000"
"""How long an OpenMP thread waits awake for the others. The library's own choice is far longer:
a second program on the same cores then slows small products down a hundredfold."""


def main() -> int:
    """Run ``textgen`` with the process's arguments.

    Returns:
        The exit code: 0 good, 1 failed, 2 wrong usage, 130 on Ctrl-C, 143 on SIGTERM.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)  # read when torch is loaded
    try:
        from textgen.cli.failures import guarded

        return guarded(sys.argv[1:])
    except KeyboardInterrupt:
        return 130  # so early, or pressed once more, that there is nothing to say
    finally:
        # the rest of the exit is other packages' work, which is not worth an interruption
        signal.signal(signal.SIGINT, signal.SIG_IGN)
