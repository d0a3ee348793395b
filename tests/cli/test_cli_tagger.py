"""Taggers from the command line and from Python: training, predicting, evaluating."""

from __future__ import annotations

import io
import itertools
import json
import math
import sys
from pathlib import Path

import pytest
import torch

import textgen
from textgen.cli.failures import guarded
from textgen.data.spans import may_follow
from textgen.data.tagged import open_tagged
from textgen.recipes import load_any_recipe
from textgen.tagging import tag
from textgen.task import find_task
from textgen.testing import check_task

TINY = (
    *("training.steps=80", "training.epochs=none", "training.device=cpu", "training.batch=8"),
    *("model.hidden=8", "model.embedding=8", "model.dropout=0", "model.word_dropout=0"),
    *("model.character_hidden=4", "model.character_embedding=4", "training.minutes=none"),
    *("training.precision=float32", "training.learning_rate=0.05", "training.weight_decay=0"),
)
SPANS = [
    (f"in {town} {end} met {name}".split(), ["O", "B-loc", *inside, "O", "B-per"])
    for town, (end, inside), name in itertools.product(
        ("Oslo", "Rome", "Kyiv"), (("city", ["I-loc"]), ("they", ["O"])), ("Ann", "Bob", "Zoe")
    )
] * 3
"""Whether "city" belongs to a place."""


def column_file(rows: list[tuple[list[str], list[str]]]) -> str:
    return "".join(
        "".join(f"{word}\t{tag}\n" for word, tag in zip(*row, strict=True)) + "\n" for row in rows
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tagged sentences, and trained models with and without CRF and characters."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tagger")
    (folder / "spans.conll").write_text(column_file(SPANS), encoding="utf-8")
    assert train(folder, "crf", "model.output=crf", "data.scheme=iobes") == 0
    assert train(folder, "soft", "model.characters=recurrent", "data.valid_share=0") == 0
    return folder


def train(folder: Path, out: str, *settings: str) -> int:
    words = ("train", "tagger", "--train", str(folder / "spans.conll"), "--out", str(folder / out))
    return guarded([*words, "--set", *TINY, *settings])


@pytest.mark.parametrize("model", ["crf", "soft"])
def test_it_learns_what_decides(model: str, folder: Path) -> None:
    loaded = textgen.load(folder / model, kind=textgen.LoadedTagger)
    report = loaded.evaluate(folder / "spans.conll")
    assert report.accuracy > 0.95
    assert report.spans is not None
    assert report.spans.f1 > 0.9
    assert {each.label for each in report.spans.classes} == {"loc", "per"}
    one = loaded.predict("in Oslo city met Ann")
    assert [span.label for span in one.spans] == ["loc", "per"]
    assert str(one).startswith("in/O Oslo/")
    assert loaded.predict([]) == []
    assert loaded.predict([["in", "Oslo"]])[0].words == ("in", "Oslo")


@pytest.mark.parametrize("model", ["crf", "soft"])
def test_a_batch_does_not_matter_and_n_best_are_probabilities(model: str, folder: Path) -> None:
    loaded = textgen.load(folder / model, kind=textgen.LoadedTagger)
    texts = ["in Rome they", "", "unseen wörds in a rather longer sentence here", "Ann"]
    together = loaded.predict(texts, n_best=3)
    assert together[1].tags == ()
    for each, text in zip(together, texts, strict=True):
        alone = loaded.predict(text, n_best=3)
        assert alone.tags == each.tags
        assert alone.probabilities == pytest.approx(each.probabilities, abs=1e-5)
    short = loaded.predict("Ann", n_best=100)
    every = [math.exp(each.log_prob) for each in short.n_best]
    assert sum(every) == pytest.approx(1, abs=1e-5)
    assert every == sorted(every, reverse=True)
    assert short.probabilities[0] == pytest.approx(every[0], abs=1e-5)


def test_a_crf_keeps_to_the_scheme(folder: Path) -> None:
    loaded = textgen.load(folder / "crf", kind=textgen.LoadedTagger)
    assert any(name.startswith("S-") for name in loaded.tags)
    with torch.no_grad():  # whatever the words say
        loaded.model.output.weight.normal_(std=9.0, generator=torch.Generator().manual_seed(1))
    words = [["they", "met", "Ann", "city", "in"][i % 5 :] * 2 for i in range(20)]
    moves = [
        pair for each in tag(loaded, words) for pair in itertools.pairwise([None, *each.tags, None])
    ]
    assert len(moves) > 60
    assert all(may_follow(before, after, "iobes") for before, after in moves)


