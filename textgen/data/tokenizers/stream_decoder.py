"""Text of tokens that arrive one by one."""

from __future__ import annotations

import codecs

from textgen.data.tokenizers.base import BOS, EOS, PAD, TextTokenizer


class StreamDecoder:
    """Decodes tokens as they come; what it gives out, joined, is ``tokenizer.decode``'s text.

    A character of which some bytes are missing is held back until they come.

    Args:
        tokenizer: whose tokens come.
        previous: the token before the first, if the text goes on from a prompt.
        errors: what becomes of bytes that are no UTF-8.
    """

    def __init__(
        self, tokenizer: TextTokenizer, previous: int | None = None, errors: str = "replace"
    ) -> None:
        self._tokenizer = tokenizer
        self._previous = None if previous in {PAD, BOS, EOS} else previous
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors)

    def push(self, token: int) -> str:
        """The text that is complete with this token; often one character, sometimes none."""
        if token in {PAD, BOS, EOS}:
            return ""
        surface = self._tokenizer.surface(token, self._previous)
        self._previous = token
        return self._decoder.decode(surface)

    def flush(self) -> str:
        """What was held back, when no token follows: U+FFFD for an incomplete character."""
        return self._decoder.decode(b"", final=True)
