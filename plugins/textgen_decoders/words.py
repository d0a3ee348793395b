"""Texts as token numbers, for the filters that name words."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from textgen.errors import UsageError
from textgen.protocols import SpecialTokens, Tokenizer

NUMBER_SIGN = "#"

_MARKS: dict[str, Callable[[SpecialTokens], int | None]] = {
    "<unk>": lambda special: special.unknown,
    "<eos>": lambda special: special.eos,
}
"""Marks that are named as they are written; not where there is none of them."""


def number(text: str) -> int | None:
    """The token number in ``#12``, or None for any other text."""
    digits = text.removeprefix(NUMBER_SIGN)
    return int(digits) if text != digits and digits.isdecimal() else None


def spellings(text: str, tokenizer: Tokenizer) -> list[tuple[int, ...]]:
    """How a text may stand in an output: as it is, and after a space.

    Raises:
        UsageError: if the text is empty, or the tokenizer does not know it.
    """
    own = _MARKS[text](tokenizer.special) if text in _MARKS else number(text)
    if own is not None:
        if own >= tokenizer.size:
            raise UsageError(f"{text}: the vocabulary has {tokenizer.size} tokens, from #0 on.")
        return [(own,)]
    found = dict.fromkeys(tuple(tokenizer.encode(each)) for each in (text, f" {text}"))
    unknown = tokenizer.special.unknown
    known = [tokens for tokens in found if tokens and unknown not in tokens]
    if not text or not known:
        raise UsageError(f"{text!r} cannot be written with this model's vocabulary.")
    return known


def numbers(texts: Iterable[str], what: str) -> list[tuple[int, ...]]:
    """Texts that are all token numbers, for use without a tokenizer.

    Raises:
        UsageError: if one is not.
    """
    found: list[tuple[int, ...]] = []
    for text in texts:
        own = number(text)
        if own is None:
            raise UsageError(
                f"{what}: {text!r} needs a tokenizer; without one only #NUMBER can be."
            )
        found.append((own,))
    return found


def one_is_a_list(plugin: object, name: str) -> None:
    """A text in a field that is a list of texts is a list of one, and not its characters."""
    value = getattr(plugin, name)
    if isinstance(value, str):
        object.__setattr__(plugin, name, [value])
