"""Logit bias."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from torch import Tensor

from textgen.errors import UsageError
from textgen.protocols import Beam, Tokenizer
from textgen_decoders.words import number, numbers, spellings


@dataclass(frozen=True)
class LogitBias:
    """Add to the scores of some tokens: s_v ← s_v + b_v.

    Tokens are named by their text, or as #NUMBER. A text must be one token (as it is or after a
    space). Known from OpenAI's completion interface.

    Example: --decode sample --filter 'logit-bias:{"e"=-2.5,"z"=1}'
    """

    biases: Annotated[dict[str, float], "nats to add to each token, by text or #NUMBER"]

    def setup_tokenizer(self, tokenizer: Tokenizer) -> LogitBias:
        """Put numbers in the place of texts."""
        found: dict[str, float] = {}
        for text, bias in self.biases.items():
            single = [tokens for tokens in spellings(text, tokenizer) if len(tokens) == 1]
            if not single:
                raise UsageError(f"logit-bias: {text!r} is several tokens; name one token.")
            found.update({f"#{tokens[0]}": bias for tokens in single})
        return replace(self, biases=found)

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, changed at the named tokens."""
        del beam
        numbers(self.biases, "logit-bias")
        result = log_probs.clone()
        for text, bias in self.biases.items():
            result[..., number(text)] += bias
        return result
