"""textgen.train and textgen.training_events: what people type, and what comes of it."""

from __future__ import annotations

import math
import signal
from pathlib import Path
from typing import Any

import pytest

import textgen
from small_models import TEXT
from textgen.cli.failures import guarded
from textgen.loaded.history import TrainingHistory
from textgen.training.events import Event, Step, Stopped

TINY = {
    "training.steps": 6,
    "training.validate_every": 3,
    "training.log_every": 2,
    "training.device": "cpu",
    "model.hidden": 8,
    "model.embedding": 4,
}


@pytest.fixture
def novel(tmp_path: Path) -> Path:
    path = tmp_path / "novel.txt"
    path.write_text(TEXT * 20, encoding="utf-8")
    return path


def test_a_language_model_from_a_file(
    novel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = textgen.train("char-small", str(novel), out=tmp_path / "out", settings=TINY)
    assert type(model) is textgen.LoadedLanguageModel
    assert model.folders == (tmp_path / "out",)
    assert len(model.generate("To", max_tokens=5).tokens) == 5
    assert "step 3  validation" in capsys.readouterr().err, "plain lines where nobody can see a bar"
    history = model.history
    assert [each.step for each in history.steps][-1] == history.step == 6
    assert [each.step for each in history.validations] == [3, 6]
    assert history.reason == "steps"
    assert repr(history).startswith("TrainingHistory(6 steps in 0:0")
    assert textgen.load(tmp_path / "out").history == textgen.TrainingHistory()


def test_it_is_what_the_command_line_trains(novel: Path, tmp_path: Path) -> None:
    model = textgen.train("char-small", novel, out=tmp_path / "a", settings=TINY, progress=False)
    settings = [f"{key}={value}" for key, value in TINY.items()]
    command = ["train", "lm", "--recipe", "char-small", "--train", str(novel)]
    assert guarded([*command, "--out", str(tmp_path / "b"), "--set", *settings]) == 0
    other = textgen.load(tmp_path / "b", kind=textgen.LoadedLanguageModel)
    assert model.perplexity(novel) == other.perplexity(novel)


def test_nothing_is_shown_without_progress(
    novel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = textgen.open_text(novel)
    textgen.train("char-small", source, out=tmp_path / "out", settings=TINY, progress=False)
    assert capsys.readouterr() == ("", "")


def test_several_files_a_validation_text_and_a_recipe(novel: Path, tmp_path: Path) -> None:
    recipe = textgen.load_recipe("char-small", TINY)
    settings = {"training.steps": 2}
    valid = textgen.Texts([TEXT])
    model = textgen.train(
        recipe, [novel, novel], valid=valid, out=tmp_path / "out", settings=settings, progress=False
    )
    assert model.history.step == 2
    assert model.facts["valid"]["held_out"] is False


def test_ctrl_c_saves_and_says_how_to_go_on(
    novel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen = TrainingHistory.listen

    def stop(self: TrainingHistory, event: Event) -> None:
        listen(self, event)
        if isinstance(event, Step) and event.step == 4:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(TrainingHistory, "listen", stop)
    keywords: dict[str, Any] = {"out": tmp_path / "out", "progress": False, "settings": TINY}
    with pytest.raises(KeyboardInterrupt) as end:
        textgen.train("char-small", novel, **keywords)
    assert "resume=True goes on from there" in "".join(end.value.__notes__)
    monkeypatch.undo()
    model = textgen.train("char-small", novel, resume=True, **keywords)
    whole = textgen.train("char-small", novel, out=tmp_path / "b", settings=TINY, progress=False)
    assert model.checksums == whole.checksums


def test_resume_and_overwrite(novel: Path, tmp_path: Path) -> None:
    keywords: dict[str, Any] = {"out": tmp_path / "out", "progress": False}
    textgen.train("char-small", novel, settings=TINY, **keywords)
    with pytest.raises(textgen.UsageError, match="holds a model already"):
        textgen.train("char-small", novel, settings=TINY, **keywords)
    longer = {**TINY, "training.steps": 8}
    model = textgen.train("char-small", novel, settings=longer, resume=True, **keywords)
    assert model.history.steps[0].step > 6
    assert model.history.step == 8
    model = textgen.train("char-small", novel, settings=TINY, overwrite=True, **keywords)
    assert model.history.step == 6


def test_a_translator_from_two_files_or_pairs(tmp_path: Path) -> None:
    lines = TEXT.splitlines() * 10
    for name, text in (("src.txt", lines), ("tgt.txt", [line.upper() for line in lines])):
        (tmp_path / name).write_text("\n".join(text) + "\n", encoding="utf-8")
    files = (str(tmp_path / "src.txt"), tmp_path / "tgt.txt")
    settings = {**TINY, "tokenizer.kind": "characters"}
    model = textgen.train(
        "translator-small", files, out=tmp_path / "a", settings=settings, progress=False
    )
    assert type(model) is textgen.LoadedTranslator
    assert isinstance(model.translate("To be").text, str)
    pairs = textgen.PairTexts([(line, line.upper()) for line in lines])
    other = textgen.train(
        "translator-small", pairs, out=tmp_path / "b", settings=settings, progress=False
    )
    assert other.translate("To be") == model.translate("To be")
    assert math.isfinite(other.history.metrics["loss"])


def test_events_one_by_one(novel: Path, tmp_path: Path) -> None:
    events = list(textgen.training_events("char-small", novel, out=tmp_path / "out", settings=TINY))
    assert any(isinstance(event, Step) for event in events)
    assert events[-1] == Stopped(6, "steps")


def test_what_does_not_suit_the_recipe_is_told(novel: Path, tmp_path: Path) -> None:
    keywords: dict[str, Any] = {"out": tmp_path / "out", "settings": TINY}
    with pytest.raises(textgen.UsageError, match="learns a text, not pairs"):
        textgen.train("char-small", (novel, novel), **keywords)
    with pytest.raises(textgen.UsageError, match="learns pairs:"):
        textgen.train("translator-small", novel, **keywords)
    with pytest.raises(textgen.UsageError, match=r"There is no file 'nowhere\.txt'"):
        textgen.train("char-small", [novel, "nowhere.txt"], **keywords)
    with pytest.raises(textgen.ConfigError, match="Did you mean 'char-small'"):
        textgen.train("char-smal", novel, **keywords)
    with pytest.raises(textgen.ConfigError, match=r"model.hiden: .* Did you mean 'hidden'"):
        textgen.train("char-small", novel, out=tmp_path, settings={"model.hiden": 3})
    with pytest.raises(textgen.ConfigError, match="expected key=value"):
        textgen.train("char-small", novel, out=tmp_path, settings={"": 3})
    with pytest.raises(textgen.UsageError, match="Expected a recipe or its name, not int"):
        textgen.train(3, novel, **keywords)  # type: ignore[call-overload]
    assert not (tmp_path / "out").exists()
