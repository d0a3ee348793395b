"""Spans of tags: conlleval's rules on known cases, and laws of conversion."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.data.spans import (
    Scheme,
    Span,
    are_span_tags,
    convert,
    may_follow,
    scheme_of,
    spans,
    tags_of,
)

TAGS = ["O", "B-a", "I-a", "E-a", "S-a", "B-b", "I-b", "E-b", "S-b"]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-a I-a O B-b", [(0, 2, "a"), (3, 4, "b")]),
        ("I-a I-a O I-b", [(0, 2, "a"), (3, 4, "b")]),  # IOB1
        ("I-a B-a I-a", [(0, 1, "a"), (1, 3, "a")]),
        ("B-a I-b", [(0, 1, "a"), (1, 2, "b")]),
        ("B-a E-a I-a", [(0, 2, "a"), (2, 3, "a")]),
        ("S-a I-a E-a", [(0, 1, "a"), (1, 3, "a")]),
        ("B-a L-a U-b", [(0, 2, "a"), (2, 3, "b")]),  # BILOU
        ("O O", []),
        ("B-a-b I-a-b", [(0, 2, "a-b")]),
    ],
)
def test_spans_as_conlleval_reads_them(tags: str, expected: list[tuple[int, int, str]]) -> None:
    assert spans(tags.split()) == [Span(*span) for span in expected]


@st.composite
def span_lists(draw: st.DrawFn) -> tuple[list[Span], int]:
    """Spans that do not overlap, in order, and the length of their sentence."""
    found, place = [], 0
    for _ in range(draw(st.integers(0, 4))):
        begin = place + draw(st.integers(0, 2))
        place = begin + draw(st.integers(1, 3))
        found.append(Span(begin, place, draw(st.sampled_from("ab"))))
    return found, place + draw(st.integers(0, 2))


@given(span_lists(), st.sampled_from(["bio", "iobes"]))
def test_spans_survive_their_tags(given_spans: tuple[list[Span], int], scheme: Scheme) -> None:
    found, length = given_spans
    tags = tags_of(found, length, scheme)
    assert spans(tags) == found
    assert convert(convert(tags, "bio"), scheme) == tags
    moves = list(itertools.pairwise([None, *tags, None]))
    assert all(may_follow(before, after, scheme) for before, after in moves)


@given(st.lists(st.sampled_from(TAGS), max_size=8), st.sampled_from(["bio", "iobes"]))
def test_only_what_may_follow_survives_conversion(tags: list[str], scheme: Scheme) -> None:
    letters = {"bio": "OBI", "iobes": "OBIES"}[scheme]
    mine = [tag for tag in tags if tag[0] in letters]
    moves = itertools.pairwise([None, *mine, None])
    sound = all(may_follow(before, after, scheme) for before, after in moves)
    assert sound == (convert(mine, scheme) == mine)


def test_what_tags_of_spans_are() -> None:
    assert are_span_tags(["O", "B-x", "I-x"])
    assert not are_span_tags(["O"])
    assert not are_span_tags(["O", "NN"])
    assert scheme_of(["O", "B-x"]) == "bio"
    assert scheme_of(["O", "U-x"]) == "iobes"
