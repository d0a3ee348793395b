"""Models that were saved in format 1 load for ever, and say what they said."""

from __future__ import annotations

from pathlib import Path

import pytest

import textgen
from textgen.checkpoint import read_config

FOLDER = Path(__file__).parent / "models_of_version_1"


def test_the_translator() -> None:
    model = textgen.load_model(str(FOLDER / "dates"), device="cpu")
    beam = textgen.resolve("beam:width=5", [], textgen.default_registries())
    lines = ["the 21st of November 1987", "3 May 2021"]
    found = [
        (each.text, each.candidates[0].log_prob) for each in textgen.translate(model, lines, beam)
    ]
    assert [text for text, _ in found] == ["1987 11 21", "2021 05 03"]
    assert [value for _, value in found] == pytest.approx([-0.56602538, -0.54800439], abs=1e-5)


def test_the_language_model() -> None:
    model = textgen.load_model(str(FOLDER / "shakespeare"), device="cpu")
    greedy = textgen.resolve("greedy", [], textgen.default_registries())
    (found,) = textgen.generate(model, [textgen.Request("ROMEO:", max_tokens=40)], greedy)
    assert found.text == "\nWhat says your honour and the state of "
    assert found.log_prob == pytest.approx(-26.0535965, abs=1e-4)


def test_the_format_is_really_the_first() -> None:
    assert [read.kind for read in map(read_config, sorted(each for each in FOLDER.iterdir()))] == [
        "translator",
        "language-model",
    ]
    for folder in FOLDER.iterdir():
        assert '"format": 1' in (folder / "config.json").read_text(encoding="utf-8")
        assert textgen.load_model(str(folder), device="cpu").facts.get("train") is None
