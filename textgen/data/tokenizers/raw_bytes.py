"""Tokens that are the bytes of UTF-8: an open vocabulary of 259."""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np

from textgen.data.encodings import without_halves
from textgen.data.tokenizers.base import (
    BOS,
    EOS,
    PAD,
    SPECIAL_NAMES,
    Normalisation,
    TextTokenizer,
    Tokens,
    visible,
)
from textgen.protocols import SpecialTokens

_FIRST = EOS + 1


class ByteTokenizer(TextTokenizer):
    """One token for each byte: byte b is token b + 3. There is no unknown token."""

    kind = "bytes"
    errors = "surrogateescape"

    def __init__(self, normalisation: Normalisation = "NFC") -> None:
        super().__init__(normalisation)

    @property
    def size(self) -> int:
        """Number of tokens V, special tokens included."""
        return _FIRST + 256

    @property
    def special(self) -> SpecialTokens:
        """The numbers of the special tokens; there is no unknown token."""
        return SpecialTokens(PAD, BOS, EOS, None)

    def normalise(self, text: str) -> str:
        """The text in its Unicode form; bytes that stand for themselves (``RAW``) stay."""
        if text.isascii():
            return text
        text = without_halves(text)
        return text if self.normalisation == "none" else unicodedata.normalize("NFC", text)

    def encode_array(self, text: str) -> Tokens:
        """Tokens (T,) int32, one for each byte of the normalised text."""
        data = self.normalise(text).encode("utf-8", self.errors)
        return np.frombuffer(data, dtype=np.uint8).astype(np.int32) + _FIRST

    def surface(self, token: int, previous: int | None) -> bytes:  # noqa: ARG002 - the interface
        """The byte."""
        self._check(token)
        return bytes([token - _FIRST]) if token >= _FIRST else b""

    def piece(self, token: int) -> str:
        """The byte as people read it: ASCII as it is, others as <0xE2>."""
        self._check(token)
        if token < _FIRST:
            return SPECIAL_NAMES[token]
        byte = token - _FIRST
        return visible(chr(byte)) if byte < 128 else f"<0x{byte:02X}>"

    def to_data(self) -> dict[str, Any]:
        """The normalisation."""
        return {"kind": self.kind, "normalisation": self.normalisation}
