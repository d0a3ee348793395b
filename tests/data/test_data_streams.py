import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgen.data import mapped, tokenising
from textgen.data.documents import Lines, Piece, Texts
from textgen.data.opening import open_text
from textgen.data.sequences import sequences_of, tokenise_sequences
from textgen.data.streams import InMemory, StreamStatistics, TokenStream, stream_of
from textgen.data.tokenising import tokenise_stream
from textgen.data.tokenizers import ByteTokenizer, TokenizerConfig, train_tokenizer
from textgen.data.whitespace import count_words
from textgen.errors import DataError


class Parts:
    def __init__(self, arrays: list[np.ndarray]) -> None:
        self._arrays = arrays

    def arrays(self) -> list[np.ndarray]:
        return self._arrays

    def touched(self, start: int, stop: int) -> None: ...


@given(st.data())
def test_a_slice_across_chunks_is_the_slice_of_the_whole(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=6))
    whole = np.arange(sum(sizes), dtype=np.uint8)
    stream = TokenStream(Parts(np.split(whole, np.cumsum(sizes)[:-1])), StreamStatistics())
    assert len(stream) == len(whole)
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    part = stream.slice(start, stop)
    assert part.dtype == np.int32
    assert part.tolist() == list(range(start, stop))


def test_a_slice_outside_is_refused() -> None:
    for start, stop in [(-1, 1), (2, 1), (0, 4)]:
        with pytest.raises(IndexError, match="stream of 3 tokens"):
            stream_of([1, 2, 3]).slice(start, stop)


def test_eos_stands_between_documents_only() -> None:
    tokenizer = ByteTokenizer()
    stream = tokenise_stream(Texts(["ab", "", "c"]), tokenizer)
    a, b, c = tokenizer.encode("abc")
    assert stream.slice(0, len(stream)).tolist() == [a, b, 2, 2, c]
    assert stream.statistics == StreamStatistics(
        documents=3, tokens=5, characters=3, bytes=3, words=2, unknown=0
    )


def test_pieces_of_one_document_are_joined_without_a_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from textgen.data import files

    text = "Слово за словом, line by line\nі ще один рядок тексту\n" * 5
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    for kind in ("characters", "words", "bytes", "bpe", "unigram"):
        config = TokenizerConfig(kind=kind, size=330 if kind in {"bpe", "unigram"} else None)
        tokenizer = train_tokenizer(config, [text])
        monkeypatch.setattr(files, "_BLOCK", 16)
        stream = tokenise_stream(open_text(tmp_path / "a.txt"), tokenizer)
        assert stream.slice(0, len(stream)).tolist() == tokenizer.encode(text)
        assert stream.statistics.characters == len(text)
        assert stream.statistics.bytes == len(text.encode())
        assert stream.statistics.words == len(text.split())
        assert stream.statistics.documents == 1


def test_unknown_tokens_are_counted() -> None:
    tokenizer = train_tokenizer(TokenizerConfig(kind="words", size=6), ["a a b"])
    assert tokenise_stream(Texts(["a b <unk>\na"]), tokenizer).statistics.unknown == 2


@given(st.text(st.characters(max_codepoint=0x250) | st.sampled_from(" \x1c\x1f\x85\u00a0\u2003")))
def test_words_are_counted_as_split_does(text: str) -> None:
    long = text * (1000 // max(len(text), 1) + 1)
    assert count_words(long) == len(long.split())
    ascii_only = "".join(each for each in long if each.isascii()) + " " * 1000
    assert count_words(ascii_only) == len(ascii_only.split())


@pytest.mark.parametrize("kind", ["characters", "words"])
def test_a_long_stream_is_mapped_and_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(tokenising, "_GATHERED", 100)
    documents = [f"document {number} says word{number % 300}\n" for number in range(400)]
    source = Texts(documents)
    tokenizer = train_tokenizer(TokenizerConfig(kind=kind), documents)
    plain = tokenise_stream(source, tokenizer, cache=tmp_path)
    assert not list(tmp_path.iterdir())
    for _ in range(2):  # written, then found
        stream = tokenise_stream(source, tokenizer, cache=tmp_path, in_memory=500)
        assert isinstance(stream._chunks, mapped.Mapped)
        assert len(stream._chunks.arrays()) > 3
        assert stream.statistics == plain.statistics
        assert (stream.slice(0, len(stream)) == plain.slice(0, len(plain))).all()
    (folder,) = tmp_path.iterdir()
    assert (folder / "tokens.arrow").stat().st_size < 4 * len(plain)  # small integers


def test_a_mapped_stream_is_found_only_if_nothing_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenising, "_GATHERED", 10)
    tokenizer = ByteTokenizer()
    for text in ("first text " * 9, "other text " * 9):
        stream = tokenise_stream(Texts([text]), tokenizer, cache=tmp_path, in_memory=20)
        assert tokenizer.decode(stream.slice(0, len(stream)).tolist()) == text
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_cache_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenising, "_GATHERED", 10)
    tokenizer, source = ByteTokenizer(), Texts(["some text " * 20])
    tokenise_stream(source, tokenizer, cache=tmp_path, in_memory=20)
    (folder,) = tmp_path.iterdir()
    arrow = folder / "tokens.arrow"
    for damage in (arrow.read_bytes()[:150], b"", b"nonsense" * 10):
        arrow.write_bytes(damage)
        stream = tokenise_stream(source, tokenizer, cache=tmp_path, in_memory=20)
        assert tokenizer.decode(stream.slice(0, len(stream)).tolist()) == "some text " * 20


