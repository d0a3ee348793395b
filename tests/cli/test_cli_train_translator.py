"""``textgen train translator``: where the pairs come from, what is told, and going on."""

import json
from pathlib import Path

import pytest

from textgen.cli.failures import guarded
from textgen.loading import load_model
from textgen.recipes import TranslatorRecipe

SOURCES = [f"the {noun} {verb}" for noun in ("cat", "dog", "bird") for verb in ("eats", "runs")]
TARGETS = [f"{line.split()[1].upper()} {line.split()[2].upper()}" for line in SOURCES]
TINY = (
    *("training.steps=4", "training.device=cpu", "training.precision=float32"),
    *("training.log_every=1", "training.batch=64", "model.hidden=8", "model.embedding=4"),
    *("tokenizer.kind=words", "tokenizer.size=none", "data.valid_share=0.2"),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, lines in (("a.en", SOURCES * 4), ("a.de", TARGETS * 4), ("b.en", SOURCES)):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (tmp_path / "b.de").write_text("".join(f"{line}\n" for line in TARGETS), encoding="utf-8")
    rows = "".join(f"{pair[0]}\t{pair[1]}\n" for pair in zip(SOURCES, TARGETS, strict=True))
    (tmp_path / "pairs.tsv").write_text(f"en\tde\n{rows * 4}", encoding="utf-8")
    return tmp_path


def train(*arguments: str, settings: tuple[str, ...] = ()) -> int:
    return guarded(["train", "translator", "--out", "out", *arguments, "--set", *TINY, *settings])


FILES = ("--train", "a.en", "a.de")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "pairs",
    [
        FILES,
        ("--train", "a.en", "--train", "a.de", "--valid", "b.en", "b.de"),
        ("--train", "pairs.tsv", "--source", "en", "--target", "de"),
        ("--train", "pairs.tsv", "--valid", "b.en", "b.de", "--source", "en", "--target", "de"),
        ("--corpus", "dates:size=50"),
    ],
    ids=" ".join,
)
def test_pairs_come_from_many_places(
    pairs: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(*pairs, "--json") == 0
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    assert (result["steps"], result["stopped"]) == (4, "steps")
    assert result["validation"]["loss"] > 0
    assert "pairs" in shown.err.splitlines()[0]
    assert "vocabulary of" in shown.err.splitlines()[1]
    model = load_model("out", "cpu")
    assert model.kind == "translator"
    assert isinstance(model.recipe, TranslatorRecipe)


@pytest.mark.usefixtures("folder")
def test_a_test_is_translated_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert train(*FILES, "--test", "b.en", "b.de", "--json") == 0
    test = json.loads(capsys.readouterr().out)["test"]
    assert test["lines"] == len(SOURCES)
    assert {"score", "signature"} <= test["bleu"].keys()
    assert 0 <= test["exact"] <= 1
    assert test["decode"].startswith("beam:width=5")
    assert train(*FILES, "--test", "b.en", "b.de", "--overwrite") == 0
    assert "test: BLEU " in capsys.readouterr().out


def test_notes_reach_stderr_and_the_log(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(*FILES, "--valid", "b.en", "b.de", "--log", "log/run.jsonl") == 0
    shown = capsys.readouterr().err
    assert "Warning: --valid: 6 of the 6 source sentences are also trained on" in shown
    lines = (folder / "log" / "run.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["event"] for event in events][:3] == ["note"] * 3
    assert {event["event"] for event in events} == {
        *("note", "step", "validated", "improved", "stopped")
    }
    assert events[0]["text"] in shown


def test_resume_takes_the_saved_recipe(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(*FILES) == 0
    assert train(*FILES) == 2
    assert "holds a model already" in capsys.readouterr().err
    again = ["train", "translator", *FILES, "--out", "out", "--resume"]
    assert guarded([*again, "--set", "training.steps=6"]) == 0
    assert "6 steps" in capsys.readouterr().out
    assert load_model(str(folder / "out"), "cpu").recipe.model.hidden == 8
    assert guarded([*again, "--set", "model.hidden=9"]) == 2
    assert "model.hidden was 8 and is 9" in capsys.readouterr().err
    assert guarded(["train", "lm", "--train", "a.en", "--out", "out", "--resume"]) == 1
    assert "holds a translator, but a language-model is needed" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "Give the pairs to learn once"),
        ((*FILES, "--corpus", "dates"), 2, "Give the pairs to learn once"),
        (("--train", "a.en"), 2, "--train: say with --source COLUMN"),
        (("--train", "a.en", "a.de", "b.en"), 2, "--train: expected two files"),
        (("--train", "pairs.tsv", "--source", "en"), 2, "and --target COLUMN"),
        (("--train", "pairs.tsv", "--source", "en", "--target", "dr"), 1, "Did you mean 'de'"),
        ((*FILES, "--source", "en", "--target", "de"), 2, "they go with one table"),
        (("--train", "a.en", "b.de"), 1, "a.en has 24 lines, but b.de has 6"),
        (("--train", "a.en", "none"), 1, "none"),
        (("--corpus", "date"), 2, "Did you mean 'dates'"),
        (("--corpus", "dates:source=xx"), 1, "Babel does not know the language 'xx'"),
        (("--corpus", "python-reference"), 1, "is running text, for `train lm`"),
        ((*FILES, "--streaming"), 2, "--streaming goes with --dataset"),
        (("--dataset", "x/y"), 2, "--dataset: say with --source COLUMN"),
        ((*FILES, "--recipe", "char-small"), 2, "makes a language-model, not a translator"),
        ((*FILES, "--recipe", "translator-smal"), 2, "Did you mean 'translator-small'"),
    ],
)
def test_wrong_requests_get_a_sentence(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, message: str
) -> None:
    assert train(*arguments) == code
    shown = capsys.readouterr()
    assert message in shown.err
    assert not shown.out
    assert not Path("out").exists()


def test_translator_recipes_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(["recipes"]) == 0
    listed = capsys.readouterr().out
    assert "translator-small" in listed
    assert "dates-small" in listed
    assert guarded(["recipes", "dates-small"]) == 0
    assert "model.attention" in capsys.readouterr().out
    assert guarded(["recipes", "dates-small", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "translator"
