"""Labelled texts from tables, folders, files and data sets; labels as a vocabulary."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from textgen.data.labelled import LabelledFolder, LabelledTable, labels_in, open_labelled
from textgen.data.tokenizers import LabelTokenizer, load_tokenizer, save_tokenizer
from textgen.data.tokenizers.labels import collect_labels
from textgen.errors import CheckpointError, DataError, UsageError

PAIRS = [("good, very good", "+"), ("bad", "-"), ("so\tso", "+")]


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_every_format_gives_the_same_pairs(tmp_path: Path) -> None:
    csv = written(tmp_path / "a.csv", 'text,label\n"good, very good",+\nbad,-\nso\tso,+\n')
    rows = (json.dumps({"text": text, "label": label}) for text, label in PAIRS)
    jsonl = written(tmp_path / "a.jsonl", "".join(f"{row}\n" for row in rows))
    texts, labels = zip(*PAIRS, strict=True)
    pq.write_table(pa.table({"text": texts, "label": labels}), tmp_path / "a.parquet")
    both = [
        written(tmp_path / "x.txt", "".join(f"{text}\n" for text in texts)),
        written(tmp_path / "y.txt", "".join(f"{label}\n" for label in labels)),
    ]
    for given in ([csv], [jsonl], [tmp_path / "a.parquet"], both):
        assert list(open_labelled(given).pairs()) == PAIRS


def test_columns_have_any_names_and_labels_may_be_numbers_or_lists(tmp_path: Path) -> None:
    rows = [{"body": "a\nb", "kind": 3}, {"body": "c", "kind": ["x", 2]}, {"body": "d"}]
    path = written(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    table = LabelledTable(path, "body", "kind")
    assert list(table.pairs()) == [("a b", "3"), ("c", "x|2"), ("d", "")]
    wrong = written(tmp_path / "b.jsonl", '{"body": "a", "kind": 1.5}\n')
    with pytest.raises(DataError, match="column 'kind' holds float"):
        list(LabelledTable(wrong, "body", "kind").pairs())
    with pytest.raises(DataError, match=r"there is no column 'text'\. Allowed: body, kind"):
        open_labelled([path])


def test_lists_are_joined_by_the_separator_that_divides_them(tmp_path: Path) -> None:
    rows = '{"text": "a", "label": ["x|y", "z"]}\n'
    path = written(tmp_path / "a.jsonl", rows)
    ((_, label),) = open_labelled([path], separator=";").pairs()
    assert label == "x|y;z"
    assert labels_in(label, ";") == ["x|y", "z"]
    assert labels_in(" x|y ", None) == ["x|y"]
    assert labels_in(" ", None) == labels_in(";", ";") == []


def test_a_folder_for_each_label(tmp_path: Path) -> None:
    written(tmp_path / "good" / "1.txt", "very\ngood \n")
    written(tmp_path / "bad" / "deep" / "2.txt", "bad\n")
    written(tmp_path / "good" / ".hidden", "no")
    written(tmp_path / ".git" / "config", "no")
    source = LabelledFolder(tmp_path)
    assert list(source.pairs()) == [("bad", "bad"), ("very good", "good")]
    before = source.fingerprint()
    written(tmp_path / "good" / "1.txt", "very good indeed\n")
    assert source.fingerprint() != before
    with pytest.raises(DataError, match="one folder for each label"):
        LabelledFolder(tmp_path / "good" / "none")
    with pytest.raises(UsageError, match="got 3 paths"):
        open_labelled([tmp_path, tmp_path, tmp_path])


def test_labels_are_a_vocabulary(tmp_path: Path) -> None:
    labels = collect_labels(["b", "a", "b", "c d"])
    assert labels.labels == ("a", "b", "c d")
    assert labels.encode("c d") == [2]
    assert labels.piece(2) == "c␣d"
    assert labels.decode([]) == ""
    with pytest.raises(DataError, match="'A' does not occur in the training data"):
        labels.number("A")
    save_tokenizer(labels, tmp_path, "labels")
    loaded = load_tokenizer(tmp_path, "labels")
    assert isinstance(loaded, LabelTokenizer)
    assert loaded.fingerprint() == labels.fingerprint()
    data = json.loads((tmp_path / "labels.json").read_text(encoding="utf-8"))
    written(tmp_path / "labels.json", json.dumps({**data, "labels": "abc"}))
    with pytest.raises(CheckpointError, match="labels is no list of texts"):
        load_tokenizer(tmp_path, "labels")


@pytest.mark.parametrize(
    ("labels", "message"), [([], "there is none"), (["x", "x"], "only 'x' occurs")]
)
def test_one_label_is_not_enough(labels: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        collect_labels(labels)
