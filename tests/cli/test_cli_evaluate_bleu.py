"""``textgen evaluate bleu`` as a person runs it."""

import io
import json
import sys
from pathlib import Path

import pytest

from textgen.cli.failures import guarded

REFERENCE = "A man sleeps on a bench.\nTwo dogs run over the grass.\nHe drinks coffee.\n"
OTHER = "A man sleeps in bed.\nTwo cats run over the grass.\nShe drinks tea.\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good").write_text(REFERENCE, encoding="utf-8")
    (tmp_path / "bad").write_text(OTHER, encoding="utf-8")
    (tmp_path / "reference").write_text(REFERENCE, encoding="utf-8")
    return tmp_path


def bleu(*arguments: str) -> int:
    return guarded(["evaluate", "bleu", *arguments])


@pytest.mark.usefixtures("folder")
def test_json_has_a_line_for_each_system(capsys: pytest.CaptureFixture[str]) -> None:
    assert bleu("good", "bad", "--reference", "reference", "--json") == 0
    good, bad = map(json.loads, capsys.readouterr().out.splitlines())
    assert good["system"] == "good"
    assert good["bleu"]["score"] == pytest.approx(100)
    assert bad["bleu"]["score"] < 60
    for name in ("bleu", "chrf", "ter"):
        assert {"score", "signature"} <= bad[name].keys()


@pytest.mark.usefixtures("folder")
def test_a_table_ends_with_the_signatures(capsys: pytest.CaptureFixture[str]) -> None:
    assert bleu("good", "--reference", "reference", "bad") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["SYSTEM", "BLEU", "chrF2", "TER"]
    assert lines[1].split() == ["good", "100.00", "100.00", "0.00"]
    assert lines[-1].startswith("TER")
    assert "nrefs:2" in lines[-1]


@pytest.mark.usefixtures("folder")
def test_paired_tests_and_intervals(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--paired", "bootstrap", "--samples", "50", "--metric", "bleu"]
    assert bleu("good", "bad", "--reference", "reference", *options) == 0
    out = capsys.readouterr().out
    assert "p=" in out
    assert "* differs from good with p < 0.05 (paired bootstrap, 50 samples)" in out
    confidence = ["--confidence", "--samples", "20", "--metric", "bleu", "--json"]
    assert bleu("bad", "--reference", "reference", *confidence) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["bleu"]["interval"] > 0
    assert "bs:20" in data["bleu"]["signature"]
    assert "chrf" not in data


@pytest.mark.usefixtures("folder")
def test_a_hypothesis_comes_from_stdin(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(REFERENCE.encode())))
    assert bleu("-", "--reference", "reference", "--json") == 0
    assert json.loads(capsys.readouterr().out)["bleu"]["score"] == pytest.approx(100)


def test_warnings_go_to_stderr(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "tokenised").write_text("A man .\nTwo dogs .\nHe .\n", encoding="utf-8")
    assert bleu("tokenised", "--reference", "reference", "--json") == 0
    shown = capsys.readouterr()
    assert "Warning: tokenised looks tokenised" in shown.err
    json.loads(shown.out)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["good", "--reference", "short"], 1, "good has 3, short has 2"),
        (["none", "--reference", "reference"], 1, "none: cannot be read: No such file"),
        (["good"], 2, "--reference"),
        (["--reference", "reference", "good"], 2, "name the hypothesis before it"),
        (["good", "good", "--reference", "reference"], 2, "good is given twice"),
        (["good", "--reference", "reference", "--tokenizer", "13b"], 2, "Did you mean '13a'"),
        (["good", "--reference", "reference", "--paired", "bootstrap"], 2, "two or more"),
    ],
)
def test_wrong_requests_get_a_sentence(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    (folder / "short").write_text("A\nB\n", encoding="utf-8")
    assert bleu(*arguments) == code
    shown = capsys.readouterr()
    assert message in shown.err
    assert not shown.out
