"""``train --overwrite`` and ``--resume`` that fail: what is left, and what is told."""

import os
import shutil
from pathlib import Path

import pytest
import torch

from textgen.checkpoint import TRAINING, read_config
from textgen.cli.failures import guarded
from textgen.tasks import texts

SETTINGS = ["training.minutes=none", "training.steps=3", "model.hidden=8", "training.device=cpu"]


def train(*arguments: str, text: str = "a.txt", settings: tuple[str, ...] = ()) -> int:
    options = ("--train", text, "--out", "m", "--threads", "1", *arguments)
    return guarded(["train", "lm", *options, "--set", *SETTINGS, *settings])


def files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path("m").iterdir()}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("the cat sat on a mat\n" * 40, encoding="utf-8")
    Path("cp1251.txt").write_bytes(b"\xcf\xf0\n")


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        (("--valid", "cp1251.txt"), ()),
        ((), ("tokenizer.kind=unigram", "tokenizer.size=5")),
        ((), ("training.learning_rate=3e38", "training.schedule=constant", "training.steps=20")),
        ((), ("training.device=cuda",)),
    ],
    ids=["text", "recipe", "loss", "device"],
)
def test_what_fails_before_the_first_save_keeps_the_old_model(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], settings: tuple[str, ...]
) -> None:
    if settings == ("training.device=cuda",) and torch.cuda.is_available():
        pytest.skip("there is such a device")
    assert train() == 0
    Path("m/lexicon.safetensors").write_bytes(b"of the old model")
    Path("m/notes.txt").write_bytes(b"a user's")
    before = files()
    assert train("--overwrite", *arguments, settings=settings) in {1, 2}
    assert files() == before
    if "device" not in str(settings):
        assert "Nothing was saved: m still holds the model from before." in capsys.readouterr().err
    assert train("--overwrite") == 0
    after = files()
    assert before.keys() - after.keys() == {"lexicon.safetensors"}
    assert after["notes.txt"] == before["notes.txt"]


def test_a_resume_that_fails_can_be_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    assert train(settings=("training.ema_decay=0.9",)) == 0
    before = files()
    changed = ("training.ema_decay=0", "training.average_checkpoints=3", "training.steps=6")
    assert train("--resume", settings=changed) == 1
    assert "average" in capsys.readouterr().err
    assert files() == before
    assert train("--resume", settings=("training.ema_decay=0.9", "training.steps=4")) == 0
    assert files()[TRAINING] != before[TRAINING]


def test_who_stops_before_the_first_save_is_not_told_to_resume(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train() == 0
    before = files()

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(texts, "train_tokenizer", stopped)
    assert train("--overwrite") == 130
    told = capsys.readouterr().err
    assert "m still holds the model from before" in told
    assert "To go on" not in told
    assert files() == before


def test_a_file_may_have_any_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Names of files are bytes: what is not UTF-8 is written to JSON as an escape."""
    name = os.fsdecode(b"n\xff.txt")
    try:
        shutil.copy("a.txt", name)
    except OSError:
        pytest.skip("the file system takes no such name")
    assert train("--log", os.fsdecode(b"l\xff.jsonl"), text=name) == 0
    assert read_config(Path("m")).facts["train"]["name"].startswith(name)
    assert guarded(["evaluate", "perplexity", "--model", "m", name, "--json"]) == 0
    assert guarded(["models"]) == 0
    assert capsys.readouterr().out


def test_what_a_diverged_training_leaves_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing, the model from before, or the last good weights: one of them."""
    diverging = ("training.learning_rate=3e38", "training.schedule=constant", "training.steps=20")
    assert train(settings=diverging) == 1
    told = capsys.readouterr().err
    assert "Nothing was saved.\n" in told
    assert "kept" not in told
    assert not Path("m").exists()
    assert train() == 0
    capsys.readouterr()
    assert train("--overwrite", settings=diverging) == 1
    told = capsys.readouterr().err
    assert "Nothing was saved: m still holds the model from before." in told
    assert "weights are kept" not in told
    saving = (
        *diverging,
        "training.validate_every=1",
        "training.warmup=0.5",
        "training.max_grad_norm=0",
    )
    assert train("--overwrite", settings=saving) == 1
    assert "The last good weights are kept in m." in capsys.readouterr().err


def test_a_link_that_leads_nowhere_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("m").symlink_to("nowhere")
    assert train() == 2
    assert "m: is a link that leads nowhere." in capsys.readouterr().err


def test_another_average_is_told_by_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert train(settings=("training.ema_decay=0.9",)) == 0
    changed = ("training.ema_decay=0", "training.average_checkpoints=3", "training.steps=9")
    assert train("--resume", settings=changed) == 1
    told = capsys.readouterr().err
    assert "training.ema_decay and training.average_checkpoints must be as they were" in told


@pytest.mark.parametrize("option", ["--out", "--log", "--train"])
def test_a_path_is_needed(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "lm", "--train", "a.txt", "--out", "m", "--set", *SETTINGS]
    assert guarded([*command, option, ""]) == 2
    assert (
        f"Invalid value for '{option}': it is empty; a path is needed." in capsys.readouterr().err
    )
    assert guarded([*command, option, "-"]) == 2
    assert "/dev/stdout" in capsys.readouterr().err
    assert {path.name for path in Path().iterdir()} == {"a.txt", "cp1251.txt"}


def test_leftovers_of_a_killed_training_are_removed() -> None:
    assert train() == 0
    before = files().keys()
    Path("m/.training.safetensors.part").write_bytes(b"half")
    Path("m/.staged").mkdir()
    assert train("--resume") == 0
    assert {path.name for path in Path("m").iterdir()} == before
