import gzip
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgen.data import files
from textgen.data.documents import Lines, Part, Piece, Texts, split_lines
from textgen.data.files import read_lines
from textgen.data.opening import open_text
from textgen.errors import DataError

TEXT = "Перша лінія\r\nsecond line\n\n\tlast 🙂 without end"


def write(path: Path, data: str | bytes) -> Path:
    raw = data.encode() if isinstance(data, str) else data
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


@pytest.mark.parametrize("name", ["text.txt", "text.txt.gz", "noending"])
def test_a_text_file_is_one_document_as_it_stands(tmp_path: Path, name: str) -> None:
    source = open_text(write(tmp_path / name, TEXT))
    assert list(source.documents()) == [TEXT]
    assert list(source.documents()) == [TEXT]  # again


@settings(max_examples=60, deadline=None)
@given(
    text=st.text("aЯ🙂 \n\r\u0301", min_size=1), block=st.integers(1, 9), longest=st.integers(0, 20)
)
def test_any_block_size_gives_the_same_text(
    tmp_path_factory: pytest.TempPathFactory, text: str, block: int, longest: int
) -> None:
    path = write(tmp_path_factory.mktemp("files") / "text.txt", text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_BLOCK", block)
        patch.setattr(files, "_LONGEST", longest)
        pieces = list(open_text(path).pieces())
        assert "".join(piece.text for piece in pieces) == text
        assert [piece.ends_document for piece in pieces] == [False] * (len(pieces) - 1) + [True]
        assert "".join(read_lines(path)) == text
        assert list(split_lines(open_text(path).pieces())) == [
            line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")
        ]


def test_pieces_are_cut_at_line_ends_and_before_spaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_BLOCK", 8)
    source = open_text(write(tmp_path / "a.txt", "one two three\nfour five six seven"))
    assert [text for text, _ in source.pieces()] == [
        "one two",
        " three\n",
        "four five",
        " six",
        " seven",
    ]


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    path = write(tmp_path / "bom.txt", b"\xef\xbb\xbftext")
    assert list(open_text(path).documents()) == ["text"]


def test_several_files_and_folders(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    write(folder / "b.txt", "b")
    write(folder / "inner" / "a.txt.gz", "inner")
    write(folder / ".hidden", b"\0")
    write(folder / "empty.txt", "")
    first = write(tmp_path / "first.txt", "first")
    assert list(open_text(folder).documents()) == ["b", "inner"]
    both = open_text([first, folder])
    assert list(both.documents()) == ["first", "b", "inner"]
    assert "first.txt and 1 more" in both.name
    before = both.fingerprint()
    write(folder / "b.txt", "changed")
    assert both.fingerprint() != before


def broken_gzip(path: Path, *, cut: bool) -> Path:
    data = bytearray(gzip.compress(os.urandom(5000)))
    if cut:
        del data[2000:]
    else:
        data[1000:1100] = bytes(100)
    path.write_bytes(data)
    return path


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    cases = {
        "missing.txt": (None, "no such file"),
        "empty.txt": (b"", "is empty"),
        "empty.txt.gz": (b"", "is empty"),
        "binary.bin": (b"abc\0def", "binary data"),
        "utf16.txt": ("text".encode("utf-16"), "UTF-16"),
    }
    for name, (data, message) in cases.items():
        if data is not None:
            write(tmp_path / name, data)
        with pytest.raises(DataError, match=f"{name}: .*{message}"):
            open_text(tmp_path / name)
    (tmp_path / "void").mkdir()
    with pytest.raises(DataError, match="holds no files"):
        open_text(tmp_path / "void")
    with pytest.raises(DataError, match="No file was given"):
        open_text([])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="is a pipe"):
        open_text(tmp_path / "pipe")


@pytest.mark.parametrize("block", [7, 1 << 20])
def test_invalid_utf8_is_located(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(files, "_BLOCK", block)
    good = "рядок\nдва\nтри ".encode()
    source = open_text(write(tmp_path / "latin.txt", good + b"\xe9t\xe9"))
    with pytest.raises(DataError, match=rf"byte 0xe9 at offset {len(good)} \(line 3\)"):
        list(source.pieces())
    source = open_text(write(tmp_path / "cut.txt", "abc é".encode()[:-1]))
    with pytest.raises(DataError, match=r"byte 0xc3 at offset 4 \(line 1\)"):
        list(source.pieces())


@pytest.mark.parametrize(("cut", "message"), [(True, "ends too early"), (False, "damaged")])
def test_broken_gzip_is_named(tmp_path: Path, cut: bool, message: str) -> None:
    path = broken_gzip(tmp_path / "broken.gz", cut=cut)
    with pytest.raises(DataError, match=rf"broken\.gz: .*{message}|broken\.gz: is (binary|not)"):
        list(open_text(path).pieces())


@settings(max_examples=100, deadline=None)
@given(
    documents=st.lists(st.text("abc", max_size=5), min_size=1, max_size=5),
    start=st.integers(0, 12),
    stop=st.integers(0, 25),
)
def test_a_part_is_a_slice_of_the_joined_documents(
    documents: list[str], start: int, stop: int
) -> None:
    part = Part(Texts(documents), start, stop, "part")
    assert "".join(part.documents()) == "".join(documents)[start : max(start, stop)]


def test_a_part_keeps_the_documents_apart() -> None:
    source = Texts(["abc", "def", "ghi"])
    assert list(Part(source, 0, 6, "").documents()) == ["abc", "def"]
    assert list(Part(source, 1, 7, "").documents()) == ["bc", "def", "g"]
    assert list(Part(source, 3, 9, "").documents()) == ["def", "ghi"]
    assert len({Part(source, 0, n, "").fingerprint() for n in (1, 2, 3)}) == 3


def test_lines_are_documents_without_their_ends() -> None:
    source = Texts(["a\r\n\n b\n", "c"], "x")
    assert list(Lines(source).documents()) == ["a", " b", "c"]
    assert next(Lines(source).pieces()) == Piece("a", ends_document=True)
    assert Lines(source).name == "x"
