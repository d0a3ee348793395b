"""Statistics of generated text against counts made by hand and sacreBLEU's own sentence scores."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from textgen.errors import UsageError
from textgen.evaluation.text_statistics import (
    distinct,
    ends_in_loop,
    repetition_rate,
    self_bleu,
    sequence_repetition,
)

texts = st.lists(st.lists(st.sampled_from("abcde"), max_size=8), min_size=2, max_size=5)


def test_distinct_counts_over_all_texts() -> None:
    # bigrams: ab ba ab, ba: 2 different of 4
    assert distinct(["abab", "ba"], 2) == 0.5
    assert distinct(["abab", "ba"], 1) == float(Fraction(2, 6))
    assert distinct([[1, 2, 3]], 3) == 1.0
    assert distinct(["a", ""], 2) == 1.0


def test_sequence_repetition_is_what_was_said_before() -> None:
    words = ["the", "cat", "and", "the", "cat", "and", "the", "dog"]
    # bigrams: the-cat cat-and and-the the-cat cat-and and-the the-dog: 4 different of 7
    assert sequence_repetition(words, 2) == pytest.approx(float(1 - Fraction(4, 7)))
    assert sequence_repetition(words, 9) == 0.0


def test_repetition_rate_is_the_geometric_mean_over_orders() -> None:
    # unigrams a (3), b (2), c: 2 of 3 types repeat; bigrams ab (2), ba (2)... of abab + ac:
    # ab ba ab ba ac: 2 of 3 types repeat
    assert repetition_rate("ababac", longest=2) == pytest.approx(2 / 3)
    # of two windows aba|bac: types a b | b a c, repeated a | none: 1 of 5
    assert repetition_rate("ababac", longest=1, window=3) == pytest.approx(1 / 5)
    assert repetition_rate("abcd") == 0.0
    assert repetition_rate("") == 0.0
    assert repetition_rate("a" * 50) == 1.0


@pytest.mark.parametrize(
    ("text", "loops"),
    [
        ("xyabababx", False),
        ("xyababab", True),
        ("xyabab", False),
        ("aaaaaa", True),
        ("aaaaa", False),
        (["no", "no", "no", "no", "no"], False),
        (["I", "do", "not", "know", "I", "do", "not", "know", "I", "do", "not", "know"], True),
        ("", False),
    ],
)
def test_a_loop_is_a_phrase_three_times_at_the_end(text: str | list[str], loops: bool) -> None:
    assert ends_in_loop(text) is loops


def test_self_bleu_of_equal_texts_is_100_and_of_strangers_0() -> None:
    assert self_bleu(["abcdef", "abcdef"]) == pytest.approx(100)
    assert self_bleu(["abcd", "efgh"]) == 0.0


@settings(max_examples=60, deadline=None)
@given(texts)
def test_self_bleu_equals_sacrebleu_with_the_others_as_references(many: list[list[str]]) -> None:
    lines = [" ".join(text) for text in many]
    judge = BLEU(tokenize="none", effective_order=True)
    scores = [
        judge.sentence_score(line, lines[:owner] + lines[owner + 1 :]).score
        for owner, line in enumerate(lines)
    ]
    assert self_bleu(many) == pytest.approx(sum(scores) / len(scores))


@given(texts, st.integers(1, 4))
def test_shares_lie_between_0_and_1(many: list[list[str]], n: int) -> None:
    assert 0 < distinct(many, n) <= 1
    assert 0 <= sequence_repetition(many[0], n) < 1
    assert 0 <= repetition_rate(many[0], longest=n) <= 1


def test_requests_that_make_no_sense() -> None:
    with pytest.raises(UsageError, match="not 0"):
        distinct(["a"], 0)
    with pytest.raises(UsageError, match="window"):
        repetition_rate("a", window=0)
    with pytest.raises(UsageError, match="needs 2, not 1"):
        self_bleu(["a"])