def test_predict_writes_the_same_format_back(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capsys.readouterr()
    model = ["--model", str(folder / "soft")]
    assert guarded(["predict", *model, str(folder / "spans.conll")]) == 0
    assert capsys.readouterr().out == column_file(SPANS)
    stdin = io.TextIOWrapper(io.BytesIO(b"in Oslo city\n\nAnn\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert guarded(["predict", *model]) == 0
    assert capsys.readouterr().out == "O B-loc I-loc\n\nB-per\n"
    (folder / "lines.txt").write_text("in Oslo city\n", encoding="utf-8")
    assert guarded(["predict", *model, str(folder / "lines.txt"), "--json", "--top", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["spans"] == [{"begin": 1, "end": 3, "label": "loc"}]
    assert len(found["n_best"]) == 2
    assert guarded(["predict", *model, str(folder / "lines.txt"), "--top", "2"]) == 0
    assert [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()[:1]] == [
        "O B-loc I-loc"
    ]


def test_evaluate_prints_a_table_and_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "tagging", "--model", str(folder / "crf"), str(folder / "spans.conll")]
    assert guarded(words) == 0
    assert "span F1" in capsys.readouterr().out
    assert guarded([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"accuracy", "f1", "precision", "recall", "classes"} <= found.keys()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--set", "tokenizer.kind=bpe"], 2, "tokenizer.kind: a tagger reads words"),
        (["--set", "model.encoder=convolution:stride=2"], 2, "fewer states than there are words"),
        (
            ["--set", "model.output=crf", "training.label_smoothing=0.1"],
            2,
            "training.label_smoothing: goes with model.output=softmax",
        ),
        (["--column", "upos"], 1, "has 2 columns; CoNLL-U has 10"),
    ],
)
def test_what_cannot_be_trained(
    words: list[str], code: int, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(folder / "refused")
    given = ["train", "tagger", "--train", str(folder / "spans.conll"), "--out", out]
    assert guarded([*given, *words]) == code
    assert message in capsys.readouterr().err
    assert not Path(out).exists()


def test_tags_of_another_kind_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pos.conll").write_text("Ann\tN\nmet\tV\n", encoding="utf-8")
    words = ["evaluate", "tagging", "--model", str(folder / "crf"), str(folder / "pos.conll")]
    assert guarded(words) == 1
    assert "none of its tags is one of the model's" in capsys.readouterr().err
    assert guarded(["generate", "--model", str(folder / "crf"), "--prompt", "x"]) == 2
    assert "is a tagger: use textgen predict" in capsys.readouterr().err
    lines = str(folder / "spans.conll")
    words = ["predict", "--model", str(folder / "crf"), lines, "--format", "lines", "--column", "2"]
    assert guarded(words) == 2
    assert "--column: goes with a FILE in columns" in capsys.readouterr().err


CONLLU = "1\tAnn\t_\tN\tNNP\t_\t0\t_\t_\t_\n2\tmet\t_\tV\tVBD\t_\t1\t_\t_\t_\n\n"


def test_the_column_of_the_training_is_kept(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "x.conllu").write_text("# newdoc\n\n" + CONLLU * 3, encoding="utf-8")
    train = ["train", "tagger", "--train", str(folder / "x.conllu"), "--out", str(folder / "xpos")]
    settings = ["--set", *TINY, "data.valid_share=0"]
    assert guarded([*train, "--column", "xpos", *settings]) == 0
    capsys.readouterr()
    assert guarded(["predict", "--model", str(folder / "xpos"), str(folder / "x.conllu")]) == 0
    assert capsys.readouterr().out == (folder / "x.conllu").read_text(encoding="utf-8")
    loaded = textgen.load(folder / "xpos", kind=textgen.LoadedTagger)
    assert loaded.tags == ("NNP", "VBD")
    assert loaded.evaluate(folder / "x.conllu").accuracy == 1
    words = ["predict", "--model", str(folder / "xpos"), str(folder / "x.conllu")]
    assert guarded([*words, "--column", "form"]) == 2
    assert "no column 'form' of tags" in capsys.readouterr().err


def test_wrong_calls_are_answered(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loaded = textgen.load(folder / "soft", kind=textgen.LoadedTagger)
    for wrong in (None, 3, b"ab", {"a": 1}):
        with pytest.raises(textgen.UsageError, match="expected a text or texts, not"):
            loaded.predict(wrong)  # type: ignore[call-overload]
    for other in (None, [("the cat", "DET NOUN")]):
        with pytest.raises(textgen.UsageError, match="expected a file of tagged sentences"):
            loaded.evaluate(other)  # type: ignore[arg-type]
    with pytest.raises(textgen.UsageError, match="batch_size is 0"):
        loaded.predict("a", batch_size=0)
    with pytest.raises(textgen.DataError, match="Sentence 2: word 1 is ''"):
        loaded.predict(["a", ["", "b"]])
    capsys.readouterr()
    lines = str(folder / "spans.conll")
    assert guarded(["predict", "--model", str(folder / "soft"), lines, "--evidence", "2"]) == 2
    assert "--evidence: is for classifiers" in capsys.readouterr().err
    (folder / "v.npy").write_bytes(b"anything")
    assert guarded(["predict", "--model", str(folder / "soft"), str(folder / "v.npy")]) == 2
    assert "a tagger reads lines of words, CoNLL-U or columns" in capsys.readouterr().err
    assert guarded(["train", "tagger", "--corpus", "copy", "--out", str(folder / "no")]) == 2
    assert "has no tagged sentences. Allowed: python-tokens" in capsys.readouterr().err


@pytest.mark.parametrize("output", ["softmax", "crf"])
def test_the_task_keeps_its_contract(output: str, folder: Path, tmp_path: Path) -> None:
    task = find_task("tagger")
    settings = {
        "model.output": output,
        "model.hidden": 4,
        "model.embedding": 4,
        "data.valid_share": 0,
        "training.batch": 8,
        "training.device": "cpu",
    }
    changed = load_any_recipe("tagger", "tagger-small", settings)
    data = open_tagged([folder / "spans.conll"])
    loaded = check_task(task, changed, data, tmp_path / "models")
    assert loaded.kind == "tagger"
