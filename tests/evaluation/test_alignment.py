"""Links, error rates, attention to links, tokens to words."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from textgen.errors import DataError
from textgen.evaluation.alignment import (
    AlignmentCounts,
    GoldAlignment,
    check_range,
    count_alignment,
    score_alignments,
)
from textgen.translation.links import (
    Link,
    hard_links,
    make_links,
    reverse,
    unite_attention,
    unite_links,
    word_numbers,
)

pairs = st.tuples(st.integers(0, 5), st.integers(0, 5))
links = st.frozensets(pairs).map(make_links)
gold = st.builds(GoldAlignment, links, links)


def test_a_sentence_worked_by_hand() -> None:
    # A = {0-0, 1-1, 2-3, 3-2}, S = {0-0, 1-1, 2-2}, P = S + {2-3}: |A∩S| = 2, |A∩P| = 3
    found = make_links([(0, 0), (1, 1), (2, 3), (3, 2)])
    truth = GoldAlignment(make_links([(0, 0), (1, 1), (2, 2)]), make_links([(2, 3)]))
    counts = count_alignment(found, truth)
    assert counts == AlignmentCounts(found=4, sure=3, found_sure=2, found_possible=3)
    assert counts.aer == float(1 - Fraction(2 + 3, 4 + 3))
    assert counts.precision == float(Fraction(3, 4))
    assert counts.recall == float(Fraction(2, 3))
    assert counts.as_dict() == {
        "aer": 2 / 7,
        "precision": 0.75,
        "recall": 2 / 3,
        "found": 4,
        "sure": 3,
        "found_sure": 2,
        "found_possible": 3,
    }


def test_a_corpus_adds_counts_and_does_not_average_rates() -> None:
    good = make_links([(0, 0)])
    bad = make_links([(0, 1), (1, 0), (2, 2)])
    truth = [GoldAlignment(good), GoldAlignment(make_links([(5, 5)]))]
    counts = score_alignments([good, bad], truth)
    # 1 − (1 + 1) / (4 + 2), not the mean of 0 and 1
    assert counts.aer == float(1 - Fraction(2, 6))


def test_nothing_to_find_and_nothing_found_is_faultless() -> None:
    counts = score_alignments([frozenset()], [GoldAlignment()])
    assert (counts.aer, counts.precision, counts.recall) == (0.0, 1.0, 1.0)


def test_nothing_found_where_there_was_something_is_all_wrong() -> None:
    counts = count_alignment(frozenset(), GoldAlignment(make_links([(0, 0)])))
    assert (counts.aer, counts.recall) == (1.0, 0.0)


def test_different_numbers_of_sentences_are_said() -> None:
    with pytest.raises(DataError, match=r"2 alignments.*gold links for 1 "):
        score_alignments([frozenset(), frozenset()], [GoldAlignment()])


@given(st.lists(gold, max_size=4))
def test_the_sure_links_against_themselves_have_no_error(truth: list[GoldAlignment]) -> None:
    assert score_alignments([each.sure for each in truth], truth).aer == 0


@given(links, gold)
def test_rates_lie_between_0_and_1_and_agree_with_exact_fractions(
    found: frozenset[Link], truth: GoldAlignment
) -> None:
    counts = count_alignment(found, truth)
    assert truth.sure <= truth.possible
    if found or truth.sure:
        hits = len(found & truth.sure) + len(found & truth.possible)
        assert counts.aer == float(1 - Fraction(hits, len(found) + len(truth.sure)))
    assert 0 <= counts.aer <= 1
    assert 0 <= counts.precision <= 1
    assert 0 <= counts.recall <= 1


@given(links, gold)
def test_exchanging_source_and_target_everywhere_changes_no_rate(
    found: frozenset[Link], truth: GoldAlignment
) -> None:
    assert count_alignment(reverse(found), truth.reversed()) == count_alignment(found, truth)
    assert reverse(reverse(found)) == found


@given(links, gold)
def test_without_possible_links_the_error_rate_is_one_minus_the_f_measure(
    found: frozenset[Link], truth: GoldAlignment
) -> None:
    counts = count_alignment(found, GoldAlignment(truth.sure))
    assume(counts.precision + counts.recall > 0)
    f_measure = 2 * counts.precision * counts.recall / (counts.precision + counts.recall)
    assert counts.aer == pytest.approx(1 - f_measure)


def test_each_target_token_is_linked_to_its_best_source_and_never_to_eos() -> None:
    attention = [
        [0.7, 0.2, 0.1],
        [0.3, 0.1, 0.6],  # looks at eos most
        [0.0, 0.9, 0.1],
        [0.0, 0.0, 1.0],  # the target's own eos
    ]
    assert hard_links(attention, 2, 3) == make_links([(0, 0), (1, 2)])
    assert hard_links(attention, 2, 3, eos=False) == make_links([(0, 0), (0, 1), (1, 2)])


def test_of_equal_weights_the_first_wins_and_weak_ones_can_be_left_out() -> None:
    attention = [[0.4, 0.4, 0.2], [0.05, 0.05, 0.05]]
    assert hard_links(attention, 2, 2) == make_links([(0, 0), (0, 1)])
    assert hard_links(attention, 2, 2, threshold=0.1) == make_links([(0, 0)])


@pytest.mark.parametrize(("source", "target"), [(0, 3), (3, 0), (0, 0)])
def test_empty_sentences_have_no_links(source: int, target: int) -> None:
    assert hard_links(np.ones((4, 4)), source, target) == frozenset()


def test_matrices_that_are_too_small_or_not_finite_are_refused() -> None:
    with pytest.raises(DataError, match=r"shape \(1, 2\) has no room for 1 target and 3 source"):
        hard_links([[0.5, 0.5]], 3, 1)
    with pytest.raises(DataError, match="not finite"):
        hard_links([[0.5, float("nan")]], 2, 1)
    with pytest.raises(DataError, match="shape"):
        hard_links([0.5], 1, 1)


@pytest.mark.parametrize(
    ("surfaces", "words"),
    [
        (["a", "▁man", "▁sle", "eps", "."], [0, 1, 2, 2, 2]),
        (["▁a", "▁man"], [0, 1]),
        (list("ab  c\nd"), [0, 0, None, None, 1, None, 2]),
        (["un", "", "do", "▁", "it"], [0, None, 0, None, 1]),
        (["kind▁of", "▁", "x"], [0, None, 2]),
        (["kind▁o", "f", "▁x"], [0, 1, 2]),
        (["a ", "b"], [0, 1]),
        ([], []),
    ],
)
def test_tokens_belong_to_the_words_that_spaces_separate(
    surfaces: list[str], words: list[int | None]
) -> None:
    assert word_numbers(surfaces) == words


@given(st.text(alphabet="ab ▁\n"), st.data())
def test_word_numbers_count_the_words_of_the_text(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    bounds = [0, *cuts, len(text)]
    surfaces = [text[start:stop] for start, stop in itertools.pairwise(bounds)]
    characters = text.replace("▁", " ")
    expected: list[int | None] = []
    place = 0
    for surface in surfaces:
        first = next(
            (i for i in range(len(surface)) if not surface.replace("▁", " ")[i].isspace()), None
        )
        if first is None:
            expected.append(None)
        else:  # words begun up to and with the token's first letter
            upto = characters[: place + first + 1]
            expected.append(len(upto.split()) - 1)
        place += len(surface)
    assert word_numbers(surfaces) == expected


def test_words_are_linked_if_any_of_their_tokens_are() -> None:
    # source: un-do it; target: rück-gängig machen
    tokens = make_links([(0, 0), (1, 1), (2, 2), (1, 2)])
    united = unite_links(tokens, [0, 0, 1], [0, 0, 1])
    assert united == make_links([(0, 0), (1, 1), (0, 1)])


def test_tokens_of_no_word_lose_their_links() -> None:
    assert unite_links([Link(1, 0), Link(0, 0)], [0, None], [0]) == make_links([(0, 0)])
    with pytest.raises(DataError, match="2-0 lies outside 2 source and 1 target"):
        unite_links([Link(2, 0)], [0, 0], [0])


def test_attention_of_words_adds_source_tokens_and_averages_target_tokens() -> None:
    attention = np.array(
        [
            [0.5, 0.25, 0.125, 0.125],
            [0.25, 0.25, 0.25, 0.25],
            [0.0, 0.0, 1.0, 0.0],
        ]
    )
    united = unite_attention(attention, [0, 0, None, 1], [0, 0, 1])
    assert united.tolist() == [[0.625, 0.1875], [0.0, 0.0]]


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 1000))
def test_rows_of_united_attention_still_sum_to_1(rows: int, columns: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    weights = generator.dirichlet(np.ones(columns), size=rows)
    source = np.minimum(np.arange(columns), generator.integers(1, columns + 1) - 1).tolist()
    target = np.minimum(np.arange(rows), generator.integers(1, rows + 1) - 1).tolist()
    united = unite_attention(weights, source, target)
    assert united.shape == (max(target) + 1, max(source) + 1)
    assert united.sum(axis=1) == pytest.approx(1)


def test_links_outside_the_sentence_are_told_with_their_place() -> None:
    check_range(make_links([(0, 0), (1, 2)]), 2, 3, "x")
    with pytest.raises(
        DataError, match=r"gold, line 3: the link 2-0 names source word 2.* 2 words"
    ):
        check_range(make_links([(0, 0), (2, 0)]), 2, 3, "gold, line 3")
