"""The command line: one file for each command; results on stdout, all else on stderr."""

from __future__ import annotations

import sys


def main() -> int:
    """Run ``textgen`` with the process's arguments.

    Returns:
        The exit code: 0 good, 1 failed, 2 wrong usage, 130 on Ctrl-C.
    """
    from textgen.cli.failures import guarded

    return guarded(sys.argv[1:])
