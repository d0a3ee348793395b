r"""Tokens that are words between white space, and line ends.

Decoding joins words by one space, so text comes back up to its white space: runs of spaces, tabs
and the ``\r`` of ``\r\n`` are lost, line ends are kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from textgen.data.tokenizers.base import (
    EOS,
    SPECIAL_NAMES,
    UNKNOWN,
    Normalisation,
    TextTokenizer,
    Tokens,
    normal_form,
    visible,
)
from textgen.errors import DataError

NEWLINE = UNKNOWN + 1
_FIRST = NEWLINE + 1
_UNKNOWN_WORD = SPECIAL_NAMES[UNKNOWN]
_IRREGULAR = re.compile(r"  |^ | $|[^\S\n ]", re.MULTILINE)
"""White space that decoding does not give back."""


class _Numbers(dict[str, int]):
    """Words to token numbers; all other words are unknown."""

    def __missing__(self, key: str) -> int:
        return UNKNOWN


class WordTokenizer(TextTokenizer):
    r"""One token for each word of a vocabulary; ``\n`` is token 4; the text ``<unk>`` is unknown.

    Args:
        words: the vocabulary without special tokens and the line end; token 5 is the first.
        normalisation: Unicode form that text is brought to.
    """

    kind = "words"

    def __init__(self, words: Sequence[str], normalisation: Normalisation = "NFC") -> None:
        super().__init__(normalisation)
        self.words = tuple(words)
        self._numbers = _Numbers(zip(self.words, range(_FIRST, self.size), strict=True))
        self._surfaces = [each.encode("utf-8", "surrogatepass") for each in self.words]

    @property
    def size(self) -> int:
        """Number of tokens V, special tokens and line end included."""
        return _FIRST + len(self.words)

    def number(self, word: str) -> int:
        """The token of a word that stands alone, as sentences of given words have it."""
        return self._numbers[self.normalise(word)]

    def encode_array(self, text: str) -> Tokens:
        """Tokens (T,) int32: the words of each line, and a token for each line end."""
        number = self._numbers.__getitem__
        tokens: list[int] = []
        for line in self.normalise(text).split("\n"):
            tokens.extend(map(number, line.split()))
            tokens.append(NEWLINE)
        tokens.pop()
        return np.array(tokens, dtype=np.int32)

    def restored(self, text: str, *, begins: bool = True, ends: bool = True) -> str:
        """The text with single spaces between the words of each line, and none around them."""
        text = self.normalise(text)
        lead = " " if text[:1].isspace() and text[:1] != "\n" and not begins else ""
        trail = " " if text[-1:].isspace() and text[-1:] != "\n" and not ends else ""
        inner = text[len(lead) : len(text) - len(trail)]
        if _IRREGULAR.search(inner) is not None:
            inner = "\n".join(" ".join(line.split()) for line in inner.split("\n"))
        return lead + inner + trail

    def surface(self, token: int, previous: int | None) -> bytes:
        """The word, after a space unless it begins the text or a line."""
        self._check(token)
        if token <= EOS:
            return b""
        if token == NEWLINE:
            return b"\n"
        word = _UNKNOWN_WORD.encode() if token == UNKNOWN else self._surfaces[token - _FIRST]
        return word if previous in {None, NEWLINE} else b" " + word

    def piece(self, token: int) -> str:
        """The word as people read it."""
        self._check(token)
        if token <= UNKNOWN:
            return SPECIAL_NAMES[token]
        return visible("\n" if token == NEWLINE else self.words[token - _FIRST])

    def to_data(self) -> dict[str, Any]:
        """The words and the normalisation."""
        return {
            "kind": self.kind,
            "normalisation": self.normalisation,
            "words": list(self.words),
        }


def train_words(
    texts: Iterable[str], *, size: int | None, minimum_count: int, normalisation: Normalisation
) -> WordTokenizer:
    """A tokenizer of the words of texts, the commonest first; ties in the order of the alphabet.

    Raises:
        DataError: if there is no word.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        normal = normal_form(text, normalisation)
        counts.update(normal.split())
    if not counts:
        raise DataError("A word tokenizer cannot be made from a text without words.")
    counts.pop(_UNKNOWN_WORD, None)
    kept = [(-count, word) for word, count in counts.items() if count >= minimum_count]
    room = None if size is None else max(size - _FIRST, 0)
    return WordTokenizer([word for _, word in sorted(kept)[:room]], normalisation)
