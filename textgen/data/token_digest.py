"""A digest of the tokens that a text became: the same text has it, whatever file it stands in."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray


class TokenDigest:
    """BLAKE2b of token numbers in their order, of 16 bytes, computed while they are made."""

    def __init__(self) -> None:
        self._state = blake2b(digest_size=16)

    def add(self, tokens: NDArray[Any]) -> None:
        """Take in the next tokens (T,), of the same type of numbers each time."""
        self._state.update(tokens.astype(tokens.dtype.newbyteorder("<"), copy=False).tobytes())

    def text(self) -> str:
        """In hexadecimal digits."""
        return self._state.hexdigest()


def digest_of_sequences(tokens: NDArray[Any], starts: NDArray[np.int64], eos: int) -> str:
    """The digest of sentences with eos between them, as a stream has it.

    Args:
        tokens: (T,) all sentences joined.
        starts: (sentences + 1,) where each begins.
        eos: the token between two.
    """
    digest = TokenDigest()
    digest.add(np.insert(tokens, starts[1:-1], np.array(eos, tokens.dtype), axis=0))
    return digest.text()
