"""A package of somebody else's: installed by pip, found by name, its files dropped as they are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from small_models import save_language_model
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
    assert out.splitlines()[-1].startswith("9 passed")
