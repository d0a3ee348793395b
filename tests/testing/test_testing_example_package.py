"""A package of somebody else's: installed by pip, found by name, its files dropped as they are."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from small_models import save_language_model
from textgen.checkpoint import TRAINING, WEIGHTS, load_tensors
from textgen.registry import FOLDERS_VARIABLE

PACKAGE = Path(__file__).parents[1] / "example_package"
DECODE = ("--decode", "tournament:n=2", "--filter", "cool-down:start=2,rate=0.2")


def run(*command: str | Path, **variables: str | Path) -> str:
    """Standard output of a Python command that succeeds."""
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", FOLDERS_VARIABLE}}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        env=environment | {key: str(value) for key, value in variables.items()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("example")


@pytest.fixture(scope="module")
def copy(folder: Path) -> Path:
    """The package where it may leave what building and testing leave."""
    return Path(shutil.copytree(PACKAGE, folder / "package"))


@pytest.fixture(scope="module")
def installed(copy: Path, folder: Path) -> Path:
    """Where pip has put the package, without a network."""
    target = folder / "site"
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--no-cache-dir", "--quiet")
    run("-m", "pip", "install", *options, "--target", target, copy)
    return target


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    return save_language_model(folder / "model")


def generated(model: Path, **variables: str | Path) -> dict[str, object]:
    command = ("-m", "textgen", "generate", "--model", model, "--prompt", "To ", "--json")
    out = run(*command, *DECODE, "--max-tokens", "12", "--seed", "3", **variables)
    answer: dict[str, object] = json.loads(out)
    return answer


def test_installed_it_is_used_by_name(installed: Path, model: Path, folder: Path) -> None:
    answer = generated(model, PYTHONPATH=installed)
    for part in ("cool-down:start=2.0,end=0.5,rate=0.2", "tournament:n=2"):
        assert part in str(answer["decode"])
    assert answer["tokens"] == 12
    dropped = folder / "dropped"
    dropped.mkdir()
    for file in ("cool_down.py", "tournament.py"):
        shutil.copy(PACKAGE / "src" / "textgen_example" / file, dropped)
    assert generated(model, **{FOLDERS_VARIABLE: dropped}) == answer


def test_its_origin_and_version_are_shown(installed: Path) -> None:
    listed = run("-m", "textgen", "plugins", PYTHONPATH=installed).splitlines()
    for name in ("cool-down", "tournament"):
        (line,) = [line for line in listed if line.startswith(f"{name} ")]
        assert "textgen-example 0.3.0" in line
    shown = run("-m", "textgen", "plugins", "tournament", PYTHONPATH=installed)
    assert shown.startswith("tournament: a strategy of textgen-example 0.3.0\n")
    assert "tokens drawn at each step" in shown
    assert "tournament" not in run("-m", "textgen", "plugins")


def test_its_own_tests_pass(installed: Path, copy: Path) -> None:
    out = run("-m", "pytest", "-q", "--rootdir", copy, copy / "tests", PYTHONPATH=installed)
    assert out.splitlines()[-1].startswith("15 passed")


TRAIN = (
    *("-m", "textgen", "train", "line-classifier", "--train", "lines.txt", "labels.txt"),
    *("--set", "model.hidden=8", "model.cell=fast-weights", "training.epochs=none"),
    *("training.validate_every=5", "training.save_every=0", "training.precision=float32"),
    *("training.device=cpu", "training.steps=60", "training.log_every=1"),
)


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labelled lines in the working folder."""
    monkeypatch.chdir(tmp_path)
    words = [("red", "green", "blue")[i * i % 3] + f" {i}" for i in range(48)]
    Path("lines.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    Path("labels.txt").write_text("".join(f"{word[0]}\n" for word in words), encoding="utf-8")


def steps(log: Path) -> list[dict[str, float]]:
    """What a log tells of steps."""
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [event for event in events if event["event"] == "step"]


def kill_at(step: int, out: str, **variables: str | Path) -> None:
    """Begin a training, and kill it when it tells a step."""
    environment = os.environ | {key: str(value) for key, value in variables.items()}
    command = [sys.executable, *TRAIN, "--out", out, "--log", "/dev/stdout"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line).get("step", 0) >= step:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL


@pytest.mark.usefixtures("lines")
def test_its_cell_and_task_train_and_go_on_bit_for_bit(installed: Path) -> None:
    run(*TRAIN, "--out", "straight", PYTHONPATH=installed)
    kill_at(20, "broken", PYTHONPATH=installed)
    run(*TRAIN, "--out", "broken", "--resume", PYTHONPATH=installed)
    compared = 0
    for name in (WEIGHTS, TRAINING):
        (wanted, _), (found, _) = (load_tensors(Path(out) / name) for out in ("straight", "broken"))
        assert found.keys() == wanted.keys()
        for key, tensor in found.items():
            assert tensor.equal(wanted[key]), (name, key)
            compared += 1
    assert compared > 20
    shown = json.loads(run("-m", "textgen", "models", "straight", "--json", PYTHONPATH=installed))
    assert shown["kind"] == "line-classifier"
    assert shown["facts"]["vocabularies"] == {"text": "tokenizer", "label": "label_tokenizer"}
    assert Path("straight/label_tokenizer.json").is_file()


@pytest.mark.usefixtures("lines")
def test_its_encoder_trains_in_two_processes(installed: Path) -> None:
    options = ("--set", "model.encoder=windows", "training.steps=6")
    run(*TRAIN, *options, "--out", "one", "--log", "one.jsonl", PYTHONPATH=installed)
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--")
    run(*torchrun, *TRAIN[1:], *options, "--out", "two", "--log", "two.jsonl", PYTHONPATH=installed)
    alone, together = steps(Path("one.jsonl")), steps(Path("two.jsonl"))
    assert len(alone) == 6
    assert [each["loss"] for each in together] == pytest.approx(
        [each["loss"] for each in alone], abs=1e-4
    )
