import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from textgen.data.opening import open_text
from textgen.errors import DataError

TEXTS = ['plain "quoted", with comma', "Друга\nлінія", "third"]
ROWS = [{"id": str(number), "text": text} for number, text in enumerate(TEXTS)]


def make(folder: Path, ending: str) -> Path:
    path = folder / f"table{ending}"
    if ending == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
        return path
    content = {
        ".csv": 'id,text\n0,"plain ""quoted"", with comma"\n1,"Друга\nлінія"\n2,third\n',
        ".jsonl": "\n".join(json.dumps(row) for row in ROWS) + "\n",
        ".json": json.dumps(ROWS),
    }[ending.removesuffix(".gz")]
    data = content.encode()
    path.write_bytes(gzip.compress(data) if ending.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".json", ".parquet", ".csv.gz", ".jsonl.gz"])
def test_each_row_is_a_document(tmp_path: Path, ending: str) -> None:
    path = make(tmp_path, ending)
    for source in (open_text(path), open_text(path, column="text")):
        assert list(source.documents()) == list(source.documents()) == TEXTS
    assert list(open_text(path, column="id").documents()) == ["0", "1", "2"]
    assert open_text(path).fingerprint() != open_text(path, column="id").fingerprint()


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".json", ".parquet"])
def test_a_missing_column_is_named_with_the_nearest(tmp_path: Path, ending: str) -> None:
    with pytest.raises(DataError, match=r"no column 'txt'. Did you mean 'text'\?.*id, text"):
        open_text(make(tmp_path, ending), column="txt")


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_quotes_of_a_tsv_are_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", 'text\tn\n"open quote\t1\nit\'s "fine"\t2\n')
    assert list(open_text(path).documents()) == ['"open quote', 'it\'s "fine"']


def test_one_column_needs_no_name_and_several_do(tmp_path: Path) -> None:
    assert list(open_text(write(tmp_path / "a.csv", "line\nx\ny\n")).documents()) == ["x", "y"]
    with pytest.raises(DataError, match="say which column holds the text: en, de"):
        open_text(write(tmp_path / "b.csv", "en,de\nx,y\n"))


def test_json_may_wrap_its_rows_or_hold_texts(tmp_path: Path) -> None:
    wrapped = write(tmp_path / "a.json", '{"version": 1, "data": [{"text": "x"}, {"text": "y"}]}')
    plain = write(tmp_path / "b.json", '["x", "y"]')
    single = write(tmp_path / "c.json", '{"text": "x"}')
    assert list(open_text(wrapped).documents()) == ["x", "y"]
    assert list(open_text(plain).documents()) == ["x", "y"]
    assert list(open_text(single).documents()) == ["x"]


def test_empty_and_missing_cells_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "x"}\n\n{"text": ""}\n{"text": null}\n{"n": 1}\n')
    assert list(open_text(path).documents()) == ["x"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,n\nx,1\ny\n", r"line 3: 1 fields, but the first line names 2: text, n"),
        ("a.csv", 'text\n"open', r"line 2: unexpected end of data"),
        ("a.jsonl", '{"text": "x"}\n{"text": \n', r"line 2: is not valid JSON"),
        ("a.jsonl", '{"text": "x"}\n[1]\n', r"line 2: a row must be an object or a text, not list"),
        (
            "a.jsonl",
            '{"text": "x"}\n{"text": 5}\n',
            r"line 2: the column 'text' holds int, not text",
        ),
        ("a.json", '[{"text": "x"}', r"a.json: is not valid JSON"),
        ("a.json", "5", r"a list of rows is expected, not int"),
        ("a.json", "[]", r"a.json: has no rows"),
        ("a.csv", "text\n", r"a.csv: has no rows"),
        ("a.parquet", "nonsense", r"not a Parquet file that can be read"),
    ],
)
def test_damage_is_located(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(DataError, match=message):
        list(open_text(path).documents())


def test_very_long_fields_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text\n" + "x" * 300_000 + "\n")
    assert [len(text) for text in open_text(path).documents()] == [300_000]
