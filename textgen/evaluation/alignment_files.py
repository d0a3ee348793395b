"""Files of word alignments: Pharaoh's ``i-j`` and the NAACL 2003 shared task's.

Pharaoh (also called Moses' format): one line for each sentence pair, links separated by spaces.
``3-5`` is a sure link, ``3p5`` or ``3?5`` a possible one; words are counted from 0.

NAACL (Mihalcea and Pedersen 2003, "An Evaluation Exercise for Word Alignment"): one line for
each link, ``sentence source target [S|P] [confidence]``; sentences and words are counted from 1,
word 0 means that the other word has no partner.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args

from textgen import atomic
from textgen.errors import DataError, UsageError, nearest
from textgen.evaluation.alignment import GoldAlignment
from textgen.evaluation.lines import read_lines
from textgen.translation.links import Link, Links

Style = Literal["auto", "pharaoh", "naacl"]
STYLES: tuple[str, ...] = get_args(Style)
_SOME = 5  # sentences whose first words would all have no link

# [0-9] and not \d, which takes the digits of every script; no line has words of 10 digits
_PHARAOH = re.compile(r"([0-9]{1,9})([-p?])([0-9]{1,9})")
_NAACL = re.compile(
    r"([0-9]{1,9})\s+([0-9]{1,9})\s+([0-9]{1,9})(?:\s+([SPsp]))?(?:\s+[0-9.eE+-]+)?"
)


def read_alignments(
    path: Path, *, style: str = "auto", first: int | None = None, sentences: int | None = None
) -> list[GoldAlignment]:
    """Read the links of a corpus, sure and possible.

    Args:
        path: the file.
        style: one of ``STYLES``; "auto" looks at the first line that is not empty.
        first: the number of the first word; None means 0 for Pharaoh, 1 for NAACL.
        sentences: number of sentence pairs, where it is known. A NAACL file does not tell of
            sentences without links at its end.

    Returns:
        One alignment for each sentence pair, words counted from 0.

    Raises:
        DataError: if a line is wrong (says which and why) or the number of sentences is.
        UsageError: for an unknown style.
    """
    if style not in STYLES:
        raise UsageError(f"There is no alignment format {style!r}.{nearest(style, STYLES)}")
    lines = read_lines(path)
    chosen = _recognise(lines) if style == "auto" else style
    if chosen == "naacl":
        return _parse_naacl(lines, path, 1 if first is None else first, sentences)
    if sentences is not None and len(lines) != sentences:
        raise DataError(
            f"{path}: has {len(lines)} lines of links, but there are {sentences} sentence pairs."
        )
    offset = 0 if first is None else first
    return [
        parse_pharaoh(line, where=f"{path}, line {number}", first=offset)
        for number, line in enumerate(lines, start=1)
    ]


def begins_at_1(gold: Sequence[GoldAlignment]) -> bool:
    """Whether links look as if words were counted from 1: none of many names word 0 of a side."""
    links = [link for each in gold for link in each.possible]
    return len(gold) >= _SOME and bool(links) and all(min(link) > 0 for link in links)


def _recognise(lines: Iterable[str]) -> str:
    line = next((line for line in lines if line.strip()), "")
    return "naacl" if _NAACL.fullmatch(line.strip()) else "pharaoh"


def parse_pharaoh(line: str, *, where: str = "links", first: int = 0) -> GoldAlignment:
    """Links of one sentence pair from ``0-0 1p2``.

    Args:
        line: the links, in any order; one given both ways is sure.
        where: file and line, for the message.
        first: the number of the first word.

    Raises:
        DataError: if one is no link.
    """
    sure: set[Link] = set()
    possible: set[Link] = set()
    for part in line.split():
        match = _PHARAOH.fullmatch(part)
        if match is None:
            raise DataError(
                f"{where}: {part!r} is no link; expected i-j (sure), ipj or i?j (possible), "
                "for example 0-0 1-2 3p4."
            )
        link = _link(match[1], match[3], first, where)
        (sure if match[2] == "-" else possible).add(link)
    return GoldAlignment(frozenset(sure), frozenset(possible))


def _link(source: str, target: str, first: int, where: str) -> Link:
    link = Link(int(source) - first, int(target) - first)
    if min(link) < 0:
        raise DataError(
            f"{where}: the link {source}-{target} has a word number below {first}, at which the "
            "words of this file begin."
        )
    return link


def _parse_naacl(
    lines: Sequence[str], path: Path, first: int, sentences: int | None
) -> list[GoldAlignment]:
    sure: dict[int, set[Link]] = {}
    possible: dict[int, set[Link]] = {}
    last = 0
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        if not line.strip():
            continue
        match = _NAACL.fullmatch(line.strip())
        if match is None:
            raise DataError(
                f"{where}: {line.strip()[:60]!r} is no link; expected sentence, source word, "
                "target word, and perhaps S or P: 1 3 4 S."
            )
        sentence = _sentence(int(match[1]), sentences, where)
        last = max(last, sentence)
        if first > 0 and 0 in {int(match[2]), int(match[3])}:
            continue  # a word that is linked to nothing
        kind = possible if (match[4] or "S").upper() == "P" else sure
        kind.setdefault(sentence, set()).add(_link(match[2], match[3], first, where))
    return [
        GoldAlignment(frozenset(sure.get(sentence, ())), frozenset(possible.get(sentence, ())))
        for sentence in range(1, (last if sentences is None else sentences) + 1)
    ]


# without a known number of sentences a wrong one must not make a list of a thousand million
_MOST_SENTENCES = 10_000_000


def _sentence(number: int, sentences: int | None, where: str) -> int:
    most = _MOST_SENTENCES if sentences is None else sentences
    if not 1 <= number <= most:
        raise DataError(f"{where}: there is no sentence {number}; they are 1 to {most}.")
    return number


def format_pharaoh(sure: Links, possible: Links = frozenset()) -> str:
    """One line of links in ascending order: ``0-0 1p2``; empty for no links."""
    return " ".join(
        f"{link.source}{'-' if link in sure else 'p'}{link.target}"
        for link in sorted(sure | possible)
    )


def format_naacl(number: int, sure: Links, possible: Links = frozenset()) -> list[str]:
    """The lines of one sentence pair; ``number`` counts from 1, and so do the words written."""
    return [
        f"{number} {link.source + 1} {link.target + 1} {'S' if link in sure else 'P'}"
        for link in sorted(sure | possible)
    ]


def write_alignments(
    path: Path, alignments: Iterable[GoldAlignment], *, style: str = "pharaoh"
) -> None:
    """Write one alignment after the other; ``read_alignments`` reads them back.

    Args:
        path: the file.
        alignments: plain links are ``GoldAlignment(links)``.
        style: "pharaoh" or "naacl".

    Raises:
        UsageError: for another style.
        DataError: if the file cannot be written.
    """
    if style not in {"pharaoh", "naacl"}:
        raise UsageError(f"Alignments cannot be written as {style!r}. Allowed: naacl, pharaoh.")
    with atomic.open_text(path) as file:
        for number, each in enumerate(alignments, start=1):
            if style == "pharaoh":
                file.write(format_pharaoh(each.sure, each.possible) + "\n")
            else:
                lines = format_naacl(number, each.sure, each.possible)
                file.writelines(line + "\n" for line in lines)
