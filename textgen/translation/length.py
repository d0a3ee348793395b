"""How long a translation may become, from the length of its source."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from textgen.errors import UsageError

_LENGTH = re.compile(r"(?:([0-9]{1,6}(?:\.[0-9]{1,6})?)x)?(?:(?:(?<=x)\+|^\+?)([0-9]{1,9}))?")


@dataclass(frozen=True)
class MaxLength:
    """Most target tokens of a source of S tokens: ⌈factor · S⌉ + extra, eos counted."""

    factor: float = 0.0
    extra: int = 0

    @classmethod
    def parse(cls, text: str) -> MaxLength:
        """Read ``2x+10``, ``1.5x`` or ``100``.

        Raises:
            UsageError: if it is none of these, or always 0.
        """
        match = _LENGTH.fullmatch(text.replace(" ", ""))
        length = cls(float(match[1] or 0), int(match[2] or 0)) if match else cls()
        if length == cls():
            raise UsageError(f"The length {text!r} is not understood. Allowed: 2x+10, 1.5x, 100.")
        return length

    def of(self, source_tokens: int) -> int:
        """The limit of a source of so many tokens, at least 1."""
        return max(1, math.ceil(self.factor * source_tokens) + self.extra)

    def __str__(self) -> str:
        return f"{self.factor:g}x+{self.extra}"
