"""Allowed words."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from textgen.protocols import Beam, Tokenizer
from textgen_decoders.words import numbers, one_is_a_list, spellings


@dataclass(frozen=True)
class Allowed:
    """Allow only given words and phrases, one after the other: all else gets s_v ← −∞.

    The output is one of them or several in a row (each as it is or after a space); it may end
    after any whole one. #NUMBER names a token. Phrases of several tokens are followed by a finite
    automaton over tokens.

    Example: --decode sample --filter 'allowed:["yes","no"]'
    """

    words: Annotated[list[str], "texts of which the output consists, or #NUMBER"]

    def __post_init__(self) -> None:
        """One text is a list of one."""
        one_is_a_list(self, "words")

    def setup_tokenizer(self, tokenizer: Tokenizer) -> AllowedTokens:
        """Put tokens in the place of texts."""
        found = [tokens for text in self.words for tokens in spellings(text, tokenizer)]
        return AllowedTokens(tuple(dict.fromkeys(found)))

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, −inf but for the named tokens: what is possible without a tokenizer."""
        return AllowedTokens(tuple(numbers(self.words, "allowed")))(log_probs, beam)


@dataclass(frozen=True)
class AllowedTokens:
    """``Allowed`` for one vocabulary: sequences of tokens of which the output consists."""

    phrases: tuple[tuple[int, ...], ...]

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, −inf for what no allowed output can go on with."""
        eos = beam.special.eos
        transitions, possible = automaton(self.phrases, log_probs.shape[2], eos)
        transitions, possible = transitions.to(log_probs.device), possible.to(log_probs.device)
        state = torch.zeros_like(beam.lengths)  # (B, K)
        if len(transitions) > 1:
            for step in range(beam.step):
                state = transitions[state, beam.tokens[:, :, step]]
        forbidden = ~possible[state]
        if beam.step == 0:
            forbidden[..., eos] = True
        return log_probs.masked_fill(forbidden, -torch.inf)


@functools.lru_cache(maxsize=8)
def automaton(phrases: tuple[tuple[int, ...], ...], size: int, eos: int) -> tuple[Tensor, Tensor]:
    """Deterministic automaton of sequences of phrases.

    Returns:
        (states, V) int64 the next state, and (states, V) bool the tokens that may come; state 0
        is the beginning. A state is a set of what phrases still want; () is a whole phrase.
    """
    start: frozenset[tuple[int, ...]] = frozenset({()})
    states: dict[frozenset[tuple[int, ...]], int] = {start: 0}
    edges: list[dict[int, int]] = []
    whole: list[bool] = []
    pending = [start]
    for state in pending:  # grows while it is walked
        moves: dict[int, set[tuple[int, ...]]] = {}
        wanted = [rest for rest in state if rest]
        for rest in [*wanted, *(phrases if () in state else [])]:
            moves.setdefault(rest[0], set()).add(rest[1:])
        edges.append({})
        whole.append(() in state)
        for token, rests in moves.items():
            new = frozenset(rests)
            if new not in states:
                states[new] = len(states)
                pending.append(new)
            edges[-1][token] = states[new]
    transitions = torch.zeros(len(states), size, dtype=torch.int64)
    possible = torch.zeros(len(states), size, dtype=torch.bool)
    for number, moves_of in enumerate(edges):
        for token, target in moves_of.items():
            transitions[number, token] = target
            possible[number, token] = True
    possible[:, eos] = torch.tensor(whole)
    return transitions, possible
