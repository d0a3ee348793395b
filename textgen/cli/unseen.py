"""What a user's text has that the model never saw, each told once; and escapes in short texts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from textgen.cli.failures import complain

if TYPE_CHECKING:
    from textgen.data.tokenizers import TextTokenizer

_TOLD = 10
_MOST = 10_000
_ESCAPE = re.compile(r"\\([ntr\\])")
_MEANT = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


def unescaped(text: str) -> str:
    r"""A text of the command line in which ``\n``, ``\t``, ``\r`` and ``\\`` are one character."""
    return _ESCAPE.sub(lambda found: _MEANT[found[1]], text)


class Unseen:
    """Collects the characters or words of texts that a model never saw, and warns of each once.

    Args:
        tokenizer: of the model.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self.tokenizer = tokenizer
        self._known: set[str] = set()
        self._new: list[str] = []

    def noted(self, text: str) -> str:
        """The text itself, looked at; after many unknown parts no more are collected."""
        unknown, encode = self.tokenizer.marks.unknown, self.tokenizer.encode
        if unknown is None or len(self._known) >= _MOST or unknown not in encode(text):
            return text
        parts = text.split() if self._words() else self.tokenizer.normalise(text)
        for part in dict.fromkeys(parts):
            if part not in self._known and unknown in encode(part):
                self._known.add(part)
                self._new.append(part)
        return text

    def tell(self) -> None:
        """Warn of what is new in the texts since the last time."""
        found, self._new = self._new, []
        if not found:
            return
        shown = ", ".join(map(_readable, found[:_TOLD]))
        more = len(found) - _TOLD
        others = f" and {more} other{'s' * (more > 1)}" if more > 0 else ""
        complain(
            f"Warning: the model never saw the {'words' if self._words() else 'characters'} "
            f"{shown}{others}: it reads them as unknown."
        )

    def _words(self) -> bool:
        return self.tokenizer.kind == "words"


def _readable(part: str) -> str:
    if part.isprintable() and not part.isspace():
        return repr(part)
    return " ".join(f"U+{ord(each):04X}" for each in part)
