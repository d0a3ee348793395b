"""Start-up: from the command to its end, or to its first character."""

from __future__ import annotations

import functools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measure import Row, run, say
from benchmarks.speed.settings import Part, Settings

MODEL = "shakespeare"


def textgen() -> list[str]:
    """The command as it is installed, or as a module."""
    script = Path(sys.executable).with_name("textgen")
    return [str(script)] if script.exists() else [sys.executable, "-m", "textgen"]


def whole(command: Sequence[str]) -> float:
    """Seconds of a command."""
    return run(command).seconds


def first_character(command: Sequence[str]) -> float:
    """Seconds until a command writes to stdout; it is ended then."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        found = process.stdout.read(1) if process.stdout else b""
        spent = time.perf_counter() - began
        process.terminate()
    if not found:
        raise RuntimeError(f"{' '.join(command)} wrote nothing")
    return spent


def measure(settings: Settings) -> Part:
    """The median of several runs, all commands in turn, beside a bare Python with its libraries."""
    command = textgen()
    writes = [*command, "generate", "--model", MODEL, "--prompt", "R", "--max-tokens", "2000"]
    works: dict[str, Callable[[], float]] = {
        "python -c pass": functools.partial(whole, [sys.executable, "-c", "pass"]),
        "python -c 'import torch'": functools.partial(
            whole, [sys.executable, "-c", "import torch"]
        ),
        "textgen --help": functools.partial(whole, [*command, "--help"]),
        "textgen plugins": functools.partial(whole, [*command, "plugins"]),
        "textgen generate, first character": functools.partial(first_character, writes),
    }
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(settings.pick(7, 1)):
        for name, work in works.items():
            found[name].append(work())
    spent = {name: statistics.median(each) for name, each in found.items()}
    bare, torch = list(spent)[:2]
    rows = []
    for name in list(spent)[2:]:
        ceiling = torch if "generate" in name else bare
        say(f"  {name}: {spent[name]:.2f} s of {spent[ceiling]:.2f}")
        row = Row(f"`{name}`", spent[name], "s", spent[ceiling], f"`{ceiling}`", True)
        rows.append(row)
    return Part("Start-up", rows)
