"""Old names of configuration keys are read for ever, from files, settings and saved models."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

import textgen
from textgen.checkpoint import read_config
from textgen.cli.failures import guarded
from textgen.config import as_dict
from textgen.errors import ConfigError
from textgen.recipes import load_any_recipe, load_recipe
from textgen.renames import RENAMED, renamed
from textgen.task import find_task

FOLDER = Path(__file__).parent / "models_of_version_2"


def test_every_new_name_is_a_key_of_now() -> None:
    known = json.dumps(as_dict(find_task("translator").recipe_class()))
    for old, new in RENAMED.items():
        assert f'"{new.rpartition(".")[2]}":' in known
        assert f'"{old.rpartition(".")[2]}":' not in known


def test_old_names_become_new_ones() -> None:
    data = {"training": {"clip": 1, "window": 2, "batch": 3}, "judge": {"decode": "greedy"}}
    found, notes = renamed(data)
    assert found == {
        "training": {"max_grad_norm": 1, "bptt_length": 2, "batch": 3},
        "validation": {"decode": "greedy"},
    }
    assert notes[0] == "training.clip is named training.max_grad_norm now."
    assert len(notes) == 3
    assert data["training"]["clip"] == 1
    assert renamed(found) == (found, [])


def test_settings_and_files_of_old_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "textgen"):
        recipe = load_recipe("char-small", ["training.clip=0.125", "training.average=0.5"])
    assert (recipe.training.max_grad_norm, recipe.training.ema_decay) == (0.125, 0.5)
    assert "training.average is named training.ema_decay now." in caplog.messages
    path = tmp_path / "mine.toml"
    path.write_text(
        'kind = "translator"\n[training]\nsteps = 3\naverage_last = 2\n[judge]\nbleu_pairs = 4\n',
        encoding="utf-8",
    )
    old = load_any_recipe("translator", str(path))
    assert (old.training.average_checkpoints, old.validation.bleu_pairs) == (2, 4)
    with pytest.raises(ConfigError, match=r"training.clip: there is no such option"):
        load_recipe("char-small", ["training.clip=1", "training.max_grad_norm=2"])


def test_the_command_line_tells_the_new_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("the cat sat on a mat\n" * 40, encoding="utf-8")
    settings = ["training.minutes=none", "training.steps=1", "model.hidden=8", "training.window=9"]
    assert guarded(["train", "lm", "--train", "a.txt", "--out", "m", "--set", *settings]) == 0
    assert "Note: training.window is named training.bptt_length now." in capsys.readouterr().err
    assert read_config(Path("m")).config["training"]["bptt_length"] == 9


def test_models_of_format_2_load() -> None:
    for folder in FOLDER.iterdir():
        assert '"format": 2' in (folder / "config.json").read_text(encoding="utf-8")
    words = textgen.load(FOLDER / "words", device="cpu")
    training = words.recipe.training
    found = training.ema_decay, training.max_grad_norm, training.bptt_length
    assert (*found, training.reset_probability) == (0.5, 0.5, 10, 0.1)
    assert isinstance(words, textgen.LoadedLanguageModel)
    found_text = words.generate("the", decode="greedy", max_tokens=4)
    assert found_text.text == "\non on on"
    assert found_text.log_prob == pytest.approx(-7.7118883, abs=1e-3)
    pairs = textgen.load(FOLDER / "pairs", device="cpu")
    assert pairs.recipe.training.average_checkpoints == 2
    assert pairs.recipe.validation.bleu_pairs == 2
