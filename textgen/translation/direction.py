"""Whether pairs were given the wrong way round for a translator."""

from __future__ import annotations

from collections.abc import Sequence

from textgen.decoding.scoring import score
from textgen.decoding.session import padded
from textgen.loading import LoadedModel
from textgen.protocols import Batch

LOOKED_AT = 64
"""Pairs that tell."""
_LONGEST = 60
_CLEARLY = 0.5  # nats per token
_MOST = 0.5  # share of tokens


def look_exchanged(loaded: LoadedModel, pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether pairs suit a translator clearly better when their sides are exchanged.

    They do where most tokens are unknown as they are and few are then, or where the model finds
    them likelier then.

    Args:
        loaded: a translator.
        pairs: source and target sentences; the first ``LOOKED_AT`` are read.

    Raises:
        UsageError: if the model is no translator.
    """
    some = [tuple(side.strip() for side in pair) for pair in pairs[:LOOKED_AT]]
    unknown = _unknown_share(loaded, some), _unknown_share(loaded, [pair[::-1] for pair in some])
    if unknown[0] > _MOST and unknown[1] < 1 - _MOST:
        return True
    given = _nats(loaded, [(source, target) for source, target in some])
    turned = _nats(loaded, [(target, source) for source, target in some])
    return given is not None and turned is not None and turned < given - _CLEARLY


def _unknown_share(loaded: LoadedModel, pairs: Sequence[tuple[str, ...]]) -> float:
    """Share of the tokens of both sides that the vocabularies lack."""
    sides = loaded.require_source(), loaded.tokenizer
    encoded = [
        (own, own.encode(text)) for pair in pairs for own, text in zip(sides, pair, strict=True)
    ]
    count = sum(len(tokens) for _, tokens in encoded)
    unknown = sum(
        tokens.count(own.special.unknown) for own, tokens in encoded if own.special.unknown
    )
    return unknown / max(1, count)


def _nats(loaded: LoadedModel, pairs: Sequence[tuple[str, str]]) -> float | None:
    """Mean nats per target token, eos included; None if there is nothing to read."""
    source, target = loaded.require_source(), loaded.tokenizer
    encoded = [(source.encode(each), target.encode(other)) for each, other in pairs]
    usable = [each for each in encoded if all(0 < len(side) <= _LONGEST for side in each)]
    if not usable:
        return None
    special = target.special
    sources = [[*tokens, source.special.eos] for tokens, _ in usable]
    targets = [[*tokens, special.eos] for _, tokens in usable]
    batch = Batch(len(usable), *padded(sources, source.special.pad, loaded.device))
    found = score(loaded.model, batch, [[special.bos]] * len(usable), targets)
    return -float(found.double().sum()) / sum(map(len, targets))
