"""DRY, don't repeat yourself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from textgen.decoding import last_said, said, worth
from textgen.errors import UsageError
from textgen.protocols import Beam, Tokenizer
from textgen_decoders.words import number, numbers, one_is_a_list

_LONGEST = 50  # longer matches cost no more
_MOST = 1e30  # nats: a penalty is no ban


@dataclass(frozen=True)
class Dry:
    """Make tokens unlikely that would go on repeating: s_v ← s_v − m·b^(L − a) if L ≥ a.

    L is the length of the longest end of prompt and output that occurred before and was then
    followed by v; at most 50 counts. A match neither holds a sequence breaker nor goes on with
    one. A breaker is every token whose text contains one of the given texts; those that no token
    contains break nothing.
    P. E. Weidmann 2024, text-generation-webui, pull request 5677.

    Example: --decode sample --filter dry:m=0.8
    """

    m: Annotated[float, Ge(0), "multiplier m, nats for a match of the allowed length"] = 0.8
    base: Annotated[float, Ge(1), "base b by which each further token multiplies"] = 1.75
    allowed: Annotated[int, Ge(1), "length a from which on a match costs"] = 2
    breakers: Annotated[list[str], "texts that end every match, or #NUMBER"] = field(
        default_factory=lambda: ["\n", ":", '"', "*"]
    )

    def __post_init__(self) -> None:
        """One text is a list of one."""
        one_is_a_list(self, "breakers")

    def setup_tokenizer(self, tokenizer: Tokenizer) -> DryTokens:
        """Learn which tokens contain a breaker."""
        texts = [tokenizer.decode([token]) for token in range(tokenizer.size)]
        found = {each for each in map(number, self.breakers) if each is not None}
        normalise = getattr(tokenizer, "normalise", str)
        for given in self.breakers:
            if number(given) is not None:
                continue
            breaker = normalise(given)
            inside = {token for token, text in enumerate(texts) if breaker and breaker in text}
            if not inside and tokenizer.special.unknown not in tokenizer.encode(breaker):
                raise UsageError(
                    f"dry: the breaker {breaker!r} is several tokens of this model's vocabulary; "
                    "name texts that a single token contains."
                )
            found |= inside
        return DryTokens(self, tuple(sorted(found)))

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores; without a tokenizer only breakers named by #NUMBER break."""
        named = [text for text in self.breakers if number(text) is not None]
        found = numbers(named, "dry")
        return DryTokens(self, tuple(sorted(each for (each,) in found)))(log_probs, beam)


@dataclass(frozen=True)
class DryTokens:
    """``Dry`` for one vocabulary: the tokens that end every match."""

    options: Dry
    breakers: tuple[int, ...]

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, lowered for what would go on repeating."""
        row, lengths = said(beam)  # (B, K, L)
        if self.options.m == 0 or row.shape[2] <= self.options.allowed:
            return log_probs
        matched = self._matched(row, lengths, beam)[:, :, :-1]  # (B, K, L − 1)
        following = row[:, :, 1:]
        matched = matched.masked_fill(torch.isin(following, self._numbers(row)), 0)
        costs = self._costs(matched).to(log_probs.dtype)  # the longest match costs most
        penalty = torch.zeros_like(log_probs).scatter_reduce(2, following, costs, "amax")
        return log_probs - penalty

    def _costs(self, matched: Tensor) -> Tensor:
        """Nats, float64, for matches of given lengths, of any shape."""
        beyond = matched - self.options.allowed
        costs = self.options.m * self.options.base ** beyond.clamp(min=0).double()
        return costs.clamp(max=_MOST).masked_fill(beyond < 0, 0.0)

    def _numbers(self, like: Tensor) -> Tensor:
        return torch.tensor(self.breakers, dtype=torch.int64, device=like.device)

    def _matched(self, row: Tensor, lengths: Tensor, beam: Beam) -> Tensor:
        """(B, K, L) int64: how many tokens up to each place are those at the very end."""
        place = torch.arange(row.shape[2], device=row.device)
        same = place < lengths.unsqueeze(2) - 1  # the end itself does not count
        matched = torch.zeros_like(row)
        count = min(_LONGEST, row.shape[2] - 1)
        ends = last_said(beam, count)
        usable = (ends >= 0) & ~torch.isin(ends, self._numbers(row))  # (B, K, count)
        for back in range(count):  # a place i matches on if token i − back is the end's
            end, goes_on = (each[:, :, count - 1 - back, None] for each in (ends, usable))
            earlier = row[:, :, : row.shape[2] - back]
            same = (same if back == 0 else same[:, :, 1:]) & (earlier == end) & goes_on
            if not worth(same):
                break
            matched[:, :, back:] += same
        return matched
