"""Whole trainings on built-in corpora: minutes each, to their quality. They run with ``--slow``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from textgen.cli.failures import guarded
from textgen.components import CELLS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

DATES = ("--corpus", "dates:target=iso-words")
LANGUAGE = ("train", "lm", "--corpus", "python-reference", "--recipe", "char-small")


@pytest.fixture(autouse=True)
def all_cores() -> Any:
    """The tests around use one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: str) -> Any:
        assert guarded([*words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture(scope="module")
def dates(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = str(tmp_path_factory.mktemp("models") / "dates")
    steps = ("training.steps=2000", "training.minutes=none")
    words = ["train", "translator", *DATES, "--recipe", "dates-small", "--out", out]
    assert guarded([*words, "--set", *steps]) == 0
    return out


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("decode", ["greedy", "beam:width=4"])
def test_unseen_dates_are_translated(run: Any, dates: str, decode: str, precision: str) -> None:
    options = ("--decode", decode, "--precision", precision)
    found = run("evaluate", "translation", "--model", dates, *DATES, *options)
    assert found["lines"] == 1000
    assert found["exact"] >= 0.99


def test_attention_finds_the_words_of_a_date(run: Any, dates: str) -> None:
    found = run("evaluate", "alignment", "--model", dates, *DATES, "--unite", "attention")
    assert found["aer"] <= 0.02


# what 400 steps with one seed came to, and a tenth
REACHED = {
    "rnn": 1.85,
    "lstm": 1.83,
    "lstm-1997": 1.95,
    "lstm-peephole": 2.32,
    "gru": 1.62,
    "gru-fused": 1.89,
}


@pytest.mark.parametrize("cell", CELLS.builtin)
def test_every_cell_learns_characters(run: Any, tmp_path: Path, cell: str) -> None:
    changes = (f"model.cell={cell}", "model.hidden=256", "training.steps=400")
    out = ("--out", str(tmp_path / "model"))
    found = run(*LANGUAGE, *out, "--set", *changes, "training.minutes=none")
    assert found["validation"]["loss"] <= 1.1 * REACHED[cell]


def test_characters_are_learnt_and_keep_their_perplexity_with_fewer_bits(
    run: Any, tmp_path: Path
) -> None:
    out = str(tmp_path / "model")
    found = run(*LANGUAGE, "--out", out, "--set", "training.steps=1500", "training.minutes=none")
    assert found["validation"]["loss"] <= 1.32  # 1.235 was reached
    text = tmp_path / "text.txt"
    text.write_text("The following names are bound by every assignment statement.\n" * 20)
    nats = {
        precision: run("evaluate", "perplexity", "--model", out, str(text), *options)
        for precision, options in {
            "float32": (),
            "bfloat16": ("--precision", "bfloat16"),
            "int8": ("--precision", "int8"),
        }.items()
    }
    exact = nats["float32"]["nats_per_character"]
    for other in nats.values():
        assert other["nats_per_character"] == pytest.approx(exact, rel=0.02)
