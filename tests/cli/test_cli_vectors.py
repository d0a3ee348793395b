"""Models that read vectors: a vector says which text, a sequence is read, a class is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import textgen
from textgen.cli.failures import guarded
from textgen.evaluation.picture_attention import plot_picture_attention

TEXTS = ["red cat", "blue dog", "a green bird"]
TINY = (
    *("training.minutes=none", "training.steps=150", "training.device=cpu", "training.batch=64"),
    *("model.hidden=24", "model.embedding=8", "model.encoder_hidden=8", "model.dropout=0"),
    *("training.learning_rate=0.02", "training.validate_every=150", "training.precision=float32"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vectors that say which of several texts, and models that read them."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("vectors")
    random = np.random.default_rng(1)
    which = random.integers(0, 3, 90)
    np.save(folder / "v.npy", np.eye(3)[which] * 50 + random.normal(size=(90, 3)))
    lines = "".join(f"{TEXTS[each]}\n" for each in which)
    (folder / "t.txt").write_text(lines, encoding="utf-8")
    data = ["--train", str(folder / "v.npy"), str(folder / "t.txt")]
    words = ["train", "translator", "--recipe", "reader-small", *data]
    assert guarded([*words, "--out", str(folder / "reader"), "--set", *TINY]) == 0
    none = ("model.attention=none", "model.query=current")
    assert guarded([*words, "--out", str(folder / "vector"), "--set", *TINY, *none]) == 0
    settings = ("tokenizer.kind=vectors", "training.steps=150", "training.device=cpu")
    words = ["train", "classifier", *data, "--out", str(folder / "classes"), "--set", *settings]
    assert (
        guarded([*words, "model.hidden=8", "model.embedding=8", "training.learning_rate=0.02"]) == 0
    )
    return folder


@pytest.mark.parametrize("model", ["reader", "vector"])
def test_the_vector_says_which_text(model: str, folder: Path) -> None:
    loaded = textgen.load(folder / model, kind=textgen.LoadedTranslator)
    vectors = list(np.eye(3) * 50)
    together = [each.text for each in loaded.translate(vectors)]
    assert together == TEXTS
    assert loaded.translate(vectors[1]).text == TEXTS[1]
    assert loaded.translate(np.stack(vectors[:1])).text == TEXTS[0]
    with pytest.raises(textgen.DataError, match="expected vectors, got the text 'The cat'"):
        loaded.translate("The cat")


def test_vectors_on_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(folder / "w.npz", np.eye(3)[2] * 50, np.eye(3)[0] * 50)
    model = ["--model", str(folder / "reader"), "--vectors", str(folder / "w.npz")]
    capsys.readouterr()
    assert guarded(["translate", *model]) == 0
    assert capsys.readouterr().out.splitlines() == [TEXTS[2], TEXTS[0]]
    np.save(folder / "wide.npy", np.ones((1, 4)))
    model[-1] = str(folder / "wide.npy")
    assert guarded(["translate", *model]) == 1
    assert "have 4 numbers, but the model reads 3" in capsys.readouterr().err


def test_vectors_are_classified(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loaded = textgen.load(folder / "classes", kind=textgen.LoadedClassifier)
    vectors = [np.eye(3)[number] * 50 for number in (1, 0)]
    assert [each.label for each in loaded.predict(vectors)] == [TEXTS[1], TEXTS[0]]
    assert loaded.predict(vectors[0]).label == TEXTS[1]
    np.save(folder / "two.npy", np.stack(vectors))
    capsys.readouterr()
    model = ["--model", str(folder / "classes")]
    assert guarded(["predict", *model, str(folder / "two.npy")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == [TEXTS[1], TEXTS[0]]
    words = ["evaluate", "classification", *model, str(folder / "v.npy"), str(folder / "t.txt")]
    assert guarded(words) == 0
    assert "\naccuracy           1.0000" in capsys.readouterr().out


def test_options_that_do_not_go_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vectors = str(folder / "v.npy")
    words = ["translate", "--model", str(folder / "reader"), "--vectors", vectors, "--jsonl"]
    assert guarded(words) == 2
    assert "--vectors: is for plain lines" in capsys.readouterr().err
    words = ["predict", "--model", str(folder / "classes"), vectors, "--format", "columns"]
    assert guarded(words) == 2
    assert "--column and --format: are for taggers" in capsys.readouterr().err


def test_vectors_are_no_target(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "translator", "--recipe", "reader-small", "--out", str(folder / "no")]
    data = ["--train", str(folder / "v.npy"), str(folder / "t.txt")]
    assert guarded([*words, *data, "--set", "tokenizer.kind=vectors"]) == 2
    assert "vectors can be a source, not a target" in capsys.readouterr().err


def test_attention_is_drawn_over_the_picture(folder: Path) -> None:
    weights = np.eye(4, 5, dtype=np.float32)
    picture = np.random.default_rng(1).random((12, 16))
    plot_picture_attention(folder / "a.png", picture, weights, list("abcd"), "abcd")
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG")
