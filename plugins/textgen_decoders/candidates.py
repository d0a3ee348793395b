"""Finished hypotheses as candidates for another ranking."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

from textgen.decoding import best_first, take
from textgen.decoding.hypotheses import fit
from textgen.protocols import Hypotheses, SpecialTokens, Tokenizer

KeyT = TypeVar("KeyT")

_FIRST_LETTER = 0x10000  # from here on there is neither white space nor punctuation of ASCII


def outputs(hypotheses: Hypotheses) -> list[list[tuple[int, ...]]]:
    """The tokens of each hypothesis of each source, without padding; only those that are one."""
    alive = (hypotheses.scores > -torch.inf).tolist()
    return [
        [
            tuple(row[:length])
            for row, length, real in zip(rows, lengths, flags, strict=True)
            if real
        ]
        for rows, lengths, flags in zip(
            hypotheses.tokens.tolist(), hypotheses.lengths.tolist(), alive, strict=True
        )
    ]


def first_places(keys: Sequence[KeyT]) -> dict[KeyT, int]:
    """Each different key and the place at which it comes first."""
    places: dict[KeyT, int] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, place)
    return places


def different(hypotheses: Hypotheses, special: SpecialTokens) -> Hypotheses:
    """The hypotheses with each output once, the first of equal ones; the others leave."""
    first = torch.zeros_like(hypotheses.finished)
    for row, found in enumerate(outputs(hypotheses)):
        first[row, list(first_places(found).values())] = True
    scores = hypotheses.scores.masked_fill(~first, -torch.inf)
    return best_first(dataclasses.replace(hypotheses, scores=scores), special.pad)


def beside(first: Hypotheses, second: Hypotheses, special: SpecialTokens) -> Hypotheses:
    """The hypotheses (B, K) and (B, K') of the same sources in one, (B, K + K'), in that order."""
    steps = max(first.tokens.shape[2], second.tokens.shape[2])

    def joined(name: str, fill: float | None = None) -> Tensor:
        pair = [getattr(each, name) for each in (first, second)]
        if fill is not None:
            pair = [fit(each, (each.shape[1], steps, *each.shape[3:]), fill) for each in pair]
        return torch.cat(pair, 1)

    return Hypotheses(
        tokens=joined("tokens", special.pad),
        lengths=joined("lengths"),
        scores=joined("scores"),
        log_probs=joined("log_probs"),
        token_log_probs=joined("token_log_probs", 0.0),
        finished=joined("finished"),
        attention=None if first.attention is None else joined("attention", 0.0),
    )


def ranked(
    hypotheses: Hypotheses, scores: Tensor, count: int, special: SpecialTokens
) -> Hypotheses:
    """The best of each source by other scores.

    Args:
        hypotheses: (B, K), of equally good ones the first stays first.
        scores: (B, K) float32; −inf for what leaves.
        count: hypotheses wanted; no more than K are returned.
        special: token numbers of pad, bos, eos.
    """
    rescored = dataclasses.replace(hypotheses, scores=scores)
    order = scores.argsort(dim=1, descending=True, stable=True)
    return best_first(take(rescored, order[:, :count]), special.pad)


def text_of(tokens: Sequence[int], tokenizer: Tokenizer | None, special: SpecialTokens) -> str:
    """A text; without a tokenizer each token but the special tokens is a letter, and a word."""
    if tokenizer is not None:
        return tokenizer.decode(tokens)
    return " ".join(
        chr(_FIRST_LETTER + token)
        for token in tokens
        if token not in {special.pad, special.bos, special.eos}
    )
