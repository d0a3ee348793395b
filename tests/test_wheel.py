"""The wheel, installed in another environment: all that the commands need travels with it."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from textgen.native import kernels

ROOT = Path(__file__).resolve().parent.parent


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    run(*build, cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def textgen(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of an environment that has the wheel, and this one's other packages."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False)
    binary = place / "bin"
    run(
        *(sys.executable, "-m", "pip", "--python", binary / "python", "install", "--quiet"),
        *("--no-deps", "--no-index", wheel),
        cwd=place,
    )
    site = next((place / "lib").glob("python*/site-packages"))
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return binary / "textgen"


def test_the_wheel_holds_both_packages_and_what_they_read(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {
        "textgen",
        "textgen_decoders",
    }
    assert {"textgen/py.typed", "textgen_decoders/nucleus.py"} <= names
    assert "textgen/_bundled/checkpoints/shakespeare/model.safetensors" in names
    for kind, folder in (("corpora/*.toml", "_bundled/"), ("textgen/recipes_data/*.toml", "")):
        sources = list(ROOT.glob(kind))
        assert sources, kind
        for source in sources:
            inside = source.relative_to(ROOT).as_posix().removeprefix("textgen/")
            assert f"textgen/{folder}{inside}" in names


def test_what_was_compiled_travels_too(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    built = {name for name in names if name.endswith(".so")}
    assert "textgen/native/kernels.c" in names
    assert wheel.stem.endswith("-none-any") == (not built)
    assert wheel.stem.split("-")[2] == "py3"
    assert built or kernels() is None


@pytest.mark.parametrize("compiler", ["false", "no-such-compiler"])
def test_without_a_compiler_the_wheel_is_for_all_machines(compiler: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("textgen", "plugins", "corpora", "checkpoints/bundled"):
        ignored = shutil.ignore_patterns("*.so", "__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    old = source / "textgen/native/kernels-amx.so"  # of a compiler that was here once
    old.write_bytes(b"")
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path)
    run(*build, source, cwd=tmp_path, CC=compiler, TEXTGEN_NATIVE="1")
    (found,) = tmp_path.glob("*.whl")
    assert found.stem.endswith("py3-none-any")
    names = zipfile.ZipFile(found).namelist()
    assert "textgen/native/kernels.c" in names
    assert not [name for name in names if name.endswith(".so")]


def test_the_commands_run_away_from_the_checkout(textgen: Path, tmp_path: Path) -> None:
    origin = "import textgen; print(textgen.__file__)"
    file = run(textgen.parent / "python", "-c", origin, cwd=tmp_path).strip()
    assert Path(file).is_relative_to(textgen.parent.parent)

    assert "nucleus" in run(textgen, "plugins", cwd=tmp_path)
    assert "python-reference" in run(textgen, "corpora", cwd=tmp_path)
    assert "char-small" in run(textgen, "recipes", cwd=tmp_path)

    (tmp_path / "text.txt").write_text("the cat sat on the mat. " * 200, encoding="utf-8")
    small = ["model.hidden=16", "model.layers=1", "training.steps=4", "training.device=cpu"]
    train = ("train", "lm", "--train", "text.txt", "--out", "model", "--set", *small)
    run(textgen, *train, cwd=tmp_path)
    out = run(
        *(textgen, "generate", "--model", "model", "--prompt", "the ", "--decode", "top-k:k=3"),
        *("--max-tokens", "5"),
        cwd=tmp_path,
    )
    assert out.startswith("the ")
    figures = run(
        *(textgen, "evaluate", "perplexity", "--model", "model", "text.txt", "--json"), cwd=tmp_path
    )
    assert '"perplexity": ' in figures


def test_a_plugin_of_another_package_is_found(textgen: Path, tmp_path: Path) -> None:
    site = next((textgen.parent.parent / "lib").glob("python*/site-packages"))
    (site / "quiet.py").write_text(
        'def only_eos():\n    """Forbid nothing."""\n    return lambda scores, _: scores\n'
    )
    info = site / "quiet-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: quiet\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[textgen.filters]\nquiet = quiet:only_eos\n")
    listed = run(textgen, "plugins", cwd=tmp_path)
    line = next(line for line in listed.splitlines() if line.startswith("quiet"))
    assert line.split() == ["quiet", "filter", "quiet", "1.0", "Forbid", "nothing."]
