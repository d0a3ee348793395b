"""Symmetrisation against examples worked by hand and a literal retelling of the procedure."""

from bisect import insort

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgen.errors import UsageError
from textgen.evaluation.symmetrisation import METHODS, symmetrise
from textgen.translation.links import Link, Links, make_links

links = st.frozensets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=14).map(make_links)


def in_order(links: Links) -> list[tuple[int, int]]:
    return sorted((link.target, link.source) for link in links)


def retold(forward: Links, backward: Links, method: str) -> Links:
    """Grow on a grid of target × source cells, as Koehn's book tells it, in symal's order.

    Coverage is counted anew for each question; the current links are a sorted list that is walked
    while it grows.
    """
    union = forward | backward
    current = in_order(forward & backward)

    def covered(axis: int, number: int) -> bool:
        return any(cell[axis] == number for cell in current)

    around = [(-1, 0), (0, -1), (1, 0), (0, 1)]
    if method != "grow":
        around += [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    before = -1
    while before != len(current):
        before = len(current)
        position = 0
        while position < len(current):
            here = current[position]
            for down, right in around:
                cell = (here[0] + down, here[1] + right)
                if Link(cell[1], cell[0]) in union and not (
                    covered(0, cell[0]) and covered(1, cell[1])
                ):
                    insort(current, cell)
            position = current.index(here) + 1
    last = [*in_order(forward - backward), *in_order(backward - forward)]
    for cell in last if "final" in method else []:
        taken = (covered(0, cell[0]), covered(1, cell[1]))
        if not any(taken) or ("and" not in method and not all(taken)):
            insort(current, cell)
    return make_links((source, target) for target, source in current)


@settings(max_examples=300)
@given(links, links, st.sampled_from([name for name in METHODS if name.startswith("grow")]))
def test_growing_equals_its_literal_retelling(forward: Links, backward: Links, method: str) -> None:
    assert symmetrise(forward, backward, method) == retold(forward, backward, method)


@given(links, links)
def test_each_method_contains_the_narrower_ones(forward: Links, backward: Links) -> None:
    made = {name: symmetrise(forward, backward, name) for name in METHODS}
    assert made["intersection"] == forward & backward
    assert made["union"] == forward | backward
    assert made["intersection"] <= made["grow-diag"] <= made["grow-diag-final-and"]
    assert made["intersection"] <= made["grow"] <= made["union"]
    assert made["grow-diag"] <= made["grow-diag-final"] <= made["union"]
    assert made["grow-diag-final-and"] <= made["union"]


@given(links, links)
def test_final_covers_every_word_that_the_union_covers(forward: Links, backward: Links) -> None:
    made = symmetrise(forward, backward, "grow-diag-final")
    union = forward | backward
    assert {link.source for link in made} == {link.source for link in union}
    assert {link.target for link in made} == {link.target for link in union}


@given(links, st.sampled_from(METHODS))
def test_two_equal_alignments_stay_as_they_are(same: Links, method: str) -> None:
    assert symmetrise(same, same, method) == same


def test_growing_needs_only_one_uncovered_word() -> None:
    # 0-0 is agreed; 0-1 has a covered source and an uncovered target: symal adds it,
    # a script that asks for two uncovered words would not
    forward, backward = make_links([(0, 0), (0, 1)]), make_links([(0, 0)])
    assert symmetrise(forward, backward, "grow") == forward
    assert symmetrise(forward, backward, "grow-diag") == forward


def test_a_neighbour_between_two_covered_words_is_not_added() -> None:
    agreed = make_links([(0, 0), (1, 1)])
    assert symmetrise(agreed | make_links([(0, 1)]), agreed, "grow-diag") == agreed


def test_only_the_diagonal_reaches_a_corner() -> None:
    forward, backward = make_links([(0, 0), (1, 1)]), make_links([(0, 0)])
    assert symmetrise(forward, backward, "grow") == backward
    assert symmetrise(forward, backward, "grow-diag") == forward


def test_a_far_link_comes_in_by_final_and_only_uncovered_pairs_by_final_and() -> None:
    agreed = make_links([(0, 0)])
    far, half = make_links([(3, 3)]), make_links([(0, 5)])
    forward, backward = agreed | far, agreed | half
    assert symmetrise(forward, backward, "grow-diag") == agreed
    assert symmetrise(forward, backward, "grow-diag-final") == agreed | far | half
    assert symmetrise(forward, backward, "grow-diag-final-and") == agreed | far


def test_forward_links_are_tried_first_by_final_and() -> None:
    one, other = make_links([(2, 4)]), make_links([(2, 2)])
    assert symmetrise(one, other, "grow-diag-final-and") == one
    assert symmetrise(other, one, "grow-diag-final-and") == other


def test_an_unknown_method_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'grow-diag-final-and'"):
        symmetrise(frozenset(), frozenset(), "grow-diag-final-und")
