"""Figures of a set of texts against counting by hand, and against sacreBLEU."""

import math

import pytest
from sacrebleu.metrics.bleu import BLEU

from textgen.evaluation.diversity import measure_texts

TEXTS = ["The cat sat.", "the cat, the dog", "the cat sat on the mat the cat sat on the mat."]


def test_figures_equal_counts_by_hand() -> None:
    # the cat sat . | the cat , the dog | the cat sat on the mat the cat sat on the mat .
    figures = measure_texts(TEXTS, nll=30.0, tokens=20)
    assert figures.texts == 3
    assert figures.nats_per_token == 1.5
    assert figures.words == 4 + 5 + 13
    assert figures.distinct_1 == pytest.approx(9 / 22)  # The cat sat . the , dog on mat
    assert figures.distinct_2 == pytest.approx(12 / 19)
    assert figures.repetition == pytest.approx((0 + 0 + 3 / 10) / 3)
    assert figures.loops == 0
    assert figures.tokens == pytest.approx(20 / 3)
    assert figures.characters == pytest.approx(sum(map(len, TEXTS)) / 3)


def test_distinct_2_is_that_of_a_set() -> None:
    split = ["The cat sat .", "the cat , the dog", "the cat sat on the mat " * 2 + "."]
    pairs = [pair for text in split for pair in zip(text.split(), text.split()[1:], strict=False)]
    assert measure_texts(TEXTS, 1.0, 1).distinct_2 == pytest.approx(len(set(pairs)) / len(pairs))


def test_self_bleu_is_sacrebleus_sentence_bleu_of_plain_text() -> None:
    metric = BLEU(effective_order=True)
    scores = [
        metric.sentence_score(text, TEXTS[:at] + TEXTS[at + 1 :]).score
        for at, text in enumerate(TEXTS)
    ]
    assert measure_texts(TEXTS, 1.0, 1).self_bleu == pytest.approx(sum(scores) / 3)


def test_characters_are_units_too() -> None:
    figures = measure_texts(["abab", "abc"], 1.0, 7, "characters")
    assert figures.words == 7
    assert figures.distinct_1 == pytest.approx(3 / 7)
    assert figures.distinct_2 == pytest.approx(3 / 5)


def test_a_loop_at_the_end_is_counted() -> None:
    assert measure_texts(["well " + "and so on " * 3, "and so on"], 1.0, 1).loops == 0.5


@pytest.mark.parametrize("texts", [[], [""], ["", ""]])
def test_nothing_is_no_number(texts: list[str]) -> None:
    figures = measure_texts(texts, 0.0, 0)
    assert math.isnan(figures.nats_per_token)
    assert math.isnan(figures.distinct_1)
    assert figures.words == 0
    assert math.isnan(figures.self_bleu) == (len(texts) < 2)