def test_mapped_memory_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenising, "_GATHERED", 10)
    monkeypatch.setattr(mapped, "_BLOCK", 16)
    monkeypatch.setattr(mapped, "_RESIDENT_BLOCKS", 3)
    text = "0123456789" * 50
    stream = tokenise_stream(Texts([text]), ByteTokenizer(), cache=tmp_path, in_memory=20)
    before = stream._chunks.arrays()
    read = [stream.slice(start, start + 10) for start in range(0, 500, 10)]
    assert ByteTokenizer().decode(np.concatenate(read).tolist()) == text
    assert stream._chunks.arrays() is not before


def test_a_full_disk_is_a_data_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenising, "_GATHERED", 10)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("datasets.arrow_writer.ArrowWriter.write_table", full)
    with pytest.raises(DataError, match="No space left"):
        tokenise_stream(Texts(["text " * 9]), ByteTokenizer(), cache=tmp_path, in_memory=20)
    assert not list(tmp_path.iterdir())


def test_what_is_interrupted_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenising, "_GATHERED", 10)

    class Stopping(Texts):
        def pieces(self) -> Iterator[Piece]:
            yield from super().pieces()
            assert list(tmp_path.iterdir())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tokenise_stream(Stopping(["text " * 99]), ByteTokenizer(), cache=tmp_path, in_memory=20)
    assert not list(tmp_path.iterdir())


def test_what_nobody_uses_is_removed_when_more_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenising, "_GATHERED", 10)

    def tokenised(text: str) -> set[str]:
        tokenise_stream(Texts([text * 20]), ByteTokenizer(), cache=tmp_path, in_memory=20)
        return {each.name for each in tmp_path.iterdir()}

    def leave(*names: str) -> None:
        for name in names:
            (tmp_path / name).mkdir(exist_ok=True)
            os.utime(tmp_path / name, (time.time() - 40 * 24 * 3600,) * 2)

    first, second = tokenised("one "), tokenised("two ")
    (young,) = second - first
    leave(*first, ".writing-killed", "photographs", "f" * 63)
    assert tokenised("two ") == {*second, ".writing-killed", "photographs", "f" * 63}  # only read
    leave(young)
    tokenised("two ")  # used again
    assert tokenised("three ") - {young, "photographs", "f" * 63} != set()
    left = {each.name for each in tmp_path.iterdir()}
    assert len(left) == 4
    assert {young, "photographs", "f" * 63} < left


def test_a_source_without_text_is_refused() -> None:
    for source in (Texts([]), Texts([""])):
        with pytest.raises(DataError, match="no text"):
            tokenise_stream(source, ByteTokenizer())


def test_the_cache_folder_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TEXTGEN_CACHE", str(tmp_path))
    assert mapped.cache_folder() == tmp_path
    monkeypatch.delenv("TEXTGEN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert mapped.cache_folder() == tmp_path / "textgen"


@settings(deadline=None)
@given(st.lists(st.text("ab ", min_size=1, max_size=5).filter(str.strip), min_size=1, max_size=8))
def test_sentences_keep_their_borders(lines: list[str]) -> None:
    tokenizer = ByteTokenizer()
    sequences = tokenise_sequences(Lines(Texts(["\n".join(lines)])), tokenizer)
    assert [tokenizer.decode(row.tolist()) for row in sequences] == lines
    assert sequences.lengths.tolist() == [len(line) for line in lines]
    assert sequences.statistics.characters == sum(map(len, lines)) + len(lines)
    assert sequences.statistics.documents == len(sequences) == len(lines)


def test_sentences_of_tokens_at_hand() -> None:
    sequences = sequences_of([[5, 6], [], [7]])
    assert [sequences[index].tolist() for index in range(3)] == [[5, 6], [], [7]]


def test_no_sentences_are_refused() -> None:
    with pytest.raises(DataError, match="no text"):
        tokenise_sequences(Texts([]), ByteTokenizer())


def test_in_memory_streams_are_one_array() -> None:
    (array,) = InMemory(np.arange(3)).arrays()
    assert array.tolist() == [0, 1, 2]
