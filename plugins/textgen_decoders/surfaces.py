"""What each token of a vocabulary adds to a text, as bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from textgen.protocols import Tokenizer

Numbers: TypeAlias = NDArray[np.int64]
Surface: TypeAlias = Callable[[int, int | None], bytes]

FIRST, LATER = 0, 1
"""Contexts: at the beginning of a text or a line, and elsewhere, where words bring a space."""


@dataclass(frozen=True)
class Surfaces:
    """The bytes that tokens add, in each context.

    Attributes:
        text: for each context all surfaces joined, uint8.
        starts: for each context (V,), where each token's surface begins.
        lengths: for each context (V,), its bytes; −1 for the special tokens, which are no text.
        then: (V,) the context after each token.
    """

    text: tuple[NDArray[np.uint8], ...]
    starts: tuple[Numbers, ...]
    lengths: tuple[Numbers, ...]
    then: Numbers

    @property
    def every_byte(self) -> bool:
        """Whether all 256 bytes are tokens, wherever they stand but at the very beginning."""
        single = (self.lengths[LATER] == 1) & (self.then == LATER)
        found = self.text[LATER][self.starts[LATER][single]]
        real = self.lengths[LATER] >= 0
        return len(np.unique(found)) == 256 and bool((self.then[real] == LATER).all())


def read_surfaces(tokenizer: Tokenizer) -> Surfaces:
    """Ask a tokenizer what its tokens look like in a text.

    A token may look one way at the beginning and another way after most tokens, as words and the
    leading spaces of SentencePiece do; tokens after which it looks as at the beginning (line ends)
    are found too.
    """
    surface, special = _surface(tokenizer), tokenizer.special
    silent = {special.pad, special.bos, special.eos}
    tokens = [token for token in range(tokenizer.size) if token not in silent]
    first = {token: surface(token, None) for token in tokens}
    probe = next((token for token in tokens if surface(token, token) != first[token]), None)
    later = first if probe is None else {token: surface(token, probe) for token in tokens}
    then = np.full(tokenizer.size, LATER)
    if probe is not None:
        again = [token for token in tokens if surface(probe, token) == first[probe]]
        then[again] = FIRST
    columns = [_joined(each, tokenizer.size) for each in (first, later)]
    text, starts, lengths = zip(*columns, strict=True)
    return Surfaces(text, starts, lengths, then)


def _joined(surfaces: dict[int, bytes], size: int) -> tuple[NDArray[np.uint8], Numbers, Numbers]:
    lengths = np.full(size, -1)
    lengths[list(surfaces)] = [len(each) for each in surfaces.values()]
    starts = np.cumsum(np.maximum(lengths, 0)) - np.maximum(lengths, 0)
    return np.frombuffer(b"".join(surfaces.values()), dtype=np.uint8), starts, lengths


def _surface(tokenizer: Tokenizer) -> Surface:
    """The tokenizer's own answer, which knows parts of characters, or what decoding shows."""
    own: Any = getattr(tokenizer, "surface", None)
    if callable(own):
        return cast("Surface", own)

    def shown(token: int, previous: int | None) -> bytes:
        before: Sequence[int] = [] if previous is None else [previous]
        whole = tokenizer.decode([*before, token])
        return whole.removeprefix(tokenizer.decode(before)).encode("utf-8", "surrogatepass")

    return shown
