"""Tokens that are Unicode characters."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from textgen.data.tokenizers.base import (
    EOS,
    REPLACEMENT,
    SPECIAL_NAMES,
    UNKNOWN,
    Normalisation,
    TextTokenizer,
    Tokens,
    normal_form,
    visible,
)
from textgen.errors import DataError

_CODES = sys.maxunicode + 1
_GATHERED = 1 << 20


class CharacterTokenizer(TextTokenizer):
    """One token for each character (code point) that was seen in training.

    Args:
        characters: the vocabulary; token 4 is the first of them.
        normalisation: Unicode form that text is brought to.
    """

    kind = "characters"

    def __init__(self, characters: str, normalisation: Normalisation = "NFC") -> None:
        super().__init__(normalisation)
        self.characters = characters
        first = UNKNOWN + 1
        table = np.full(_CODES, UNKNOWN, dtype=np.int32)
        table[_codes(characters)] = np.arange(first, first + len(characters), dtype=np.int32)
        self._table = table
        self._surfaces = [each.encode("utf-8", "surrogatepass") for each in characters]

    @property
    def size(self) -> int:
        """Number of tokens V, special tokens included."""
        return UNKNOWN + 1 + len(self.characters)

    def encode_array(self, text: str) -> Tokens:
        """Tokens (T,) int32, one for each character of the normalised text."""
        tokens: Tokens = self._table[_codes(self.normalise(text))]
        return tokens

    def surface(self, token: int, previous: int | None) -> bytes:  # noqa: ARG002 - the interface
        """The character in UTF-8; U+FFFD for the unknown token."""
        self._check(token)
        if token <= UNKNOWN:
            return REPLACEMENT if token > EOS else b""
        return self._surfaces[token - UNKNOWN - 1]

    def piece(self, token: int) -> str:
        """The character as people read it."""
        self._check(token)
        if token <= UNKNOWN:
            return SPECIAL_NAMES[token]
        return visible(self.characters[token - UNKNOWN - 1])

    def to_data(self) -> dict[str, Any]:
        """The characters and the normalisation."""
        return {
            "kind": self.kind,
            "normalisation": self.normalisation,
            "characters": self.characters,
        }


def train_characters(
    texts: Iterable[str], *, size: int | None, minimum_count: int, normalisation: Normalisation
) -> CharacterTokenizer:
    """A tokenizer of the characters of texts, the commonest if ``size`` does not hold all.

    Raises:
        DataError: if there is no text.
    """
    counts = np.zeros(_CODES, dtype=np.int64)
    for text in _gather(texts, normalisation):
        counts += np.bincount(_codes(text), minlength=_CODES)
    seen = np.flatnonzero(counts >= minimum_count)
    if not counts.any():
        raise DataError("A character tokenizer cannot be made from an empty text.")
    if size is not None and len(seen) > size - UNKNOWN - 1:
        by_count = seen[np.argsort(-counts[seen], kind="stable")]
        seen = np.sort(by_count[: size - UNKNOWN - 1])
    return CharacterTokenizer("".join(map(chr, seen)), normalisation)


def _gather(texts: Iterable[str], normalisation: Normalisation) -> Iterable[str]:
    """Join short texts, so that counting is worth its fixed cost."""
    parts: list[str] = []
    length = 0
    for text in texts:
        parts.append(normal_form(text, normalisation))
        length += len(text)
        if length >= _GATHERED:
            yield "".join(parts)
            parts, length = [], 0
    yield "".join(parts)


def _codes(text: str) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """Code points (T,) of a text."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
