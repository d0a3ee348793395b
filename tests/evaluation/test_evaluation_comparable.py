"""Figures per character: two texts of the same tokens have the same, or are marked."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textgen.data.documents import Piece
from textgen.data.streams import StreamStatistics
from textgen.data.tokenising import count
from textgen.data.tokenizers import TextTokenizer, TokenizerConfig, train_tokenizer

TEXT = "the cat sat on the mat\nun café déjà vu\n" * 9
KINDS = ["characters", "bytes", "words", "bpe", "unigram"]
SIZES = {"bpe": 330, "unigram": 330}


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, TextTokenizer]:
    return {
        kind: train_tokenizer(TokenizerConfig(kind=kind, size=SIZES.get(kind)), [TEXT])  # type: ignore[arg-type]
        for kind in KINDS
    }


def statistics(text: str, tokenizer: TextTokenizer) -> tuple[list[int], StreamStatistics]:
    tokens = tokenizer.encode_array(text)
    piece = Piece(text, ends_document=True)
    return tokens.tolist(), count(piece, tokens, tokenizer, begins_document=True)


HOSTILE = st.text(st.sampled_from("the caé \u0301\t\r\n\u00a0\u2003▁Ω"), min_size=1, max_size=12)


@pytest.mark.parametrize("kind", KINDS)
@given(first=HOSTILE, spaces=st.sampled_from(["        ", "\t", "\r", "\u00a0"]))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_texts_of_the_same_tokens_have_as_many_characters(
    tokenizers: dict[str, TextTokenizer], kind: str, first: str, spaces: str
) -> None:
    tokenizer = tokenizers[kind]
    variants = [first, first.replace(" ", spaces), unicodedata.normalize("NFD", first), f" {first}"]
    tokens, counted = statistics(first, tokenizer)
    same = 0
    for text in variants:
        other, figures = statistics(text, tokenizer)
        if other == tokens:
            same += 1
            assert (figures.characters, figures.bytes) == (counted.characters, counted.bytes)
            assert kind != "words" or figures.words == counted.words
        if tokenizer.decode(other) != text and not figures.unknown:
            assert figures.altered > 0, text
        if not figures.unknown and not figures.altered:
            assert tokenizer.decode(other) == text
            assert figures.characters == len(text)
    assert same >= 1


def test_spaces_and_normal_forms_are_marked(tokenizers: dict[str, TextTokenizer]) -> None:
    plain = "the cat sat\n"
    for kind, text, altered in (
        ("words", plain, 0),
        ("words", plain.replace(" ", " " * 8), 1),
        ("words", "the cat \n the mat\n", 2),
        ("characters", "déjà vu", 0),
        ("characters", unicodedata.normalize("NFD", "déjà vu"), 1),
        ("characters", plain.replace(" ", " " * 8), 0),
    ):
        _, figures = statistics(text, tokenizers[kind])
        assert figures.altered == altered, (kind, text)


def test_a_long_document_is_counted_like_a_short_one(
    tokenizers: dict[str, TextTokenizer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spaces at the ends of the pieces in which a file is read are spaces between words."""
    from textgen.data import files
    from textgen.data.opening import open_text
    from textgen.data.tokenising import tokenise_stream

    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    monkeypatch.setattr(files, "_BLOCK", 16)
    for kind in KINDS:
        found = tokenise_stream(open_text(tmp_path / "a.txt"), tokenizers[kind]).statistics
        assert (found.characters, found.bytes) == (len(TEXT), len(TEXT.encode()))
        assert found.altered == 0
