"""Tagged sentences from every format, and what is said of broken ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from textgen.data.sentence_files import ConlluFile, items
from textgen.data.tagged import open_sentences, open_tagged, usual_column
from textgen.errors import DataError, UsageError

SENTENCES = [(["Ann", "sleeps", "."], ["N", "V", "P"]), (["Yes"], ["I"])]
CONLLU = (
    "# text = Ann sleeps.\n"
    "1-2\tAnnsleeps\t_\t_\t_\t_\t_\t_\t_\t_\n"
    "1\tAnn\tann\tN\tNNP\t_\t2\tnsubj\t_\t_\n"
    "2\tsleeps\tsleep\tV\tVBZ\tx=y\t0\troot\t_\t_\n"
    "2.1\tempty\t_\t_\t_\t_\t_\t_\t_\t_\n"
    "3\t.\t.\tP\t.\t_\t2\tpunct\t_\t_\n"
    "\n"
    "1\tYes\tyes\tI\tUH\t_\t0\troot\t_\t_\n"
)


def write_conllu(path: Path) -> list[Path]:
    (path / "a.conllu").write_text(CONLLU, encoding="utf-8")
    return [path / "a.conllu"]


def write_columns(path: Path) -> list[Path]:
    text = "-DOCSTART- x x\n\nAnn _ N\nsleeps _ V\n. _ P\n\n\nYes _ I\n"
    (path / "a.conll").write_text(text, encoding="utf-8")
    return [path / "a.conll"]


def write_json_lines(path: Path) -> list[Path]:
    rows = (json.dumps({"tokens": words, "tags": tags}) for words, tags in SENTENCES)
    (path / "a.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return [path / "a.jsonl"]


def write_parquet(path: Path) -> list[Path]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    words, tags = zip(*SENTENCES, strict=True)
    table = pa.table({"tokens": list(words), "tags": list(tags)})
    pq.write_table(table, path / "a.parquet")
    return [path / "a.parquet"]


def write_lines(path: Path) -> list[Path]:
    for name, side in (("words", 0), ("tags", 1)):
        text = "\n".join(" ".join(sentence[side]) for sentence in SENTENCES)
        (path / name).write_text(text + "\n", encoding="utf-8")
    return [path / "words", path / "tags"]


@pytest.mark.parametrize(
    "write", [write_conllu, write_columns, write_json_lines, write_parquet, write_lines]
)
def test_every_format_gives_the_same(write: Callable[[Path], list[Path]], tmp_path: Path) -> None:
    source = open_tagged(write(tmp_path))
    for _ in range(2):  # sources are read more than once
        found = [(items(words), items(tags)) for words, tags in source.pairs()]
        assert found == SENTENCES
    assert source.fingerprint() == source.fingerprint()


def test_columns_by_name_and_number(tmp_path: Path) -> None:
    conllu, columns = write_conllu(tmp_path), write_columns(tmp_path)
    assert next(open_tagged(conllu, column="XPOS").pairs()).target == "NNP\tVBZ\t."
    assert next(open_tagged(conllu, column="feats").pairs()).target == "_\tx=y\t_"
    assert next(open_tagged(columns, column="2").pairs()).target == "_\t_\t_"


@pytest.mark.parametrize(("write", "column"), [(write_conllu, 3), (write_columns, 2)])
def test_tags_are_written_where_they_stood(
    write: Callable[[Path], list[Path]], column: int, tmp_path: Path
) -> None:
    (path,) = write(tmp_path)
    every = list(open_sentences(path, None).sentences())
    first = next(each for each in every if each.words)
    text = path.read_text(encoding="utf-8")
    lines = [line for each in every for line in [*each.with_tags(each.tags), ""]]
    assert lines == [*text.splitlines(), ""]  # comments, other lines and blank ones as they are
    separator = "\t" if column == 3 else " "
    changed = first.with_tags(["1", "2", "3"])
    words = [line.split(separator) for line in changed if line.startswith(("Ann", "1\t"))]
    assert words[0][column] == "1"


def test_words_alone_get_a_column(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("Ann\nsleeps\n", encoding="utf-8")
    (sentence,) = open_sentences(path, None).sentences()
    assert sentence.with_tags(["N", "V"]) == ["Ann N", "sleeps V"]
    with pytest.raises(DataError, match="line 1: there is no column of tags"):
        list(open_tagged([path]).pairs())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.conllu", CONLLU + "2\tbroken\n", "line 9: has 2 columns; CoNLL-U has 10"),
        ("a.conll", "a N\nb\n", "line 2: has 1 columns, those before 2"),
        ("a.conll", "a\tN\nb\t\n", "tag 2 is ''"),
        ("a.jsonl", '{"tokens": ["a"], "tags": ["x", "y"]}', "1 words have 2 tags"),
        ("a.jsonl", '{"tokens": [], "tags": []}', "is empty"),
        ("a.jsonl", '{"tokens": "a b", "tags": []}', "must be a list of texts"),
        ("a.jsonl", '{"tokens": ["a"], "tgas": ["x"]}', "no column 'tags'. Did you mean 'tgas'"),
    ],
)
def test_broken_files_are_named_with_their_line(
    name: str, text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        list(open_tagged([path]).pairs())


def test_wrong_columns_and_numbers_of_files(tmp_path: Path) -> None:
    (path,), (columns,) = write_conllu(tmp_path), write_columns(tmp_path)
    with pytest.raises(UsageError, match=r"CoNLL-U has no column 'pos' of tags. Allowed: lemma"):
        ConlluFile(path, "pos")
    with pytest.raises(UsageError, match="its columns have no names"):
        open_tagged([columns], column="ner")
    with pytest.raises(DataError, match="has 3 columns, none of them is number 7"):
        list(open_tagged([columns], column="7").pairs())
    with pytest.raises(UsageError, match="got 3 paths"):
        open_tagged([path] * 3)
    with pytest.raises(DataError, match="is a folder"):
        open_tagged([tmp_path])


def test_spaces_around_columns_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("a   x   N \nbb  x   V\n", encoding="utf-8")
    (sentence,) = open_sentences(path, None).sentences()
    assert (sentence.words, sentence.tags) == (["a", "bb"], ["N", "V"])
    assert sentence.with_tags(["NN", "VV"]) == ["a   x   NN ", "bb  x   VV"]


@pytest.mark.parametrize(
    ("name", "trained", "expected"),
    [
        ("a.conllu", "xpos", "xpos"),
        ("a.conllu", "3", None),
        ("a.conll", "xpos", None),
        ("a.conll", "3", "3"),
        ("a.jsonl", "ner", "ner"),
        ("a.conllu", None, None),
    ],
)
def test_the_column_of_the_training_where_it_fits(
    name: str, trained: str | None, expected: str | None
) -> None:
    assert usual_column(name, trained) == expected
