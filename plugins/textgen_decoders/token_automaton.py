"""A regular expression's automaton over the tokens of a vocabulary, built as it is walked."""

from __future__ import annotations

import threading
from collections import defaultdict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textgen.decoding import worth
from textgen.errors import UsageError
from textgen.protocols import SpecialTokens
from textgen_decoders.byte_automaton import ACCEPT, ByteAutomaton, State
from textgen_decoders.surfaces import FIRST, Surfaces

_DEAD, _UNSEEN = -1, -2
_ROOM = 16
_Place = tuple[int, int]  # a position of the automaton and the context it is met in


class TokenAutomaton:
    """Which tokens may come, and what state each leads to.

    A state is a state of the byte automaton and the context of the next token. Its row of the V
    next states is computed when the state is first asked for, for all tokens at once, one byte
    after the other. Positions from which no tokens lead to a match are left out of every state, so
    that a token is possible only if a match can still follow.

    Args:
        automaton: over bytes.
        surfaces: of the vocabulary.
        special: token numbers of pad, bos, eos.
        what: the expression, for the error.

    Attributes:
        start: the state of an empty output.

    Raises:
        UsageError: if the vocabulary can write nothing that matches.
    """

    def __init__(
        self, automaton: ByteAutomaton, surfaces: Surfaces, special: SpecialTokens, what: str
    ) -> None:
        self._automaton, self._surfaces, self._marks = automaton, surfaces, special
        self._growing = threading.Lock()
        self._sets: list[State] = []
        self._set_numbers: dict[State, int] = {}
        self._bytes = np.full((_ROOM, 256), _UNSEEN)  # (sets, 256): the set after each byte
        self._states: list[tuple[int, int]] = []
        self._state_numbers: dict[tuple[int, int], int] = {}
        self._known = torch.zeros(_ROOM, dtype=torch.bool)
        self._next = torch.zeros((_ROOM, len(surfaces.then)), dtype=torch.int32)
        self._places = None if surfaces.every_byte else self._reachable()
        self.start = self._state(self._set(automaton.start), FIRST)
        if self.start == _DEAD:
            raise UsageError(
                f"regex: nothing that matches {what!r} can be written with this model's vocabulary."
            )

    def possible(self, states: Tensor) -> Tensor:
        """(…, V) bool for states (…) int64: the tokens that may come."""
        return self._table(states)[states] >= 0

    def after(self, states: Tensor, tokens: Tensor) -> Tensor:
        """(…) int64, the states after tokens (…); a token that may not come changes nothing."""
        following = self._table(states)[states, tokens].long()
        return torch.where(following < 0, states, following)

    def _table(self, states: Tensor) -> Tensor:
        """(rows, V) int32 next states, with the rows of these states; one thread at a time."""
        with self._growing:
            self._ensure(states)
            return self._next

    def _ensure(self, states: Tensor) -> None:
        """Compute the rows of states that were never asked for."""
        if self._next.device != states.device:
            self._next, self._known = self._next.to(states.device), self._known.to(states.device)
        if not worth(~self._known[states]):
            return
        for number in torch.unique(states).tolist():
            if not self._known[number]:
                row = torch.from_numpy(self._row(*self._states[number]))
                self._grow()
                self._next[number], self._known[number] = row.to(states.device), True

    def _grow(self) -> None:
        """Room for all states that have a number."""
        lacking = len(self._states) - len(self._known)
        if lacking > 0:
            more = max(lacking, len(self._known))
            self._known = torch.cat([self._known, self._known.new_zeros(more)])
            self._next = torch.cat([self._next, self._next.new_zeros(more, self._next.shape[1])])

    def _row(self, members: int, context: int) -> NDArray[np.int32]:
        """(V,) the state after each token; −1 for those that may not come."""
        sets = self._walk(members, context)
        row = np.full(len(sets), _DEAD, dtype=np.int32)
        real = sets >= 0
        keys, which = np.unique((sets * 2 + self._surfaces.then)[real], return_inverse=True)
        row[real] = np.array([self._state(key // 2, key % 2) for key in keys.tolist()], np.int32)[
            which
        ]
        if ACCEPT in self._sets[members]:
            row[self._marks.eos] = self._state(members, context)
        return row

    def _walk(self, members: int, context: int) -> NDArray[np.int64]:
        """(V,) the set after each token's bytes; −1 where they may not come."""
        surfaces = self._surfaces
        text, starts, lengths = (
            surfaces.text[context],
            surfaces.starts[context],
            surfaces.lengths[context],
        )
        sets = np.where(lengths < 0, _DEAD, members)
        active, done = np.flatnonzero(lengths > 0), 0
        while len(active):
            following = self._after(sets[active], text[starts[active] + done])
            sets[active] = following
            done += 1
            active = active[(following >= 0) & (lengths[active] > done)]
        return sets

    def _after(self, sets: NDArray[np.int64], bytes_: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The sets after one byte each; what is not known yet is found now."""
        following = self._bytes[sets, bytes_]
        unseen = following == _UNSEEN
        if not unseen.any():
            return following
        for key in np.unique(sets[unseen] * 256 + bytes_[unseen]).tolist():
            members, byte = divmod(key, 256)
            found = self._automaton.after(self._sets[members], byte)
            number = self._set(found) if found else _DEAD
            self._bytes[members, byte] = number
        return self._bytes[sets, bytes_]

    def _set(self, members: State) -> int:
        number = self._set_numbers.setdefault(members, len(self._sets))
        if number == len(self._sets):
            self._sets.append(members)
            if number == len(self._bytes):
                self._bytes = np.concatenate([self._bytes, np.full_like(self._bytes, _UNSEEN)])
        return number

    def _state(self, members: int, context: int) -> int:
        """The number of a state without its dead positions; −1 if none is left."""
        left = frozenset(each for each in self._sets[members] if self._alive(each, context))
        if not left:
            return _DEAD
        key = (self._set(left), context)
        number = self._state_numbers.setdefault(key, len(self._states))
        if number == len(self._states):
            self._states.append(key)
        return number

    def _alive(self, position: int, context: int) -> bool:
        """Whether a match can follow; where every byte is a token, the bytes alone say so."""
        if self._places is None:
            return self._automaton.alive(position)
        return (position, context) in self._places

    def _reachable(self) -> set[_Place]:
        """Places from which tokens lead to a match: their graph, walked back from acceptance."""
        before: defaultdict[_Place, list[_Place]] = defaultdict(list)
        seen: set[_Place] = {(each, FIRST) for each in self._automaton.start}
        waiting = list(seen)
        while waiting:
            place = waiting.pop()
            following = self._neighbours(*place)
            for other in following:
                before[other].append(place)
            waiting.extend(following - seen)
            seen |= following
        alive = {place for place in seen if place[0] == ACCEPT}
        waiting = list(alive)
        while waiting:
            fresh = set(before[waiting.pop()]) - alive
            alive |= fresh
            waiting.extend(fresh)
        return alive

    def _neighbours(self, position: int, context: int) -> set[_Place]:
        """Where one token leads from one position."""
        sets = self._walk(self._set(frozenset({position})), context)
        keys = np.unique((sets * 2 + self._surfaces.then)[sets >= 0]).tolist()
        return {(each, key % 2) for key in keys for each in self._sets[key // 2]}
