"""What texts have that a model never saw, each told once."""

from __future__ import annotations

from collections.abc import Callable

from textgen.data.tokenizers.base import TextTokenizer

_TOLD = 10
_MOST = 10_000


class Unseen:
    """Collects the characters or words of texts that a model never saw, and warns of each once.

    Args:
        tokenizer: of the model.
        warn: takes the sentences.
    """

    def __init__(self, tokenizer: TextTokenizer, warn: Callable[[str], object]) -> None:
        self.tokenizer, self.warn = tokenizer, warn
        self._known: set[str] = set()
        self._new: list[str] = []

    def noted(self, text: str) -> str:
        """The text itself, looked at; after many unknown parts no more are collected."""
        unknown, encode = self.tokenizer.special.unknown, self.tokenizer.encode
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
        self.warn(
            f"the model never saw the {'words' if self._words() else 'characters'} "
            f"{shown}{others}: it reads them as unknown."
        )

    def _words(self) -> bool:
        return self.tokenizer.kind == "words"


def _readable(part: str) -> str:
    if part.isprintable() and not part.isspace():
        return repr(part)
    return " ".join(f"U+{ord(each):04X}" for each in part)
