"""Texts as patterns of ±1 units: a word of units for each character.

A text of fixed length L has N = L·U units: U for each position. ``RandomCode`` gives each
character U pseudo-random units, so that different texts have hardly any overlap, which the Hebb
rule needs. The bits of code points are unsuitable: those of most letters are nearly the same.
``DrawnCode`` (``textgen.data.glyphs``) gives each character its picture.
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from textgen.errors import DataError

Units = NDArray[np.float64]


def normal(text: str) -> str:
    """The text as it is stored: a character and its accent are one code point (NFC)."""
    return unicodedata.normalize("NFC", text)


class CharacterCode(ABC):
    """Words of ±1 units for the characters of texts of up to L characters.

    Args:
        texts: the stored texts, NFC; decoding yields their characters only.

    Attributes:
        length: L, that of the longest text.
        shape: rows and columns of the picture of a character, U = rows · columns.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        texts = list(texts)
        self.length = max(map(len, texts), default=0)
        self.shape = self._shape()
        self._alphabet = sorted(set("".join(texts)))
        self._texts = texts

    @property
    def units(self) -> int:
        """N = L·U."""
        return self.length * self.shape[0] * self.shape[1]

    def encode(self, text: str, missing: str = "", *, padded: bool = True) -> Units:
        """The units of a text, (N,).

        Args:
            text: of up to L characters.
            missing: characters of the text whose units are unknown, 0.
            padded: units behind the end of the text are those of the end; else unknown, 0.

        Raises:
            DataError: if the text is longer, or a character has no units.
        """
        if len(text) > self.length:
            raise DataError(
                f"{text!r} has {len(text)} characters; the longest stored pattern has "
                f"{self.length}."
            )
        unknown = np.zeros(self.shape[0] * self.shape[1])
        words = [
            unknown if character in missing else self._word(character, position)
            for position, character in enumerate(text)
        ]
        rest = range(len(text), self.length)
        words += [self._end(text, position) if padded else unknown for position in rest]
        return np.concatenate(words)

    def decode(self, state: Units) -> str:
        """The text whose words have the largest overlaps with a state, (N,), in each position."""
        scores = np.einsum("lu,lcu->lc", state.reshape(self.length, -1), self._words)
        for number, text in enumerate(self._texts, start=len(self._alphabet)):
            scores[: len(text), number] = -np.inf  # no text ends within itself
        found = scores.argmax(1)
        return "".join(self._alphabet[each] for each in found if each < len(self._alphabet))

    @functools.cached_property
    def _words(self) -> Units:
        """Of all characters and ends in each position, (L, characters + texts, U)."""
        return np.array(
            [
                [
                    *(self._word(character, position) for character in self._alphabet),
                    *(self._end(text, position) for text in self._texts),
                ]
                for position in range(self.length)
            ]
        )

    def picture(self, state: Units) -> Units:
        """The units of a state, (N,), as a picture: (rows, L · columns)."""
        rows, columns = self.shape
        cells = state.reshape(self.length, rows, columns)
        return cells.transpose(1, 0, 2).reshape(rows, self.length * columns)

    @abstractmethod
    def _shape(self) -> tuple[int, int]:
        """Rows and columns of a character's units."""

    @abstractmethod
    def _word(self, character: str, position: int) -> Units:
        """The units of a character, (U,)."""

    @abstractmethod
    def _end(self, text: str, position: int) -> Units:
        """The units of a position behind the end of a text, (U,)."""


class RandomCode(CharacterCode):
    """Pseudo-random words of 32 units: the bits of a hash of the character and its position.

    The units behind the end of a text come from a hash of the text: short texts would otherwise
    have most of their units in common.
    """

    @override
    def _shape(self) -> tuple[int, int]:
        return 4, 8

    @override
    def _word(self, character: str, position: int) -> Units:
        return self._hashed(f"character {ord(character)} {position}")

    @override
    def _end(self, text: str, position: int) -> Units:
        return self._hashed(f"end {position} {text}")

    def _hashed(self, name: str) -> Units:
        rows, columns = self.shape
        digest = hashlib.blake2b(
            name.encode(errors="surrogateescape"), digest_size=rows * columns // 8
        ).digest()
        bits = np.unpackbits(np.frombuffer(digest, np.uint8)).astype(np.float64)
        return 2 * bits - 1


def distinct(lines: Sequence[str], where: str) -> list[str]:
    """Pattern texts of some lines: NFC, blank lines left out, repeated ones taken once.

    Raises:
        DataError: if there are none.
    """
    texts = list(dict.fromkeys(normal(line) for line in lines if line.strip()))
    if not texts:
        raise DataError(f"{where}: there is no pattern: one text a line is needed.")
    return texts
