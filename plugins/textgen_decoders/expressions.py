"""Regular expressions of Python's syntax as trees.

``re`` itself says whether an expression is valid and which characters an atom matches; only the
structure around the atoms is read here. (Python's own parser is not public, ``sre_parse`` is
deprecated; the packaged automata know ASCII alone, or build all of a large automaton at once.)
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from textgen.errors import UsageError
from textgen_decoders.code_points import Ranges, members

Node: TypeAlias = "Characters | Series | Choice | Repeat | Edge"


@dataclass(frozen=True)
class Characters:
    """One character of a set."""

    ranges: Ranges


@dataclass(frozen=True)
class Series:
    """One after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Choice:
    """One of several."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Repeat:
    """As often as ``least`` to ``most`` times; None is without end."""

    part: Node
    least: int
    most: int | None


@dataclass(frozen=True)
class Edge:
    """The beginning or the end of the text."""

    begin: bool


_FLAGS = re.compile(r"\(\?([aiLmsux]+)\)")
_KNOWN_FLAGS = {"a": re.ASCII, "i": re.IGNORECASE, "s": re.DOTALL, "u": re.UNICODE}
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_ESCAPE = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|0[0-7]{0,2}|[0-3][0-7]{2}|.)",
    re.DOTALL,
)
_GROUP = re.compile(r"\((?:\?:|\?P<\w+>|(?!\?))")
_COUNT = re.compile(r"\{(?=[\d,])(\d*)(,?)(\d*)\}")
_SIGNS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_REFUSED = (
    (r"\(\?[=!]|\(\?<[=!]", "a lookaround"),
    (r"\(\?P=|\\[1-9]", "a backreference"),
    (r"\(\?\(", "a conditional"),
    (r"\(\?>", "an atomic group"),
    (r"\(\?#", "a comment"),
    (r"\(\?", "a flag inside"),
    (r"\\[bB]", "a word boundary"),
)


def parse(pattern: str) -> Node:
    """Read an expression.

    Groups, classes, alternatives, repetitions (greedy or not: the language is the same), anchors
    and the flags a, i, s, u in front are understood. ``$`` is the very end.

    Raises:
        UsageError: if it is invalid, or has what no finite automaton can do.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what some later version may read differently
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"regex: {pattern!r} is no regular expression: {error}.") from None
    return _Reader(pattern).read()


class _Reader:
    """Reads a valid expression from left to right."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.place, self.flags = pattern, 0, 0

    def read(self) -> Node:
        if found := self._take(_FLAGS):
            for letter in found[1]:
                if letter not in _KNOWN_FLAGS:
                    self._refuse(f"the flag {letter}", 0)
                self.flags |= _KNOWN_FLAGS[letter]
        return self._choice()

    def _choice(self) -> Node:
        parts = [self._series()]
        while self._next() == "|":
            self.place += 1
            parts.append(self._series())
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _series(self) -> Node:
        return Series(tuple(self._items()))

    def _items(self) -> Iterator[Node]:
        while self._next() not in {"", "|", ")"}:
            yield self._repeated(self._atom())

    def _repeated(self, node: Node) -> Node:
        while True:
            sign = self._next()
            if sign in _SIGNS:
                self.place += 1
                least, most = _SIGNS[sign]
            elif found := self._take(_COUNT):
                least = int(found[1] or 0)
                most = int(found[3]) if found[3] else None if found[2] else least
            else:
                return node
            if self._next() == "+":
                self._refuse("a possessive repetition", self.place)
            if self._next() == "?":
                self.place += 1
            node = Repeat(node, least, most)

    def _atom(self) -> Node:
        sign, start = self._next(), self.place
        if sign in "^$":
            self.place += 1
            return Edge(begin=sign == "^")
        if sign == "(":
            return self._group()
        if found := self._take(_CLASS) if sign == "[" else None:
            return Characters(members(found[0], self.flags))
        if sign == "\\":
            return self._escape()
        self.place = start + 1
        if self.flags & re.IGNORECASE or sign == ".":
            return Characters(members(sign if sign == "." else re.escape(sign), self.flags))
        return Characters(((ord(sign), ord(sign)),))

    def _group(self) -> Node:
        start = self.place
        if not self._take(_GROUP):
            self._refuse_here(start)
        inner = self._choice()
        self.place += 1
        return inner

    def _escape(self) -> Node:
        start = self.place
        found = self._take(_ESCAPE)
        text = found[0] if found else ""
        if text in {r"\A", r"\Z", r"\z"}:
            return Edge(begin=text == r"\A")
        if text[1:2] in set("123456789bB") and len(text) == 2:
            self._refuse_here(start)
        return Characters(members(text, self.flags))

    def _next(self) -> str:
        return self.pattern[self.place : self.place + 1]

    def _take(self, what: re.Pattern[str]) -> re.Match[str] | None:
        found = what.match(self.pattern, self.place)
        if found:
            self.place = found.end()
        return found

    def _refuse_here(self, start: int) -> NoReturn:
        rest = self.pattern[start:]
        self._refuse(next(what for sign, what in _REFUSED if re.match(sign, rest)), start)

    def _refuse(self, what: str, start: int) -> NoReturn:
        raise UsageError(
            f"regex: {self.pattern!r} has {what} at position {start}, which cannot be followed "
            "token by token. Use groups, classes, alternatives, repetitions and anchors."
        )
