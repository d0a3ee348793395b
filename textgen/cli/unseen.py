"""What a user's text has that the model never saw, told once; and escapes in short texts."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from textgen.cli.failures import complain

if TYPE_CHECKING:
    from textgen.data.tokenizers import TextTokenizer

_TOLD = 10
_ESCAPE = re.compile(r"\\([ntr\\])")
_MEANT = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


def unescaped(text: str) -> str:
    r"""A text of the command line in which ``\n``, ``\t``, ``\r`` and ``\\`` are one character."""
    return _ESCAPE.sub(lambda found: _MEANT[found[1]], text)


class Unseen:
    """Tells, at the first text that has some, which characters or words a model never saw.

    Args:
        tokenizer: of the model.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self.tokenizer = tokenizer
        self._told = False

    def noted(self, text: str) -> str:
        """The text itself, looked at."""
        unknown = self.tokenizer.marks.unknown
        if not self._told and unknown is not None and unknown in self.tokenizer.encode(text):
            self._told = True
            self._tell(text, unknown)
        return text

    def _tell(self, text: str, unknown: int) -> None:
        words = self.tokenizer.kind == "words"
        parts = text.split() if words else list(self.tokenizer.normalise(text))
        found = [each for each in dict.fromkeys(parts) if unknown in self.tokenizer.encode(each)]
        shown = ", ".join(map(_readable, itertools.islice(found, _TOLD)))
        more = f" and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
        complain(
            f"Warning: the model never saw the {'words' if words else 'characters'} {shown}{more}: "
            "it reads them as unknown."
        )


def _readable(part: str) -> str:
    if part.isprintable() and not part.isspace():
        return repr(part)
    return " ".join(f"U+{ord(each):04X}" for each in part)
