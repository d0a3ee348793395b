"""Lines of a pipe: in groups as they come, within bounds."""

import io
import itertools
import os
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.data import line_reader
from textgen.data.line_reader import LineReader


def read(data: bytes, size: int = 1000) -> list[str]:
    return [line for group in LineReader(io.BytesIO(data)).groups(size) for line in group]


@given(st.binary(max_size=300), st.integers(1, 20))
def test_only_a_line_feed_ends_a_line(data: bytes, size: int) -> None:
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    lines[:1] = [line.removeprefix(b"\xef\xbb\xbf") for line in lines[:1]]
    expected = [line.removesuffix(b"\r").decode("utf-8", "replace") for line in lines]
    groups = list(LineReader(io.BytesIO(data)).groups(size))
    assert [line for group in groups for line in group] == expected
    assert all(1 <= len(group) <= size for group in groups)


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    data = "ä\n\nlonger than a chunk\r\nlast".encode()
    for size in (1, 2, 3, 7, 100):
        monkeypatch.setattr(line_reader, "CHUNK", size)
        assert read(data) == ["ä", "", "longer than a chunk", "last"]


def test_undecodable_lines_are_counted() -> None:
    reader = LineReader(io.BytesIO(b"good\n\xff\n\xe2\x82\nfine \xef\xbf\xbd\n"))
    lines = [line for group in reader.groups(9) for line in group]
    assert lines == ["good", "\ufffd", "\ufffd", "fine \ufffd"]
    assert reader.undecodable == 2


def test_a_line_without_an_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_reader, "LONGEST_LINE", 10)
    monkeypatch.setattr(line_reader, "CHUNK", 4)
    reader = LineReader(io.BytesIO(b"x" * 95 + b"\n0123456789\nend"))
    assert list(itertools.chain(*reader.groups(9))) == ["x" * 10, "0123456789", "end"]
    assert reader.shortened == 1


@pytest.fixture
def pipe() -> Iterator[tuple[LineReader, BinaryIO]]:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb", buffering=0) as sink:
        reader = LineReader(source)
        yield reader, sink
        sink.close()
        while reader._take(1000):  # lets the thread end before its pipe is closed
            pass


def test_what_has_come_is_given_before_the_end(pipe: tuple[LineReader, BinaryIO]) -> None:
    reader, sink = pipe
    groups = reader.groups(100)
    for text in ("one", "two"):
        sink.write(f"{text}\nhalf".encode())
        assert next(groups) == [text] if text == "one" else [f"half{text}"]


def test_a_quick_writer_fills_groups_that_grow(pipe: tuple[LineReader, BinaryIO]) -> None:
    reader, sink = pipe

    def write() -> None:
        for _ in range(10):
            sink.write(b"x\n" * 40)
            time.sleep(0.001)
        sink.close()

    writer = threading.Thread(target=write)
    writer.start()
    sizes = [len(group) for group in reader.groups(150)]
    writer.join()
    assert sum(sizes) == 400
    assert sizes[:3] == [16, 64, 150]


def test_an_endless_stream_is_read_ahead_within_bounds() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            self.given += size
            return b"line\n" * (size // 5)

    stream = Endless()
    reader = LineReader(stream)  # type: ignore[arg-type]
    groups = reader.groups(1000)
    for _ in range(3):
        next(groups)
    for _ in range(100):
        if reader._waiting >= line_reader.AHEAD:
            break
        time.sleep(0.02)
    time.sleep(0.05)
    assert stream.given < 2 * line_reader.AHEAD


def test_a_stream_that_fails_is_told_after_its_lines() -> None:
    class Failing(io.RawIOBase):
        begun = False

        def read(self, size: int = -1) -> bytes:
            del size
            if not self.begun:
                self.begun = True
                return b"one\ntwo\n"
            raise OSError(5, "Input/output error")

    groups = LineReader(Failing()).groups(10)  # type: ignore[arg-type]
    assert next(groups) == ["one", "two"]
    with pytest.raises(OSError, match="Input/output error"):
        next(groups)
