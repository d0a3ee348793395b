"""Spans in sequences of tags: BIO and IOBES, read as conlleval reads them, and converted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

OUTSIDE = "O"
Scheme = Literal["bio", "iobes"]

_TAG = re.compile(r"([BIESLU])-(.+)", re.DOTALL)
_ALIASES = {"L": "E", "U": "S"}
"""BILOU's letters in IOBES."""


class Span(NamedTuple):
    """Words ``begin`` to ``end`` (not included) of a class."""

    begin: int
    end: int
    label: str


def are_span_tags(tags: Iterable[str]) -> bool:
    """Whether all tags are ``O`` or a letter of BIO or IOBES with a class, and one has a class."""
    found = {tag for tag in tags if tag != OUTSIDE}
    return bool(found) and all(_TAG.fullmatch(tag) for tag in found)


def split_tag(tag: str) -> tuple[str, str]:
    """Letter and class of a tag; ``("O", "")`` outside of spans."""
    match = _TAG.fullmatch(tag)
    if match is None:
        return OUTSIDE, ""
    letter, label = match.groups()
    return _ALIASES.get(letter, letter), label


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans of a sentence's tags, by the rules of conlleval (Tjong Kim Sang & Buchholz 2000).

    A span begins at B or S, and at I or E where no span of the class is open; so IOB1 is read too.
    """
    found: list[Span] = []
    begin, label, previous = 0, "", OUTSIDE
    for place, tag in enumerate([*tags, OUTSIDE]):
        letter, own = split_tag(tag)
        fresh = letter in {"B", "S"} or own != label or previous in {"E", "S"}
        if label and (letter == OUTSIDE or fresh):
            found.append(Span(begin, place, label))
            label = ""
        if letter != OUTSIDE and not label:
            begin, label = place, own
        previous = letter
    return found


def tags_of(spans_of: Iterable[Span], length: int, scheme: Scheme) -> list[str]:
    """Tags of a sentence's spans.

    Args:
        spans_of: that do not overlap.
        length: of the sentence in words.
        scheme: "bio": B- at the beginning of every span, I- within; "iobes": E- at its end, S- for
            a single word.
    """
    tags = [OUTSIDE] * length
    for begin, end, label in spans_of:
        tags[begin:end] = [f"I-{label}"] * (end - begin)
        tags[begin] = f"B-{label}"
        if scheme == "iobes":
            tags[end - 1] = f"E-{label}" if end - begin > 1 else f"S-{label}"
    return tags


def convert(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """Tags of any of the schemes in another one."""
    return tags_of(spans(tags), len(tags), scheme)


def scheme_of(tags: Iterable[str]) -> Scheme:
    """The scheme that tags belong to: IOBES where E or S (L or U) occur."""
    letters = {split_tag(tag)[0] for tag in tags}
    return "iobes" if letters & {"E", "S"} else "bio"


def may_follow(previous: str | None, following: str | None, scheme: Scheme) -> bool:
    """Whether a tag may stand after another one; None is the sentence's beginning or end."""
    before, label = (OUTSIDE, "") if previous is None else split_tag(previous)
    after, own = (OUTSIDE, "") if following is None else split_tag(following)
    inside = after in {"I", "E"}
    if scheme == "bio":
        return not inside or (before in {"B", "I"} and own == label)
    open_span = before in {"B", "I"}
    return (inside and own == label) if open_span else not inside
