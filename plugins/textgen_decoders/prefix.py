"""A forced beginning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from textgen.errors import UsageError
from textgen.protocols import Beam, Tokenizer
from textgen_decoders.words import number, numbers


@dataclass(frozen=True)
class Prefix:
    """The output begins with a given text; after it all is free.

    At step t of its n tokens w: s_v ← −∞ for all v ≠ w_t. The text is cut into tokens as the
    tokenizer cuts it; #NUMBER names a token. Unlike a prompt it is part of the output, counts
    against the limit, and its tokens' log-probabilities are in the scores. A stop text within it
    does not end the output.

    Example: --decode beam:width=5 --filter "prefix:text='To be'"
    """

    text: Annotated[str, "how the output begins, or #NUMBER"]

    def setup_tokenizer(self, tokenizer: Tokenizer) -> PrefixTokens:
        """Put tokens in the place of the text."""
        own = number(self.text)
        tokens = tokenizer.encode(self.text) if own is None else [own]
        unknown = tokenizer.special.unknown
        if own is not None and own >= tokenizer.size:
            raise UsageError(
                f"{self.text}: the vocabulary has {tokenizer.size} tokens, from #0 on."
            )
        if own is None and unknown in tokens:
            raise UsageError(
                f"prefix: {self.text!r} cannot be written with this model's vocabulary."
            )
        return PrefixTokens(tuple(tokens))

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, only the named token first: what is possible without a tokenizer."""
        return PrefixTokens(numbers([self.text], "prefix")[0])(log_probs, beam)


@dataclass(frozen=True)
class PrefixTokens:
    """``Prefix`` for one vocabulary: the tokens that come first."""

    tokens: tuple[int, ...]

    @property
    def minimum_length(self) -> int:
        """Tokens before which no stop text ends an output: all that are forced."""
        return len(self.tokens)

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, −inf for all but the token that is due."""
        if beam.step >= len(self.tokens):
            return log_probs
        due = self.tokens[beam.step]
        only = log_probs.new_full(log_probs.shape, -math.inf)
        only[..., due] = log_probs[..., due]
        return only
