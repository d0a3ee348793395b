"""The same rows through every format give the same texts, whatever stands in the cells."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textgen.data.files import TextFile
from textgen.data.opening import open_text
from textgen.data.parallel import PairFiles, PairTable
from textgen.data.tables import open_table
from textgen.data.tokenizers import (
    TokenizerConfig,
    load_tokenizer,
    save_tokenizer,
    train_tokenizer,
)
from textgen.errors import DataError, UsageError

PAIRS = [("hello, you", 'sa"lut'), ('"quoted"', "c'est; bien"), ("a | b", "ça\u2028va"), ("x", "y")]


def delimited(rows: list[tuple[str, str]], mark: str, quoting: int = csv.QUOTE_MINIMAL) -> str:
    """As pandas and others write it."""
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=mark, quoting=quoting, lineterminator="\n").writerows(rows)  # type: ignore[arg-type]
    return file.getvalue()


HEADER = [("en", "fr")]
TEXTS: dict[str, Callable[[list[tuple[str, str]]], str]] = {
    ".csv": lambda rows: delimited(HEADER + rows, ","),
    ".csv.gz": lambda rows: delimited(HEADER + rows, ","),
    ".semicolon.csv": lambda rows: delimited(HEADER + rows, ";"),
    ".tsv": lambda rows: delimited(HEADER + rows, "\t"),
    ".quoted.tsv": lambda rows: delimited(HEADER + rows, "\t", csv.QUOTE_ALL),
    ".plain.tsv": lambda rows: "".join(f"{a}\t{b}\n" for a, b in HEADER + rows),
    ".txt": lambda rows: "".join(f"{a}\t{b}\n" for a, b in rows),
    ".jsonl": lambda rows: "".join(json.dumps({"en": a, "fr": b}) + "\n" for a, b in rows),
    ".nested.jsonl": lambda rows: "".join(
        json.dumps({"translation": {"en": a, "fr": b}}) + "\n" for a, b in rows
    ),
    ".json": lambda rows: json.dumps([{"en": a, "fr": b} for a, b in rows]),
}


def written(folder: Path, kind: str, rows: list[tuple[str, str]]) -> Path:
    """A table with the columns en and fr."""
    path = folder / f"rows{kind}"
    if kind.endswith(".parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        table: list[Any] = [{"en": a, "fr": b} for a, b in rows]
        if kind.startswith(".nested"):
            table = [{"translation": row} for row in table]
        pq.write_table(pa.Table.from_pylist(table), path)
        return path
    data = TEXTS[kind](rows).encode()
    path.write_bytes(gzip.compress(data) if kind.endswith(".gz") else data)
    return path


KINDS = [
    *(".csv", ".csv.gz", ".semicolon.csv", ".tsv", ".quoted.tsv", ".plain.tsv", ".txt"),
    *(".jsonl", ".nested.jsonl", ".json", ".parquet", ".nested.parquet"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_are_the_same_in_every_format(tmp_path: Path, kind: str) -> None:
    names = ("1", "2") if kind == ".txt" else ("en", "fr")
    found = list(PairTable(written(tmp_path, kind, PAIRS), *names).pairs())
    assert [tuple(pair) for pair in found] == PAIRS
    column = "1" if kind == ".txt" else "en"
    if kind != ".txt":
        texts = open_text(tmp_path / f"rows{kind}", column=column)
        assert list(texts.documents()) == [pair[0] for pair in PAIRS]


CELL = st.text(st.sampled_from("ab\"',;\t\n|é \u2028\ufeff"), min_size=1, max_size=6).map(
    lambda text: f"x{text}x"
)


@pytest.mark.parametrize("kind", [".csv", ".tsv", ".quoted.tsv", ".jsonl", ".json"])
@given(rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=4))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_a_program_writes_is_read_back(
    tmp_path: Path, kind: str, rows: list[tuple[str, str]]
) -> None:
    table = open_table(written(tmp_path, kind, rows), ["en", "fr"])
    found = [(row["en"], row["fr"]) for _, row in table.rows()]
    assert found == rows


def test_a_carriage_return_needs_quotes_in_csv(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'text,n\n"a\rb",1\n')
    assert list(open_text(tmp_path / "a.csv").documents()) == ["a\rb"]
    (tmp_path / "b.csv").write_bytes(b"text,n\na\rb,1\n")
    with pytest.raises(DataError, match=r"line 2: a carriage return .* without quotes"):
        list(open_text(tmp_path / "b.csv").documents())


def test_quotes_of_plain_tsv_are_text(tmp_path: Path) -> None:
    path = tmp_path / "plain.tsv"
    path.write_text('en\tfr\n"Hello," he said.\tx\n"Yes."\ty\nno "b"\tz\n')
    sources = [pair.source for pair in PairTable(path, "en", "fr").pairs()]
    assert sources == ['"Hello," he said.', '"Yes."', 'no "b"']


def test_columns_that_the_first_rows_lack_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1}\n\n{"text": "a"}\n{"id": 2}\n{"text": "b"}\n')
    assert list(open_text(path, column="text").documents()) == ["a", "b"]
    with pytest.raises(DataError, match=r"no column 'txt'.*text"):
        open_text(path, column="txt")


def test_lines_in_errors_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n\n\n{"text": 5}\n')
    with pytest.raises(DataError, match=r"a\.jsonl, line 4: the column 'text' holds int"):
        list(open_text(tmp_path / "a.jsonl").documents())
    (tmp_path / "a.csv").write_text("text,n\na,1\n\n\nb\n")
    with pytest.raises(DataError, match=r"a\.csv, line 5: 1 fields"):
        list(open_text(tmp_path / "a.csv").documents())


def test_a_table_that_is_no_table_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("hello\tsalut\nbye\tciao\n")
    assert next(PairTable(path, "2", "1").pairs()) == ("salut", "hello")
    with pytest.raises(DataError, match="no column 'en'"):
        PairTable(path, "en", "fr")
    with pytest.raises(DataError, match="no column '3'"):
        PairTable(path, "1", "3")


@pytest.mark.parametrize("encoding", ["cp1251", "utf-16", "koi8-r", "utf-8"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    text = "Привет, мир\nкот\n"
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(encoding))
    assert "".join(TextFile(path, encoding).documents()) == text
    assert list(PairFiles(path, path, encoding).pairs()) == [
        (line, line) for line in text.splitlines()
    ]
    if encoding != "utf-8":
        with pytest.raises(DataError, match="--encoding"):
            list(open_text(path).documents())


def test_wrong_encodings_are_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc\x81")
    for name in ("utf-9", "base64", ""):
        with pytest.raises(UsageError, match="no encoding"):
            open_text(tmp_path / "a", encoding=name)
    with pytest.raises(DataError, match="is not cp1252 text, after 0 characters"):
        list(open_text(tmp_path / "a", encoding="cp1252").documents())


@given(data=st.binary(min_size=1, max_size=60))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_raw_bytes_come_back_from_a_model_of_bytes(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(data if not data.startswith(b"\x1f\x8b") else b"x" + data)
    data = path.read_bytes()
    tokenizer = train_tokenizer(TokenizerConfig(kind="bytes", normalisation="none"), [])
    (text,) = TextFile(path, "raw").documents()
    tokens = tokenizer.encode(text)
    assert [token - 3 for token in tokens] == list(data)
    assert b"".join(tokenizer.surface(token, None) for token in tokens) == data


@pytest.mark.parametrize("place", [0, 5, 8190, 8300, (1 << 20) + 7])
def test_a_zero_byte_is_refused_wherever_it_stands(tmp_path: Path, place: int) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"a" * place + b"\0" + b"b" * 9)
    with pytest.raises(DataError, match=f"zero byte at offset {place}"):
        list(open_text(path).documents())


def test_halves_of_surrogate_pairs(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "ok"}\n{"text":"a \\ud83d b"}\n')
    with pytest.raises(DataError, match="line 2: the column 'text' has half of a surrogate pair"):
        list(open_text(path).documents())
    broken = ["a \ud83d b", "c \udc00 d"]  # from Python there may be some
    for kind in ("characters", "words", "bpe", "bytes"):
        size = 300 if kind == "bpe" else None
        config = TokenizerConfig(kind=kind, size=size)  # type: ignore[arg-type]
        tokenizer = train_tokenizer(config, broken)
        save_tokenizer(tokenizer, tmp_path)
        again = load_tokenizer(tmp_path)
        assert again.fingerprint() == tokenizer.fingerprint()
        found = again.decode(again.encode(broken[0]))
        assert found.encode() == "a \ufffd b".encode()


def test_line_ends(tmp_path: Path) -> None:
    r"""``\n`` ends a line, a ``\r`` before it goes with it; nothing else ends one."""
    text = "a\r\nb\rc\nd\u2028e\x0cf\x85g"
    (tmp_path / "a.txt").write_bytes(text.encode())
    found = [pair.source for pair in PairFiles(tmp_path / "a.txt", tmp_path / "a.txt").pairs()]
    assert found == ["a", "b\rc", "d\u2028e\x0cf\x85g"]
    assert "".join(open_text(tmp_path / "a.txt").documents()) == text  # a text keeps its characters
