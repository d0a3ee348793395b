"""What all tokenizers share.

Numbers 0, 1, 2 are pad, bos and eos in every tokenizer; 3 is the unknown token where there is
one. A token's surface is a string of bytes, so that a character or a sentence can be put together
from tokens one by one, whatever the kind.
"""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from textgen.data.encodings import without_surrogates
from textgen.errors import DataError
from textgen.protocols import SpecialTokens

Kind = Literal["characters", "bytes", "words", "bpe", "unigram", "vectors"]
Normalisation = Literal["NFC", "none"]
Tokens = NDArray[np.int32]

PAD, BOS, EOS, UNKNOWN = 0, 1, 2, 3
SPECIAL_NAMES = ("<pad>", "<bos>", "<eos>", "<unk>")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()


@dataclass(frozen=True)
class TokenizerConfig:
    """How text becomes tokens."""

    kind: Annotated[Kind, "what a token is; vectors: a source that is no text"] = "characters"
    size: Annotated[
        int | None, Ge(5), "most tokens, special tokens included; none: as many as occur"
    ] = None
    minimum_count: Annotated[int, Ge(1), "rarer characters or words become unknown"] = 1
    normalisation: Annotated[Normalisation, "Unicode form that text is brought to"] = "NFC"
    model: Annotated[str | None, "an existing SentencePiece .model file, taken as it is"] = None


class TextTokenizer(ABC):
    """Text to token numbers and back; fulfils ``textgen.protocols.Tokenizer``.

    Attributes:
        kind: what a token is.
        normalisation: Unicode form that text is brought to before encoding.
    """

    kind: ClassVar[str]
    errors: ClassVar[str] = "replace"
    """What becomes of bytes that are no UTF-8 where raw bytes go in and out: they become U+FFFD, or
    stand for themselves (``surrogateescape``, of a model of bytes)."""

    def __init__(self, normalisation: Normalisation) -> None:
        self.normalisation: Normalisation = normalisation

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of tokens V, special tokens included."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest type of numbers that holds the tokens."""
        return np.dtype(np.min_scalar_type(self.size - 1))

    @property
    def special(self) -> SpecialTokens:
        """The numbers of the special tokens."""
        return SpecialTokens(PAD, BOS, EOS, UNKNOWN)

    @abstractmethod
    def encode_array(self, text: str) -> Tokens:
        """Tokens (T,) int32 of a text, without bos and eos; fast for long texts."""

    def encode(self, text: str) -> list[int]:
        """Tokens of a text, without bos and eos."""
        tokens: list[int] = self.encode_array(text).tolist()
        return tokens

    @abstractmethod
    def surface(self, token: int, previous: int | None) -> bytes:
        """The bytes (UTF-8, maybe a part of a character) that a token adds to a text.

        Args:
            token: number of the token.
            previous: the token before it that is no pad, bos or eos; None at the beginning.

        Raises:
            DataError: if there is no such token.
        """

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens; pad, bos and eos vanish; bytes that are no UTF-8 become U+FFFD.

        Raises:
            DataError: if there is no such token.
        """
        parts: list[bytes] = []
        previous: int | None = None
        for token in tokens:
            if token in {PAD, BOS, EOS}:
                continue
            parts.append(self.surface(token, previous))
            previous = token
        return b"".join(parts).decode("utf-8", "replace")

    @abstractmethod
    def piece(self, token: int) -> str:
        """One token as people read it, for tables and pictures."""

    @abstractmethod
    def to_data(self) -> dict[str, Any]:
        """All that the tokenizer is, as JSON values; a SentencePiece model is kept apart."""

    def fingerprint(self) -> str:
        """Two tokenizers with the same fingerprint encode alike."""
        from textgen.data.documents import digest

        return digest([repr(sorted(self.to_data().items()))])

    def restored(self, text: str, *, begins: bool = True, ends: bool = True) -> str:  # noqa: ARG002 - of words
        """The text as ``decode`` gives it back after ``encode``, were every token known.

        Figures per character are taken over this, so that a text does not seem cheaper for
        what the tokens do not tell.

        Args:
            text: a document or a piece of one.
            begins: whether it begins the document.
            ends: whether it ends the document.
        """
        return self.normalise(text)

    def normalise(self, text: str) -> str:
        """The text in the Unicode form that the model reads and writes.

        Whatever is compared with a model's text is brought to it first.
        """
        return normal_form(text, self.normalisation)

    def _check(self, token: int) -> None:
        if not 0 <= token < self.size:
            raise DataError(f"There is no token {token}: the tokenizer has 0 to {self.size - 1}.")


def normal_form(text: str, normalisation: Normalisation) -> str:
    """A text in a Unicode form; halves of surrogate pairs, which are no text, become U+FFFD."""
    if text.isascii():
        return text
    text = without_surrogates(text)
    return text if normalisation == "none" else unicodedata.normalize("NFC", text)


_VISIBLE = {" ": "␣", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def visible(text: str) -> str:
    """A text that shows where white space, control characters and lone accents are."""
    if text and unicodedata.combining(text[0]):
        text = "\N{DOTTED CIRCLE}" + text
    return "".join(_VISIBLE.get(each) or _printable(each) for each in text)


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return f"<U+{ord(character):04X}>"
