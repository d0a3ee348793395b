"""``textgen recall``: cues, noise, pictures and wrong requests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from textgen.cli.failures import guarded

NAMES = "Ada Lovelace\nAlan Turing\n\nGrace Hopper\nAda Lovelace\nJohn Hopfield\n"


@pytest.fixture
def names(tmp_path: Path) -> str:
    path = tmp_path / "names.txt"
    path.write_text(NAMES, encoding="utf-8")
    return str(path)


@pytest.fixture
def letters(tmp_path: Path) -> str:
    path = tmp_path / "letters.txt"
    path.write_text("A\nH\nT\n", encoding="utf-8")
    return str(path)


def test_a_partial_cue_recalls_the_whole_text(
    names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(["recall", "--patterns", names, "--cue", "Ada ____"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["cue"] == "Ada ____"
    assert lines["recalled"] == lines["nearest"] == "Ada Lovelace"
    assert lines["state"] == "stored pattern"
    assert lines["overlap"].startswith("1.000 (cue 0.")
    assert lines["network"] == "hebb, 4 patterns of 416 units, P/N = 0.010"


@pytest.mark.parametrize("rule", ["hebb", "pseudo-inverse", "modern"])
def test_noise_is_taken_from_every_pattern(
    rule: str, names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["recall", "--patterns", names, "--noise", "0.2", "--rule", rule]
    assert guarded([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["recovered"] == found["patterns"] == len(found["recalls"]) == 4
    for each in found["recalls"]:
        assert each["text"] == each["pattern"]
        assert each["cue_overlap"] == pytest.approx(0.6, abs=0.01)
        assert each["energies"][-1] == each["energy"]
    assert guarded(words) == 0
    assert "\n4 of 4 recovered: " in capsys.readouterr().out


def test_drawn_letters_are_shown_and_plotted(
    letters: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "recall.png"
    words = ["recall", "--patterns", letters, "--drawn", "--rule", "pseudo-inverse"]
    assert guarded([*words, "--cue", "A", "--noise", "0.1", "--plot", str(plot)]) == 0
    out = capsys.readouterr().out
    assert "█" in out
    assert "stored pattern" in out
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert guarded([*words, "--noise", "0.1", "--plot", str(tmp_path / "all.svg")]) == 0
    assert "<svg" in (tmp_path / "all.svg").read_text(encoding="utf-8")


def test_the_energy_of_texts_is_plotted(
    names: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "energy.png"
    words = ["recall", "--patterns", names, "--noise", "0.3", "--updates", "synchronous"]
    assert guarded([*words, "--plot", str(plot)]) == 0
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert str(plot) in capsys.readouterr().err


def test_all_units_flipped_are_the_reverse(names: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["recall", "--patterns", names, "--cue", "Alan Turing", "--noise", "1"]
    assert guarded([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["state"], found["nearest"], found["overlap"]) == ("reverse", "Alan Turing", -1)
    assert guarded(words) == 0
    assert "reverse of a stored pattern" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        ((), "--cue TEXT, --noise P", 2),
        (("--cue", "a", "--beta", "2"), "--rule modern", 2),
        (("--cue", "a", "--rule", "modern", "--updates", "asynchronous"), "--updates out", 2),
        (("--cue", "a", "--rule", "modern", "--beta", "0"), "more than 0", 2),
        (("--noise", "1.5"), "at most 1", 2),
        (("--cue", "a" * 30), "the longest stored text has 13", 2),
        (("--cue", "a", "--plot", "x.gif"), "x.gif", 2),
        (("--cue", "漢", "--drawn"), "no picture of '漢'", 1),
    ],
)
def test_wrong_requests(
    words: tuple[str, ...],
    message: str,
    code: int,
    names: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert guarded(["recall", "--patterns", names, *words]) == code
    assert message in capsys.readouterr().err


def test_files_without_patterns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("\n \n", encoding="utf-8")
    assert guarded(["recall", "--patterns", str(empty), "--cue", "a"]) == 1
    assert "no pattern" in capsys.readouterr().err
    assert guarded(["recall", "--patterns", str(tmp_path / "none.txt"), "--cue", "a"]) == 1
    assert "none.txt" in capsys.readouterr().err


def test_a_file_without_patterns_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none.txt").write_text("\n \n", encoding="utf-8")
    assert guarded(["recall", "--patterns", str(tmp_path / "none.txt"), "--cue", "a"]) == 1
    assert "none.txt: there is no pattern" in capsys.readouterr().err
