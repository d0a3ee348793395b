"""How much of right translations shortlists allow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch

from textgen.loading import LoadedModel
from textgen.translation.lexicon import Lexicon
from textgen.translation.shortlist import Shortlists

_TOGETHER = 64


@dataclass(frozen=True)
class Coverage:
    """What a shortlist of one size does.

    Attributes:
        best: target tokens of each source token, n.
        size: tokens that a line may become, on average.
        covered: share of the tokens of the right translations that their lines may become.
    """

    best: int
    size: float
    covered: float


def coverage(
    loaded: LoadedModel, lexicon: Lexicon, pairs: Iterable[tuple[str, str]], best: int
) -> Coverage:
    """Look how much of right translations shortlists allow.

    Args:
        loaded: a translator.
        lexicon: its own.
        pairs: source and target sentences; those with a blank side do not count.
        best: n.
    """
    shortlists = Shortlists(loaded, lexicon, best)
    lines = sizes = tokens = found = 0
    for sources, targets in _groups(loaded, pairs):
        shortlist = shortlists(sources, [[] for _ in sources])
        own = shortlist.own if shortlist.own is not None else torch.ones(1, len(shortlist)).bool()
        allowed = own.new_zeros(len(sources), loaded.tokenizer.size)
        allowed[:, shortlist.tokens] = own
        lines += len(sources)
        sizes += int(allowed.sum())
        tokens += sum(map(len, targets))
        found += sum(int(row[target].sum()) for row, target in zip(allowed, targets, strict=True))
    return Coverage(best, sizes / max(lines, 1), found / max(tokens, 1))


def _groups(
    loaded: LoadedModel, pairs: Iterable[tuple[str, str]]
) -> Iterator[tuple[list[list[int]], list[list[int]]]]:
    """Tokens of both sides, some pairs at a time."""
    source = loaded.require_source()
    encoded = (
        (source.encode(pair[0].strip()), loaded.tokenizer.encode(pair[1].strip())) for pair in pairs
    )
    whole = (pair for pair in encoded if pair[0] and pair[1])
    while group := list(islice(whole, _TOGETHER)):
        yield [pair[0] for pair in group], [pair[1] for pair in group]
