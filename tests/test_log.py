"""Warnings of the library reach stderr, and from the command line only once."""

from __future__ import annotations

import subprocess
import sys

import pytest

WARN = "from textgen.log import logger; logger.warning('fewer texts')"
GUARDED = "from textgen.cli.failures import guarded; guarded(['--version']); "


@pytest.mark.parametrize(("before", "shown"), [("", "fewer texts"), (GUARDED, "")])
def test_warnings_reach_stderr_unless_the_command_line_writes_its_own(
    before: str, shown: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", before + WARN], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == shown
