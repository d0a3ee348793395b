"""``textgen evaluate gradients``: the course's argument from rnn to lstm, run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from small_models import save_language_model
from textgen.cli.failures import guarded


def norms(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, list[float]]:
    assert guarded(["evaluate", "gradients", *words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    return {name: [row["norm"] for row in flow] for name, flow in found.items()}


def test_skips_through_time_keep_the_gradient(capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for cell in ("rnn", "rnn-residual", "lstm") for word in ("--cell", cell)]
    found = norms(capsys, *words, "--hidden", "16", "--length", "33", "--texts", "2")
    assert {len(flow) for flow in found.values()} == {33}
    rnn, residual, lstm = found.values()
    assert rnn[32] < 1e-3 * rnn[0]
    assert residual[32] > 0.5
    assert rnn[32] < lstm[32]


def test_a_model_reads_its_own_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(save_language_model(tmp_path / "model"))
    picture = tmp_path / "flow.png"
    words = ("evaluate", "gradients", "--model", model, "--cell", "gru", "--length", "9")
    assert guarded([*words, "--hidden", "8", "--texts", "1", "--plot", str(picture)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[-1].strip() == "gru (fresh)"
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "4", "8", "9"]
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "at least one --model, --cell or --recipe"),
        (("--cell", "lstn"), "lstm"),
        (("--model", "dates"), "dates is a translator"),
        (("--model", "nowhere"), "nowhere"),
        (("--cell", "gru", "--hidden", "4", "--plot", "x.gif"), "x.gif"),
    ],
)
def test_wrong_requests(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert guarded(["evaluate", "gradients", *words, "--length", "3"]) in {1, 2}
    assert message in capsys.readouterr().err


def test_the_layers_of_a_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "small.toml"
    text = 'kind = "tagger"\n[model]\ncell = "gru"\nhidden = 8\n[training]\nsteps = 1\n'
    recipe.write_text(text, encoding="utf-8")
    found = norms(capsys, "--recipe", str(recipe), "--length", "5", "--texts", "1")
    assert [len(flow) for flow in found.values()] == [5]
    same = norms(capsys, "--cell", "gru", "--hidden", "8", "--length", "5", "--texts", "1")
    assert list(found.values()) == list(same.values())
    words = ["evaluate", "gradients", "--recipe", "classifier-convolution"]
    assert guarded(words) == 2
    assert "has no recurrent layers" in capsys.readouterr().err
