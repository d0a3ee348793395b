"""Links are between words that ASCII white space separates, as in tools that read Pharaoh links."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.data.tokenizers import TextTokenizer, TokenizerConfig, train_tokenizer
from textgen.data.tokenizers.surfaces import surfaces
from textgen.data.whitespace import split_words
from textgen.evaluation.alignment_files import begins_at_1, parse_pharaoh
from textgen.translation.links import word_numbers

TEXT = "ein Hund mit 3\u00a0kg im Haus\nder\u2003 Hund\u3000da\n" * 5
KINDS = ["characters", "bytes", "words", "bpe"]


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, TextTokenizer]:
    return {
        kind: train_tokenizer(
            TokenizerConfig(kind=kind, size=300 if kind == "bpe" else None), [TEXT]
        )  # type: ignore[arg-type]
        for kind in KINDS
    }


def numbers(tokenizer: TextTokenizer, text: str) -> list[int | None]:
    return word_numbers(surfaces(tokenizer, tokenizer.encode(text.strip())), text)


@pytest.mark.parametrize("kind", KINDS)
def test_a_no_break_space_is_inside_of_a_word(
    tokenizers: dict[str, TextTokenizer], kind: str
) -> None:
    found = numbers(tokenizers[kind], "mit 3\u00a0kg im Haus")
    words = [number for number in found if number is not None]
    assert words == sorted(words)
    assert set(words) == {0, 1, 2, 3}
    if kind == "words":
        assert found == [0, 1, 1, 2, 3]


def test_words_are_those_of_c_programs() -> None:
    text = " a\u00a0b \t c\u2003d\u200be\n\x1ff "
    assert split_words(text) == [each.decode() for each in text.encode().split()]
    assert split_words(text) == ["a\u00a0b", "c\u2003d\u200be", "\x1ff"]


@given(st.text(st.sampled_from("ab \t\u00a0\u3000\u200b"), min_size=1, max_size=14))
def test_the_last_word_has_the_number_that_a_reader_gives_it(text: str) -> None:
    """Each character's word, whatever stands between."""
    expected, word, inside = [], -1, False
    for each in text:
        if each in " \t":
            inside = False
            expected.append(None)
        else:
            word += not inside
            inside = True
            expected.append(word)
    assert word_numbers(list(text), text) == expected


def test_gold_that_is_counted_from_1_is_noticed() -> None:
    ones = [parse_pharaoh("1-1 2-2")] * 6
    assert begins_at_1(ones)
    assert not begins_at_1(ones[:2])
    assert not begins_at_1([*ones, parse_pharaoh("0-3")])
