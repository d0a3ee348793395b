"""A vocabulary of a few letters, and auxiliary_models that speak it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from textgen.protocols import AuxiliaryModel, SpecialTokens
from textgen.testing.toy import TOY_SPECIAL, ToyModel, toy_model

_LANGUAGES = 5


class ToyTokenizer:
    """Four letters, a space, a full stop, a line end, and "ab" as a token of its own.

    Attributes:
        pieces: the text of each token; pad, bos and eos have none, "?" is what is unknown.
        size: number of tokens V = 12.
        special: the numbers of the special tokens.
    """

    pieces: tuple[str, ...] = ("", "", "", "?", "a", "b", "c", " ", "ab", "\n", "d", ".")
    size: int = len(pieces)
    special: SpecialTokens = TOY_SPECIAL

    def encode(self, text: str) -> list[int]:
        """Tokens of a text, without bos and eos; other characters are unknown."""
        found = []
        while text:
            piece = "ab" if text.startswith("ab") else text[0]
            found.append(self.pieces.index(piece, 4) if piece in self.pieces[4:] else 3)
            text = text[len(piece) :]
        return found

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens; pad, bos and eos vanish."""
        return "".join(self.pieces[token] for token in tokens)

    def piece(self, token: int) -> str:
        """One token as people read it."""
        return self.pieces[token]


@dataclass(frozen=True)
class ToyAuxiliaryModel:
    """A toy for plugins that ask for a model; see ``textgen.protocols.AuxiliaryModel``."""

    name: str
    kind: str
    model: ToyModel
    tokenizer: ToyTokenizer
    source_tokenizer: ToyTokenizer | None = None


def toy_task_model(seed: int = 3) -> ToyModel:
    """A toy model for the vocabulary of ``ToyTokenizer``."""
    return toy_model(ToyTokenizer.size, _LANGUAGES, seed)


def toy_load(name: str) -> AuxiliaryModel:
    """A auxiliary of any name: a translator if the name says so, else a language model.

    Each name has probabilities of its own.
    """
    model = toy_task_model(zlib.crc32(name.encode()))
    if "translator" in name:
        return ToyAuxiliaryModel(name, "translator", model, ToyTokenizer(), ToyTokenizer())
    return ToyAuxiliaryModel(name, "language-model", model, ToyTokenizer())
