"""The other side of the conversation: workers as processes that answer commands."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class WorkerError(Exception):
    """A worker has ended without an answer; holds its last words."""


class Worker:
    """A process in which one system works.

    Args:
        python: the interpreter of its environment.
        module: what it runs.
        job: told to it as its argument.
        log: file for what it writes to stderr.
    """

    def __init__(self, python: Path, module: str, job: Mapping[str, Any], log: Path) -> None:
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        threads = str(job["threads"])
        with log.open("w", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                [str(python), "-W", "ignore", "-m", module, json.dumps(job)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=ROOT,
                env={**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
            )

    def ask(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Send a command and wait for its answer.

        Raises:
            WorkerError: if there is none.
        """
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise WorkerError("the worker has no pipes")
        line = ""
        try:
            process.stdin.write(json.dumps(command) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            pass
        if not line:
            last = self._log.read_text(encoding="utf-8", errors="replace")[-1500:]
            raise WorkerError(f"{self._log}: the worker has ended:\n{last}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
