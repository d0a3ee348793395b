"""Options with several values, lazy groups, and what starting up imports."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from textgen.cli.lazy import Several, SeveralCommand

ROOT = Path(__file__).resolve().parents[2]


@click.command("both", cls=SeveralCommand)
@click.option("--train", "-t", cls=Several, multiple=True)
@click.option("--name")
@click.option("--quick", is_flag=True)
@click.argument("rest", nargs=-1)
def both(train: tuple[str, ...], name: str | None, quick: bool, rest: tuple[str, ...]) -> None:
    click.echo(json.dumps([train, name, quick, rest]))


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        ([], [[], None, False, []]),
        (["--train", "a"], [["a"], None, False, []]),
        (["--train", "a", "b", "c"], [["a", "b", "c"], None, False, []]),
        (["--train", "a", "--train", "b"], [["a", "b"], None, False, []]),
        (["--train=a", "b"], [["a", "b"], None, False, []]),
        (["-t", "a", "b"], [["a", "b"], None, False, []]),
        (["--train", "a", "-", "--name", "n", "r"], [["a", "-"], "n", False, ["r"]]),
        (["--train", "a", "b", "--quick", "r"], [["a", "b"], None, True, ["r"]]),
        (["--train", "a", "--", "r"], [["a"], None, False, ["r"]]),
        (["r", "--train", "a", "b"], [["a", "b"], None, False, ["r"]]),
        (["--name=--train", "r"], [[], "--train", False, ["r"]]),
    ],
)
def test_several_values_after_one_option(arguments: list[str], seen: list[object]) -> None:
    result = CliRunner().invoke(both, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.output) == seen


def imported_by(*arguments: str) -> set[str]:
    """The modules in memory after a command."""
    script = (
        "import sys, contextlib, os\n"
        "from textgen.cli.failures import guarded\n"
        "with open(os.devnull, 'w') as nowhere, contextlib.redirect_stdout(nowhere):\n"
        f"    code = guarded({list(arguments)!r})\n"
        "assert code == 0, code\n"
        "print('\\n'.join(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


def test_help_starts_without_the_heavy_packages() -> None:
    loaded = imported_by("--help")
    assert "click" in loaded
    heavy = {"torch", "datasets", "numpy", "rich", "pydantic", "sentencepiece", "matplotlib"}
    assert not loaded & heavy


@pytest.mark.parametrize("command", ["train", "train lm", "generate", "evaluate perplexity"])
def test_the_help_of_a_command_imports_no_torch(command: str) -> None:
    assert not imported_by(*command.split(), "-h") & {"torch", "datasets"}


def test_listing_plugins_imports_none() -> None:
    loaded = imported_by("plugins")
    assert not {name for name in loaded if name.startswith(("textgen_decoders", "torch"))}
