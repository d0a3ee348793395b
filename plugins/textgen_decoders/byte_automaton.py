"""An automaton over the bytes of UTF-8 that accepts what a regular expression matches.

A *position* is a place inside a character that may come now; a state is a set of positions, found
when it is first met (Thompson 1968, "Regular expression search algorithm").
"""

from __future__ import annotations

import functools
from collections import defaultdict
from dataclasses import dataclass
from typing import TypeAlias

from textgen.errors import UsageError
from textgen_decoders.code_points import END, Spellings
from textgen_decoders.expressions import Characters, Choice, Edge, Node, Repeat, Series

State: TypeAlias = frozenset[int]

ACCEPT = 0
"""The position at which the text may end."""

_MOST_NODES = 20_000
_LAST = 0


@dataclass(frozen=True)
class _Fork:
    """Go on at any of the targets; the text's begin or end may be asked for."""

    targets: tuple[int, ...]
    begin: bool = False
    end: bool = False


@dataclass(frozen=True)
class _Step:
    """A character that begins at a trie's node, then the target."""

    root: int
    target: int


class ByteAutomaton:
    """The automaton of one expression.

    Args:
        tree: the expression.

    Attributes:
        start: the state before the first byte.

    Raises:
        UsageError: if the expression is too large.
    """

    def __init__(self, tree: Node) -> None:
        self._spellings = Spellings()
        self._nodes: list[_Fork | _Step] = [_Fork(())]  # the first is where all is matched
        self._positions: list[tuple[int, int]] = [(END, _LAST)]
        self._numbers: dict[tuple[int, int], int] = {}
        self._closures: dict[int, State] = {}
        self.start = self._close(self._compile(tree, _LAST), at_start=True)

    def after(self, state: State, byte: int) -> State:
        """The state after a byte; an empty one if it may not come."""
        found: set[int] = set()
        for position in state:
            node, target = self._positions[position]
            following = self._spellings.nodes[node].get(byte) if position != ACCEPT else None
            if following == END:
                found |= self._closure(target)
            elif following is not None:
                found.add(self._position(following, target))
        return frozenset(found)

    def _closure(self, target: int) -> State:
        """The state at a node, after the beginning of the text."""
        if target not in self._closures:
            self._closures[target] = self._close(target, at_start=False)
        return self._closures[target]

    def alive(self, position: int) -> bool:
        """Whether some bytes lead from a position to acceptance."""
        return position == ACCEPT or self._positions[position][1] in self._live_targets

    @functools.cached_property
    def _live_targets(self) -> set[int]:
        """Nodes from which acceptance can be reached."""
        before: defaultdict[int, list[int]] = defaultdict(list)
        targets = {node.target for node in self._nodes if isinstance(node, _Step)}
        waiting = []
        for target in targets:
            following = self._closure(target)
            for each in following - {ACCEPT}:
                before[self._positions[each][1]].append(target)
            if ACCEPT in following:
                waiting.append(target)
        live = set(waiting)
        while waiting:
            fresh = set(before[waiting.pop()]) - live
            live |= fresh
            waiting.extend(fresh)
        return live

    def _compile(self, tree: Node, target: int) -> int:
        """The node from which what the tree matches leads to the target."""
        if isinstance(tree, Characters):
            return self._new(_Step(self._spellings.root(tree.ranges), target))
        if isinstance(tree, Edge):
            return self._new(_Fork((target,), begin=tree.begin, end=not tree.begin))
        if isinstance(tree, Choice):
            return self._new(_Fork(tuple(self._compile(part, target) for part in tree.parts)))
        if isinstance(tree, Series):
            for part in reversed(tree.parts):
                target = self._compile(part, target)
            return target
        return self._compile_repeat(tree, target)

    def _compile_repeat(self, tree: Repeat, target: int) -> int:
        entry = target
        if tree.most is None:
            entry = self._new(_Fork(()))
            self._nodes[entry] = _Fork((self._compile(tree.part, entry), target))
        else:
            for _ in range(tree.most - tree.least):
                entry = self._new(_Fork((self._compile(tree.part, entry), target)))
        for _ in range(tree.least):
            entry = self._compile(tree.part, entry)
        return entry

    def _new(self, node: _Fork | _Step) -> int:
        if len(self._nodes) >= _MOST_NODES:
            raise UsageError(
                f"regex: the expression is too large: its repetitions, written out, have more than "
                f"{_MOST_NODES:,} parts."
            )
        self._nodes.append(node)
        return len(self._nodes) - 1

    def _close(self, node: int, *, at_start: bool) -> State:
        """The positions that a node stands for; beyond an end there is none but the acceptance."""
        found: set[int] = set()
        waiting = [(node, False)]
        seen = set(waiting)
        while waiting:
            number, ended = waiting.pop()
            if number == _LAST:
                found.add(ACCEPT)
            here = self._nodes[number]
            if isinstance(here, _Step):
                if not ended and self._spellings.nodes[here.root]:
                    found.add(self._position(here.root, here.target))
            elif at_start or not here.begin:
                new = {(target, ended or here.end) for target in here.targets} - seen
                seen |= new
                waiting.extend(new)
        return frozenset(found)

    def _position(self, node: int, target: int) -> int:
        key = (node, target)
        if key not in self._numbers:
            self._numbers[key] = len(self._positions)
            self._positions.append(key)
        return self._numbers[key]
