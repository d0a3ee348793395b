"""--threads and --processes: the same output, in order, and an end that nobody has to wait for."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from small_models import TEXT, save_language_model, save_translator
from textgen.cli.failures import guarded
from textgen.cli.many_cores import Cores
from textgen.workers import cores
from textgen.workers.cores import default_threads

LINES = [
    "To be, or not to be,",
    "",
    "the mind",
    "Zebra arrows",
    "   ",
    *(" ".join(TEXT.split()[start : start + 1 + start % 7]) for start in range(20)),
    "mind " * 40,
]
ODD = "\n".join(LINES).encode() + b"\nthe \xff mind\n"
MANY = ["--threads", "3"], ["--processes", "2"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_translator(folder / "one")
    save_translator(folder / "two", seed=8)
    save_language_model(folder / "stream")
    save_language_model(folder / "lines", unit="lines")
    (folder / "words.tsv").write_text("Zebra\tHORSE\n", encoding="utf-8")
    (folder / "prefix").write_text("\n\nTHE\n<unk>\n" + "\n" * 23, encoding="utf-8")
    (folder / "source").write_text(TEXT * 9, encoding="utf-8")
    (folder / "target").write_text(TEXT.upper() * 9, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def _in_folder(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(models)


def run(
    capsys: pytest.CaptureFixture[str], *arguments: str, text: bytes = b""
) -> tuple[int, str, str]:
    """The exit code, stdout and stderr."""
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(text))
    try:
        code = guarded(arguments)
    finally:
        sys.stdin = before
    shown = capsys.readouterr()
    return code, shown.out, shown.err


@pytest.mark.parametrize("many", MANY, ids=["threads", "processes"])
@pytest.mark.parametrize(
    "options",
    [
        ["two", "--scores", "--max-source", "30", "--window", "9", "--batch-tokens", "40"],
        [
            *("--json", "--n-best", "2", "--alignments", "links", "--prefix", "prefix"),
            *("--replace-unknown", "--dictionary", "words.tsv"),
            *("--decode", "sample", "--filter", 'banned:["OR","TO"]', "--seed", "5"),
        ],
    ],
    ids=["plain", "all"],
)
def test_translations_are_those_of_one_thread(
    capsys: pytest.CaptureFixture[str], options: list[str], many: list[str]
) -> None:
    command = ["translate", "--device", "cpu", "--model", "one", *options]
    expected = run(capsys, *command, "--threads", "1", text=ODD)
    links = Path("links").read_bytes() if "--alignments" in options else b""
    found = run(capsys, *command, *many, text=ODD)
    assert expected[0] == found[0] == 0
    assert found[2] == expected[2]  # warnings are told once, with the same numbers
    assert "1 line has bytes that are no UTF-8" in found[2]
    assert ("1 line was cut after 30 tokens" in found[2]) == ("--scores" in options)
    assert written(found[1]) == nearly(expected[1])
    assert len(found[1].splitlines()) == len(LINES) + 1
    assert not links or Path("links").read_bytes() == links


FLOAT = re.compile(r"-?[0-9]+[.][0-9]+(?:e-?[0-9]+)?")


def written(text: str) -> tuple[str, list[float]]:
    """What is written, and its numbers."""
    return FLOAT.sub("#", text), list(map(float, FLOAT.findall(text)))


def nearly(text: str) -> tuple[str, object]:
    """The same but for the last digits: batches of other sizes round differently."""
    words, numbers = written(text)
    return words, pytest.approx(numbers, abs=2e-3)


def test_a_translation_is_scored_as_by_one_thread(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "translation", "--device", "cpu", "--model", "one", "--json"]
    command += ["--source", "source", "--reference", "target"]
    found = [json.loads(run(capsys, *command, *many)[1]) for many in MANY]
    for each in found:
        del each["seconds"], each["sentences_per_second"]
        each["log_prob"] = pytest.approx(each["log_prob"], abs=1e-3)
    assert found[0] == found[1]


def test_lines_are_scored_as_by_one_process(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "perplexity", "--device", "cpu", "--model", "lines", "source", "--json"]
    expected = json.loads(run(capsys, *command)[1])
    found = json.loads(run(capsys, *command, "--processes", "2")[1])
    assert found["tokens"] == len(TEXT) * 9
    assert found.keys() == expected.keys()
    for name, value in found.items():
        exact = isinstance(value, str | int)
        assert value == (expected[name] if exact else pytest.approx(expected[name], rel=1e-9))


def test_a_stream_cannot_be_shared_out(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "perplexity", "--device", "cpu", "--model", "stream", "source"]
    code, out, said = run(capsys, *command, "--processes", "1")
    assert (code, out) == (2, "")
    assert said.startswith("Error: --processes: stream reads a text as one stream")


def test_pairs_are_aligned_as_by_one_process(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "alignment", "--device", "cpu", "--model", "one"]
    command += ["--source", "source", "--target", "target", "--unite", "attention"]
    expected = run(capsys, *command)
    assert expected[0] == 0
    assert len(expected[1].splitlines()) == 27
    assert run(capsys, *command, "--processes", "2") == expected


def test_requests_take_threads_only(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["translate", "--device", "cpu", "--model", "one", "--jsonl"]
    code, _, said = run(capsys, *command, "--processes", "2")
    assert code == 2
    assert "--jsonl uses --threads" in said
    asked = [{"source": line} for line in LINES]
    asked[3]["decode"] = "greedy"
    asked[7]["decode"] = "no-such-thing"
    text = "\n".join(map(json.dumps, asked)).encode()
    expected = run(capsys, *command, "--threads", "1", text=text)
    found = run(capsys, *command, "--threads", "3", text=text)
    assert expected[0] == found[0] == 1
    assert written(found[1]) == nearly(expected[1])
    assert found[2] == expected[2]


def test_errors_in_a_process_are_those_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["translate", "--device", "cpu", "--model", "one", "--processes", "1"]
    code, out, said = run(capsys, *command, "--filter", 'banned:["nowhere"]', text=ODD)
    assert (code, out) == (2, "")
    assert said.startswith("Error: ")
    assert "nowhere" in said


def test_who_says_nothing_gets_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "cores", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert default_threads() == 6
    monkeypatch.setattr(cores, "cores", lambda: 64)
    assert default_threads() == cores.MAX_DEFAULT_THREADS
    for value, expected in (
        ("3", 3),
        ("2,4", 2),
        ("0", cores.MAX_DEFAULT_THREADS),
        ("x", cores.MAX_DEFAULT_THREADS),
    ):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert default_threads() == expected
    assert Cores(None, None).workers == cores.MAX_DEFAULT_THREADS
    assert Cores(5, None).workers == 5


@contextlib.contextmanager
def endless(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process, in a group of its own, that translates the same line for ever."""
    command = [sys.executable, "-m", "textgen", "translate", "--model", "one", "--device", "cpu"]
    with (
        subprocess.Popen(["yes", "the mind to suffer"], stdout=subprocess.PIPE) as yes,
        subprocess.Popen(
            [*command, *options],
            stdin=yes.stdout,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process,
    ):
        assert yes.stdout is not None
        yes.stdout.close()
        try:
            yield process
        finally:
            process.kill()
            yes.kill()


def children(process: int) -> list[int]:
    return [
        int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ]


def gone(processes: list[int]) -> bool:
    """Whether all have ended, within a while."""
    for _ in range(300):
        if not any(Path(f"/proc/{each}").exists() for each in processes):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("many", MANY, ids=["threads", "processes"])
def test_a_reader_that_leaves_ends_it_quietly(many: list[str]) -> None:
    with endless(*many) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = {process.stdout.readline() for _ in range(40)}
        workers = children(process.pid)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0
        assert len(lines) == 1
        assert gone(workers)


@pytest.mark.parametrize("many", MANY, ids=["threads", "processes"])
def test_an_interrupt_ends_all(many: list[str]) -> None:
    with endless(*many) as process:
        assert process.stdout is not None
        process.stdout.readline()
        workers = children(process.pid)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, said = process.communicate(timeout=60)
        # CPython ends with the signal itself where it came while an import was compiled
        assert process.returncode in {130, -signal.SIGINT}
        assert said == b"Stopped.\n"
        assert gone(workers)


def test_a_worker_that_dies_is_told() -> None:
    with endless("--processes", "2") as process:
        assert process.stdout is not None
        process.stdout.readline()
        victim = next(each for each in children(process.pid) if is_worker(each))
        os.kill(victim, signal.SIGKILL)
        out, said = process.communicate(timeout=60)
        assert process.returncode == 1
        assert said.startswith(b"Error: A worker process died (SIGKILL).")
        assert out.endswith(b"\n")


def is_worker(process: int) -> bool:
    return b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()


def test_workers_of_a_parent_that_is_killed_end_too() -> None:
    with endless("--processes", "2") as process:
        assert process.stdout is not None
        process.stdout.readline()
        workers = children(process.pid)
        process.kill()
        process.wait(60)
        assert gone(workers)
