"""``textgen compare``: tables, JSON, pictures and refusals for every task."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from textgen.cli.failures import guarded

TINY = ("training.steps=4", "training.validate_every=2", "training.log_every=1")
UNBOUNDED = ("training.steps=none", "training.epochs=none", "training.minutes=none")
SMALL = ("model.hidden=8", "training.device=cpu")


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "text.txt"
    path.write_text("The quick brown fox jumps over the lazy dog.\n" * 40, encoding="utf-8")
    return str(path)


def test_a_table_a_picture_and_json(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, plot = tmp_path / "out", tmp_path / "plot.svg"
    words = ["compare", "lm", "--train", text, "--vary", "model.cell=rnn,gru", "--seeds", "2"]
    words += ["--set", *TINY, *SMALL, "--out", str(out)]
    assert guarded([*words, "--plot", str(plot)]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["model.cell", "parameters", "tokens/s", "nats/token"]
    assert [row.split()[0] for row in rows] == ["rnn", "gru"]
    assert sum(row.endswith("best") for row in rows) == 1
    assert plot.read_text(encoding="utf-8").count("<svg") == 1
    assert guarded([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert (found["task"], found["criterion"]) == ("language-model", "loss")
    assert found["higher_is_better"] is False
    assert [(run["combination"], run["seed"]) for run in found["runs"]] == [
        (cell, seed) for cell in ("rnn", "gru") for seed in (0, 1)
    ]
    run = found["runs"][0]
    assert [point["step"] for point in run["validation_curve"]] == [2, 4]
    assert [point["step"] for point in run["training_curve"]] == [1, 2, 3, 4]
    assert run["stopped"] == "steps"
    assert set(found["rows"][0]["validation"]["loss"]) == {"mean", "deviation"}
    assert guarded(["generate", "--model", run["model"], "--prompt", "T", "--max-tokens", "3"]) == 0


def test_the_recipe_names_the_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "table.csv"
    lines = [f"number {n},{'even' if n % 2 == 0 else 'odd'}" for n in range(60)]
    table.write_text("text,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    words = ["compare", "--recipe", "classifier-small", "--train", str(table), "--seeds", "1"]
    words += ["--vary", "model.summary=last,max", "--set", *TINY, *SMALL]
    assert guarded([*words, "--out", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["task"], found["criterion"]) == ("classifier", "accuracy")
    assert found["higher_is_better"] is True


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("lm",), "nothing is varied"),
        (("lm", "--vary", "model.cel=rnn"), "cell"),
        (("lm", "--vary", "model.cell=rnn,lstn"), "lstm"),
        (("lm", "--vary", "model.cell=rnn", "--set", "model.cell=gru"), "give one of them"),
        (("lm", "--vary", "training.minutes=1", "--minutes", "2"), "give one of them"),
        (("lm", "--vary", "model.cell=rnn", "--set", *UNBOUNDED), "stopping"),
        (("lm", "--vary", "model.cell=rnn", "--test", "x.txt"), "--test"),
        (("--vary", "model.cell=rnn"), "Say what to compare"),
        (("lmm", "--vary", "model.cell=rnn"), "lm"),
        (("lm", "--vary", "model.cell=rnn", "--plot", "x.gif"), "x.gif"),
        (("lm", "--vary", "model.cell=rnn", "--set", "data.valid_share=0"), "valid_share"),
    ],
)
def test_wrong_requests(
    words: tuple[str, ...],
    message: str,
    text: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert guarded(["compare", *words, "--train", text, "--out", str(out)]) in {1, 2}
    assert message in capsys.readouterr().err
    assert not out.exists()
