"""What tokens stand for in a text."""

from __future__ import annotations

from collections.abc import Sequence

from textgen.data.tokenizers.base import TextTokenizer


def surfaces(tokenizer: TextTokenizer, tokens: Sequence[int]) -> list[str]:
    """What each token adds to the text, as text; pad, bos and eos add nothing.

    Parts of a character become U+FFFD, so only the white space and the whole characters of these
    can be relied upon.
    """
    special = tokenizer.special
    previous: int | None = None
    texts = []
    for token in tokens:
        if token in {special.pad, special.bos, special.eos}:
            texts.append("")
            continue
        texts.append(tokenizer.surface(token, previous).decode("utf-8", "replace"))
        previous = token
    return texts
