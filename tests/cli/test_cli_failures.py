"""What the process says and returns when something goes wrong."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from textgen.cli import failures
from textgen.errors import ConfigError, DataError, PluginError, Terminated, TrainingError


def _from(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


COMMAND = [sys.executable, "-m", "textgen"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (DataError("book.txt: is empty."), 1, "Error: book.txt: is empty.\n"),
        (TrainingError("The loss is not finite."), 1, "Error: The loss is not finite.\n"),
        (PluginError("There is no filter 'x'."), 2, "Error: There is no filter 'x'.\n"),
        (ConfigError(["a: wrong.", "b: wrong."]), 2, "Error: a: wrong.\nb: wrong.\n"),
        (FileNotFoundError(2, "No such file or directory", "x"), 1, "Error: x: No such file"),
        (OSError(28, "No space left on device"), 1, "Error: No space left on device."),
        (MemoryError(), 1, "Error: There is not enough memory."),
        (torch.OutOfMemoryError("CUDA out of memory."), 1, "Error: There is not enough memory."),
        (RuntimeError("[…] can't allocate memory: […]"), 1, "Error: There is not enough memory."),
        (_from(PluginError("x"), MemoryError()), 1, "Error: There is not enough memory."),
        (KeyboardInterrupt(), 130, "Stopped.\n"),
        (Terminated(), 143, "Stopped.\n"),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_an_exception_becomes_a_message_and_a_code(
    error: BaseException,
    code: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: object) -> int:
        raise error

    shown = io.StringIO()
    monkeypatch.setattr(failures, "_run", fail)
    monkeypatch.setattr(failures, "_silence", lambda: None)
    monkeypatch.setattr(sys, "stderr", shown)
    assert failures.guarded([]) == code
    assert shown.getvalue().startswith(text)
    assert bool(shown.getvalue()) == bool(text)


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(failures, "_run", fail)
    with pytest.raises(ZeroDivisionError):
        failures.guarded([])


def test_the_variable_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> int:
        raise DataError("bad")

    monkeypatch.setattr(failures, "_run", fail)
    monkeypatch.setenv(failures.TRACEBACK_VARIABLE, "1")
    with pytest.raises(DataError):
        failures.guarded([])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["generat"], "There is no command 'generat'. Did you mean 'generate'?"),
        (["train", "ml"], "There is no command 'ml'. Did you mean 'lm'?"),
        (["plugins", "--jsn"], "No such option '--jsn'"),
        (["plugins", "nuclues"], "There is no plugin 'nuclues'. Did you mean 'nucleus'?"),
        (["plugins", "--plugins", "/nowhere/at/all"], "'/nowhere/at/all' does not exist"),
    ],
)
def test_wrong_usage_is_code_2_and_says_what_was_meant(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_pipe_closed_by_its_reader_ends_quietly() -> None:
    process = subprocess.Popen(
        [*COMMAND, "plugins"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait() == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_results_that_cannot_be_written_are_a_failure() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "plugins"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "Error: No space left on device.\n"


def test_output_is_utf8_whatever_the_locale_says(tmp_path: Path) -> None:
    source = 'def filter():\n    """Привіт, ≥ 日本."""\n'
    (tmp_path / "mine.py").write_text(source, encoding="utf-8")
    environment = os.environ | {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [*COMMAND, "plugins", "--plugins", str(tmp_path)],
        capture_output=True,
        env=environment,
        check=True,
    )
    assert "Привіт, ≥ 日本." in done.stdout.decode()


@pytest.mark.parametrize("times", [1, 5])
def test_ctrl_c_is_code_130_however_often(times: int, tmp_path: Path) -> None:
    script = tmp_path / "wait.py"
    script.write_text(
        "import atexit, sys, time\nfrom textgen.cli import failures, main\n"
        "def wait(_):\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "atexit.register(time.sleep, 0.2)\nfailures._run = wait\nsys.exit(main())\n"
    )
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.03)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said in {"Stopped.\n", ""}
    assert said or times > 1


def test_sigterm_leaves_no_half_file(tmp_path: Path) -> None:
    """What is written when all is done is not there, and no part of it."""
    out = tmp_path / "links"
    command = [
        *COMMAND,
        "translate",
        "--model",
        "dates",
        "--device",
        "cpu",
        "--alignments",
        str(out),
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"3 May 2021\n" * 3000)
        process.stdin.flush()
        assert process.stdout.readline() == b"2021 05 03\n"
        assert [path.name for path in tmp_path.iterdir()] == [".links.part"]
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == failures.TERMINATED
    assert said == b"Stopped.\n"
    assert not list(tmp_path.iterdir())
