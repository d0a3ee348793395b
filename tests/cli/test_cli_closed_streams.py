"""Streams that the caller closed: no traceback, and nothing is lost in silence."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from textgen.cli.failures import guarded

MODELS = Path(__file__).parent.parent / "models_of_version_1"
LM, MT = str(MODELS / "shakespeare"), str(MODELS / "dates")
GENERATE = ["generate", "--model", LM, "--max-tokens", "3"]
TRANSLATE = ["translate", "--model", MT]


@pytest.mark.parametrize(
    "command",
    [
        [*GENERATE, "--prompt", "-"],
        [*GENERATE, "--jsonl"],
        TRANSLATE,
        [*TRANSLATE, "--jsonl"],
        ["evaluate", "bleu", "-", "--reference", str(MODELS / "dates" / "config.json")],
    ],
)
def test_a_closed_stdin_is_told_by_who_reads_it(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert guarded(command) == 2
    assert capsys.readouterr().err == (
        "Error: Standard input is closed: there is nothing to read.\n"
    )


def test_a_closed_stdin_does_not_matter_to_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--prompt", "a", "--json"], ["--prompt", "a"]):
        monkeypatch.setattr(sys, "stdin", None)
        assert guarded([*GENERATE, *words]) == 0
    assert "a" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [
        [*GENERATE, "--prompt", "a"],
        [*GENERATE, "--prompt", "a", "--json"],
        TRANSLATE,
        ["models"],
        ["--help"],
        ["plugins", "beam"],
    ],
)
def test_a_closed_stdout_fails_since_results_are_lost(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"3 May 2021\n")))
    monkeypatch.setattr(sys, "stdout", None)
    assert guarded(command) == 1
    monkeypatch.undo()
    assert "Error: Standard output is closed" in capsys.readouterr().err


@pytest.mark.parametrize(("prompt", "code"), [("a", 0), ("", 0)])
def test_a_closed_stderr_changes_no_exit_code(
    prompt: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert guarded([*GENERATE, "--prompt", prompt, "-v"]) == code
    monkeypatch.setattr(sys, "stderr", None)
    assert guarded(["generate", "--model", "nowhere", "--prompt", "a"]) == 1
    assert capsys.readouterr().out.startswith(prompt)
