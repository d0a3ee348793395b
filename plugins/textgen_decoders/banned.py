"""Banned words and phrases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from textgen.decoding import counted, last_said
from textgen.protocols import Beam, Tokenizer
from textgen_decoders.words import numbers, one_is_a_list, spellings

_ANY = -2


@dataclass(frozen=True)
class Banned:
    """Forbid words and phrases: the token that would complete one gets s_v ← −∞.

    A phrase is banned as the tokenizer writes it, at the beginning of a text and after a space;
    what the prompt began counts. #NUMBER names a token. The same letters cut into other pieces
    are other tokens.

    Example: --decode sample --filter 'banned:["thou","thee"]'
    """

    words: Annotated[list[str], "texts that may not occur, or #NUMBER"]

    def __post_init__(self) -> None:
        """One text is a list of one."""
        one_is_a_list(self, "words")

    def setup_tokenizer(self, tokenizer: Tokenizer) -> BannedTokens:
        """Put tokens in the place of texts."""
        found = [tokens for text in self.words for tokens in spellings(text, tokenizer)]
        return BannedTokens(tuple(dict.fromkeys(found)))

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, −inf for the named tokens: all that is possible without a tokenizer."""
        return BannedTokens(tuple(numbers(self.words, "banned")))(log_probs, beam)


@dataclass(frozen=True)
class BannedTokens:
    """``Banned`` for one vocabulary: sequences of tokens that may not occur."""

    phrases: tuple[tuple[int, ...], ...]

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, −inf for what would complete a phrase."""
        if not self.phrases:
            return log_probs
        longest = max(map(len, self.phrases))
        rows = [[_ANY] * (longest - len(phrase)) + list(phrase) for phrase in self.phrases]
        wanted = torch.tensor(rows, device=log_probs.device)  # (phrases, longest)
        before = wanted[:, :-1]
        said = last_said(beam, longest - 1).unsqueeze(2)  # (B, K, 1, longest − 1)
        begun = ((said == before) | (before == _ANY)).all(-1)  # (B, K, phrases)
        completes = counted(wanted[:, -1].expand(begun.shape), begun, log_probs.shape[2]) > 0
        return log_probs.masked_fill(completes, -torch.inf)
