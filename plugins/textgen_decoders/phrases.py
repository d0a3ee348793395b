"""Phrases that must appear, followed by a finite automaton over tokens.

The state of an output is the longest of its ends that some phrase begins with (Aho & Corasick 1975,
"Efficient string matching"), and how often each phrase has occurred. Tokens that no phrase has are
all alike, so tables are as wide as the phrases need and not as the vocabulary.
"""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass, fields
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

Spelling: TypeAlias = tuple[int, ...]
Phrase: TypeAlias = tuple[Spelling, ...]
"""The ways in which a phrase may be spelt."""


class Met(NamedTuple):
    """What outputs have of the phrases.

    Attributes:
        node: (B, …) int64, the automaton's state.
        counts: (B, …, C) int64, how often each phrase has occurred, at most as often as it must.
    """

    node: Tensor
    counts: Tensor


@dataclass(frozen=True)
class Phrases:
    """C different phrases, and how often each must occur.

    Attributes:
        tokens: (m,) int64, the tokens that occur in phrases.
        symbol: (V,) int64, 1 + place in ``tokens``; 0 for all other tokens.
        transitions: (nodes, m + 1) int64, the state after a symbol; 0 is the beginning.
        ends: (nodes, C) int64, 1 where an occurrence ends.
        wanting: (nodes, C) int64 ≥ 1, tokens until the next occurrence can end.
        needed: (C,) int64, how often each must occur.
        whole: (C,) int64, tokens of its shortest spelling.
    """

    tokens: Tensor
    symbol: Tensor
    transitions: Tensor
    ends: Tensor
    wanting: Tensor
    needed: Tensor
    whole: Tensor

    @property
    def total(self) -> int:
        """Tokens of all phrases together."""
        return int((self.needed * self.whole).sum())

    def start(self, rows: Tensor) -> Met:
        """What is met before the first token, for rows of any shape."""
        node = torch.zeros_like(rows, dtype=torch.int64)
        return Met(node, node.unsqueeze(-1).expand(*node.shape, len(self.needed)))

    def after(self, met: Met, tokens: Tensor) -> Met:
        """What is met after one more token (B, …)."""
        node = self.transitions[met.node, self.symbol[tokens]]
        return Met(node, torch.minimum(met.counts + self.ends[node], self.needed))

    def missing(self, met: Met) -> Tensor:
        """(B, …) int64, tokens of phrases that are still to come; 0 where all are met.

        Phrases that share tokens may need fewer.
        """
        open_ones = self.needed - met.counts  # (B, …, C)
        begun = (self.whole - self.wanting[met.node]).clamp(min=0)
        best = torch.where(open_ones > 0, begun, 0).amax(-1)
        return (open_ones * self.whole).sum(-1) - best

    def to(self, device: torch.device) -> Phrases:
        """The same on another device."""
        return Phrases(*(getattr(self, each.name).to(device) for each in fields(self)))


@functools.lru_cache(maxsize=8)
def compiled(phrases: tuple[Phrase, ...], size: int) -> Phrases:
    """Tables for phrases in a vocabulary of ``size``; one that is named twice must occur twice."""
    needed = Counter(frozenset(phrase) for phrase in phrases)
    spellings = [list(phrase) for phrase in needed]
    every = [spelling for phrase in spellings for spelling in phrase]
    tokens = sorted({token for spelling in every for token in spelling})
    beginnings = {spelling[:length] for spelling in every for length in range(len(spelling) + 1)}
    nodes = sorted(beginnings, key=lambda node: (len(node), node))
    number = {node: place for place, node in enumerate(nodes)}
    transitions = torch.zeros(len(nodes), len(tokens) + 1, dtype=torch.int64)
    for place, node in enumerate(nodes):
        for column, token in enumerate(tokens, start=1):
            transitions[place, column] = number[_longest_end((*node, token), number)]
    symbol = torch.zeros(size, dtype=torch.int64)
    symbol[tokens] = torch.arange(1, len(tokens) + 1)
    ends = [[any(_ends(node, each) for each in phrase) for phrase in spellings] for node in nodes]
    wanting = [
        [min(_wanting(node, each) for each in phrase) for phrase in spellings] for node in nodes
    ]
    return Phrases(
        tokens=torch.tensor(tokens),
        symbol=symbol,
        transitions=transitions,
        ends=torch.tensor(ends, dtype=torch.int64),
        wanting=torch.tensor(wanting),
        needed=torch.tensor(list(needed.values())),
        whole=torch.tensor([min(map(len, phrase)) for phrase in spellings]),
    )


def _ends(output: Spelling, spelling: Spelling) -> bool:
    """Whether an output ends with a spelling."""
    return len(output) >= len(spelling) and output[len(output) - len(spelling) :] == spelling


def _longest_end(output: Spelling, nodes: dict[Spelling, int]) -> Spelling:
    """The longest end of an output that is a state."""
    return next(output[at:] for at in range(len(output) + 1) if output[at:] in nodes)


def _wanting(output: Spelling, spelling: Spelling) -> int:
    """Tokens until a spelling can end after an output, at least one."""
    begun = range(len(spelling) - 1, -1, -1)
    return len(spelling) - next(each for each in begun if _ends(output, spelling[:each]))
