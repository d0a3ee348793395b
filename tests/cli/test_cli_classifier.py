"""Classifiers from the command line and from Python: training, predicting, evaluating."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
import torch

import textgen
from textgen.classification import classify
from textgen.cli.failures import guarded
from textgen.task import find_task
from textgen.testing import check_task

TINY = (
    *("training.steps=30", "training.epochs=none", "training.device=cpu", "training.batch=8"),
    *("model.hidden=8", "model.embedding=8", "model.dropout=0", "model.word_dropout=0"),
    *("training.precision=float32", "training.learning_rate=0.05", "tokenizer.minimum_count=1"),
)
COLOURS = ("red", "green", "blue")
ROWS = [(f"a {COLOURS[i % 3]} thing {i}", COLOURS[i % 3]) for i in range(60)]
SEVERAL = [
    (f"{'x ' * (i % 2)}{'y ' * (i // 2 % 2)}z", "|".join(["A"] * (i % 2) + ["B"] * (i // 2 % 2)))
    for i in range(40)
]


def table(rows: list[tuple[str, str]]) -> str:
    return "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables, and trained models of one and of several labels."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("classifier")
    (folder / "rows.csv").write_text(table(ROWS), encoding="utf-8")
    (folder / "several.csv").write_text(table(SEVERAL), encoding="utf-8")
    assert train(folder, "rows.csv", "colours") == 0
    assert train(folder, "rows.csv", "filters", "--recipe", "classifier-convolution") == 0
    windows = ("model.encoder=convolution:widths=[1,2],filters=20,padding=none",)
    assert train(folder, "rows.csv", "windows", settings=windows) == 0
    spelled = ("model.characters=recurrent", "model.character_hidden=4")
    assert train(folder, "rows.csv", "spelled", settings=spelled) == 0
    settings = ("model.output=sigmoid", "data.class_weights=balanced", "data.valid_share=0")
    assert train(folder, "several.csv", "several", settings=settings) == 0
    return folder


def train(folder: Path, data: str, out: str, *options: str, settings: tuple[str, ...] = ()) -> int:
    words = ("train", "classifier", "--train", str(folder / data), "--out", str(folder / out))
    return guarded([*words, *options, "--set", *TINY, *settings])


def lines(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))


@pytest.mark.parametrize("model", ["colours", "filters", "spelled"])
def test_it_learns_what_decides(model: str, folder: Path) -> None:
    loaded = textgen.load(folder / model, kind=textgen.LoadedClassifier)
    assert loaded.labels == ("blue", "green", "red")
    found = loaded.predict([text for text, _ in ROWS])
    right = sum(each.label == label for each, (_, label) in zip(found, ROWS, strict=True))
    assert right >= 55
    one = loaded.predict("a red thing")
    assert (one.label, str(one)) == ("red", "red")
    assert sum(share for _, share in one.probabilities) == pytest.approx(1)
    assert one.probability == max(share for _, share in one.probabilities)
    assert loaded.predict([]) == []


@pytest.mark.parametrize("model", ["colours", "windows"])
def test_the_word_that_decided_is_found(
    model: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = textgen.load(folder / model, kind=textgen.LoadedClassifier)
    found = [loaded.evidence(f"a {colour} thing 3") for colour in COLOURS]
    if model == "colours":  # an LSTM carries the colour to its neighbours
        assert [sum(each.weights) for each in found] == pytest.approx([1, 1, 1])
    else:  # what comes through the filters, and the bias, is the logit
        tokens = torch.from_numpy(loaded.tokenizer.encode_array("a red thing 3")).long()[None]
        logits = loaded.model(tokens, torch.tensor([4]), torch.zeros(1, 4, 0).long())[0]
        parts = [sum(loaded.evidence("a red thing 3", label).weights) for label in loaded.labels]
        logits = logits - loaded.model.output.bias
        assert parts == pytest.approx((logits - logits.mean()).tolist(), abs=1e-5)
        right = [each.strongest(1)[0][0] == each.label for each in found]
        assert sum(right) >= 2
    (folder / "one.txt").write_text("a red thing 3\n\n", encoding="utf-8")
    capsys.readouterr()
    words = ["predict", "--model", str(folder / model), str(folder / "one.txt"), "--evidence", "2"]
    assert guarded(words) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert len(first.split("\t")) == 4
    assert not second


def test_a_batch_does_not_matter(folder: Path) -> None:
    loaded = textgen.load(folder / "colours", kind=textgen.LoadedClassifier)
    texts = ["red", "a green thing with a long tail of words", "", "blue thing"]
    together, alone = loaded.predict(texts), [loaded.predict(text) for text in texts]
    for each, other in zip(together, alone, strict=True):
        assert each.labels == other.labels
        assert dict(each.probabilities) == pytest.approx(dict(other.probabilities), abs=1e-6)
    assert together[2].labels == ()
    assert together[2].probability == 0


def test_fine_tuning_adds_words_and_labels(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*ROWS, *((f"a pale pink thing {i}", "very pink") for i in range(20))]
    (tmp_path / "more.csv").write_text(table(rows), encoding="utf-8")
    settings = ("training.steps=60",)
    options = ("--init-from", str(folder / "colours"))
    assert train(tmp_path, "more.csv", "out", *options, settings=settings) == 0
    shown = capsys.readouterr().err
    assert "begin as the mean of the others" in shown
    assert "not taken" not in shown
    model = textgen.load(tmp_path / "out", kind=textgen.LoadedClassifier)
    assert model.labels == ("blue", "green", "red", "very pink")
    assert model.predict("a pale pink thing").label == "very pink"


def test_other_commands_say_what_is_needed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(folder / "colours")
    assert guarded(["generate", "--model", model, "--prompt", "a"]) == 2
    assert "colours is a classifier: use textgen predict" in capsys.readouterr().err
    with pytest.raises(textgen.UsageError, match="these do not make an ensemble"):
        textgen.load(model, model)
    assert guarded(["evaluate", "classification", "--model", "shakespeare", "x.csv"]) == 2
    assert "a classifier is needed" in capsys.readouterr().err
    assert guarded(["models", model]) == 0


def test_predict_leaves_stdin_open(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines(monkeypatch, b"a red thing\n")
    assert guarded(["predict", "--model", str(folder / "colours")]) == 0
    assert not sys.stdin.buffer.closed


def test_it_is_computed_in_float32_alone(folder: Path) -> None:
    with pytest.raises(textgen.UsageError, match="a classifier, which is computed in float32"):
        textgen.load(folder / "colours", precision="bfloat16")


def test_predict_answers_each_line(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines(monkeypatch, b"a red thing\n\na blue\xff thing\n")
    assert guarded(["predict", "--model", str(folder / "colours")]) == 0
    shown = capsys.readouterr()
    first, second, third = shown.out.split("\n")[:3]
    label, probability = first.split("\t")
    assert label == "red"
    assert 0 < float(probability) <= 1
    assert second == ""
    assert third
    assert "line 3: byte 7 is not UTF-8 text" in shown.err
    lines(monkeypatch, b"a red thing\n")
    assert guarded(["predict", "--model", str(folder / "colours"), "--top", "2"]) == 0
    assert len(capsys.readouterr().out.split("\t")) == 4
    lines(monkeypatch, b"a red thing\n")
    assert guarded(["predict", "--model", str(folder / "colours"), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["text"] == "a red thing"
    assert data["labels"] == ["red"]
    assert list(data["probabilities"]) == sorted(
        data["probabilities"], key=data["probabilities"].get, reverse=True
    )


@pytest.mark.parametrize("command", [("predict",), ("evaluate", "classification")])
def test_a_file_that_is_not_there_is_named(
    command: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(folder / "missing.csv")
    assert guarded([*command, "--model", str(folder / "colours"), missing]) in {1, 2}
    assert "missing.csv" in capsys.readouterr().err


def test_several_labels(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = textgen.load(folder / "several", kind=textgen.LoadedClassifier)
    report = loaded.evaluate(folder / "several.csv")
    assert report.accuracy > 0.9
    assert report.confusion is None
    assert {*loaded.predict("x y z").labels} == {"A", "B"}
    assert loaded.predict("z").labels == ()
    assert len(loaded.predict("z", threshold=0.0).labels) == 2
    lines(monkeypatch, b"x y z\nz\n")
    assert guarded(["predict", "--model", str(folder / "several")]) == 0
    first, second = capsys.readouterr().out.split("\n")[:2]
    assert (len(first.split("\t")), second) == (4, "")


def test_evaluate_prints_and_draws(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("evaluate", "classification", "--model", str(folder / "colours"))
    picture = folder / "confusion.png"
    assert guarded([*words, str(folder / "rows.csv"), "--plot", str(picture)]) == 0
    out = capsys.readouterr().out
    for part in ("accuracy", "macro F1", "calibration error", "TRUE \\ PREDICTED", "PRECISION"):
        assert part in out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert guarded([*words, str(folder / "rows.csv"), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["texts"] == 60
    assert sum(map(sum, data["confusion"])) == 60
    two = (*words, "--model", str(folder / "filters"), str(folder / "rows.csv"))
    assert guarded(two) == 0
    assert "McNemar's exact test: p = " in capsys.readouterr().out
    assert guarded([*two, "--json"]) == 0
    assert 0 <= json.loads(capsys.readouterr().out)["mcnemar_p"] <= 1
    (folder / "pink.csv").write_text(table([("a", "pink")]), encoding="utf-8")
    assert guarded([*words, str(folder / "pink.csv")]) == 1
    assert "does not occur in the training data" in capsys.readouterr().err
    several = ("evaluate", "classification", "--model", str(folder / "several"))
    assert guarded([*several, str(folder / "several.csv"), "--plot", str(picture)]) == 2
    assert "there is no confusion matrix" in capsys.readouterr().err
    assert guarded([*two, "--plot", str(picture)]) == 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("", "red")], "text 1: is empty"),
        ([("a", "")], "text 1: has no label"),
        ([("a", "pink")], "'pink' does not occur in the training data"),
        ([], "is empty"),
    ],
)
def test_bad_tests_are_refused(
    rows: list[tuple[str, str]], message: str, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(table(rows) if rows else "", encoding="utf-8")
    loaded = textgen.load(folder / "colours", kind=textgen.LoadedClassifier)
    with pytest.raises(textgen.DataError) as caught:
        loaded.evaluate(path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        ([*ROWS, ("", "red")], (), "text 61: is empty"),
        ([*ROWS, ("a", "")], (), "text 61: has no label"),
        ([("a", "x"), ("b", "x")], (), "At least two labels are needed, but only 'x' occurs"),
        (ROWS, ("model.output=sigmoid", "data.separator="), "data.separator: is empty"),
        (ROWS, ("model.encoder=convolution:width=3",), "unexpected keyword argument 'width'"),
        (ROWS, ("model.encoder=convolutions",), "convolution"),
    ],
)
def test_bad_trainings_are_refused(
    rows: list[tuple[str, str]],
    settings: tuple[str, ...],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "bad.csv").write_text(table(rows), encoding="utf-8")
    settings = ("data.valid_share=0", *settings)
    assert train(tmp_path, "bad.csv", "out", settings=settings) in {1, 2}
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_validation_texts_of_unknown_labels_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.csv").write_text(table(ROWS), encoding="utf-8")
    (tmp_path / "valid.csv").write_text(table([*ROWS[:9], ("a", "pink")]), encoding="utf-8")
    options = ("--valid", str(tmp_path / "valid.csv"), "--test", str(tmp_path / "rows.csv"))
    settings = ("training.steps=2", "data.max_length=3", "training.label_smoothing=0.1")
    assert train(tmp_path, "rows.csv", "out", *options, settings=settings) == 0
    shown = capsys.readouterr().err
    assert "1 validation texts are left out" in shown
    assert "such as 'pink'" in shown
    assert "60 texts were cut after 3 tokens" in shown
    assert "9 of the 10 texts are also trained on, 9 with the same label" in shown
    assert "Warning: --test: 60 of the 60 texts are also trained on" in shown


def test_python_trains_and_scores_lists(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(table(ROWS), encoding="utf-8")
    settings = dict(each.split("=") for each in TINY)
    values = {key: int(value) if value.isdigit() else value for key, value in settings.items()}
    values |= {"training.learning_rate": 0.05, "training.epochs": None}
    model = textgen.train(
        "classifier-small",
        textgen.open_labelled([tmp_path / "rows.csv"]),
        out=tmp_path / "model",
        settings=values,
        progress=False,
    )
    assert isinstance(model, textgen.LoadedClassifier)
    assert model.evaluate([text for text, _ in ROWS], [label for _, label in ROWS]).accuracy > 0.9
    with pytest.raises(textgen.DataError, match="2 texts were given with 1 labels"):
        model.evaluate(["a", "b"], ["red"])
    with pytest.raises(textgen.UsageError, match="a classifier is needed"):
        list(classify(textgen.load("shakespeare"), ["a"]))
    with pytest.raises(textgen.UsageError, match="A classifier learns labelled texts"):
        textgen.train("classifier-small", ["a.csv"], out=tmp_path / "other", progress=False)


@pytest.mark.parametrize("encoder", ["recurrent", "convolution:widths=[2,3],filters=4"])
def test_the_task_keeps_its_laws(encoder: str, tmp_path: Path) -> None:
    task = find_task("classifier")
    (tmp_path / "rows.csv").write_text(table(ROWS), encoding="utf-8")
    recipe = textgen.ClassifierRecipe()
    model = {"encoder": encoder, "hidden": 4, "embedding": 4}
    changed = task.recipe_class(
        tokenizer=recipe.tokenizer,
        data=recipe.data,
        model=type(recipe.model)(**model),
        training=recipe.training,
    )
    data = textgen.open_labelled([tmp_path / "rows.csv"])
    loaded = check_task(task, changed, data, tmp_path / "models")
    assert loaded.kind == "classifier"
