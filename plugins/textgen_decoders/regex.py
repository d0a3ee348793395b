"""A regular expression that the output must match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from textgen.decoding import reorder
from textgen.errors import UsageError
from textgen.protocols import Beam, Filter, Session, Tokenizer
from textgen_decoders.byte_automaton import ByteAutomaton
from textgen_decoders.expressions import parse
from textgen_decoders.surfaces import read_surfaces
from textgen_decoders.token_automaton import TokenAutomaton


@dataclass(frozen=True)
class Regex:
    r"""The whole output must match a regular expression.

    s_v ← −∞ for tokens v after which no match can come any more; the end is possible only where
    all that was written matches, as ``re.fullmatch`` says of ``tokenizer.decode(output)``. A prompt
    or forced beginning does not count, nor the space between it and a first word. The limit may
    cut a match short. Python's syntax but for lookaround, backreferences, word boundaries, atomic
    groups; $ is the very end. Characters are followed byte by byte, so that tokens may end within
    one.
    Willard & Louf 2023, "Efficient guided generation for large language models".

    Example: --decode sample --filter "regex:pattern='[A-Z][a-z]{2,9}( [a-z]{1,9}){1,5}\.'"
    """

    pattern: Annotated[str, "what the output must match, in Python's syntax"]

    def setup_tokenizer(self, tokenizer: Tokenizer) -> RegexTokens:
        """Read the expression and the vocabulary."""
        # in the Unicode form in which the model writes
        normalise = getattr(tokenizer, "normalise", str)
        automaton = ByteAutomaton(parse(normalise(self.pattern)))
        surfaces = read_surfaces(tokenizer)
        return RegexTokens(TokenAutomaton(automaton, surfaces, tokenizer.special, self.pattern))

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """Not without a tokenizer.

        Raises:
            UsageError: always.
        """
        del log_probs, beam
        raise UsageError("regex: a regular expression needs a tokenizer: bind the filter first.")


@dataclass(frozen=True)
class RegexTokens:
    """``Regex`` for one vocabulary."""

    automaton: TokenAutomaton

    def start(self, session: Session) -> Filter:
        """A filter that keeps each row's state."""
        del session
        return _Running(self.automaton)

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, −inf for what no match can go on with."""
        return _Running(self.automaton)(log_probs, beam)


class _Running:
    """The states (B, K) of the rows of one search."""

    def __init__(self, automaton: TokenAutomaton) -> None:
        self.automaton = automaton
        self.step = -1
        self.states = self.sources = torch.empty(0)

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, −inf for what no match can go on with."""
        if self.step >= 0 and beam.step == self.step + 1:
            states = reorder(self.states, self.sources, beam)
            states = self.automaton.after(states, beam.tokens[:, :, -1])
        else:
            states = torch.full_like(beam.lengths, self.automaton.start)
            for step in range(beam.step):
                states = self.automaton.after(states, beam.tokens[:, :, step])
        self.states, self.sources, self.step = states, beam.sources, beam.step
        return log_probs.masked_fill(~self.automaton.possible(states), -torch.inf)
