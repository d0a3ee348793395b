"""How bytes become text: UTF-8, another encoding by its name, or raw bytes as they are."""

from __future__ import annotations

import codecs
import re

from textgen.arguments import HALVES
from textgen.errors import UsageError, nearest

UTF8 = "utf-8"
RAW = "raw"
"""Bytes that are no UTF-8 text stand for themselves (surrogates U+DC80 to U+DCFF, as Python's
``surrogateescape`` has them); a model of bytes reads and writes them."""

_USUAL = ("utf-8", "utf-16", "latin-1", "cp1251", "cp1252", "koi8-r", "gb18030", "shift_jis", RAW)
_SURROGATES = re.compile("[\ud800-\udfff]")


def check_encoding(name: str) -> str:
    """The name of an encoding, seen to be one.

    Raises:
        UsageError: if there is none of that name, or it is none of texts.
    """
    if name == RAW:
        return name
    try:
        if codecs.lookup(name)._is_text_encoding:  # noqa: SLF001 - the only way to ask
            return codecs.lookup(name).name
    except (LookupError, ValueError):
        pass
    raise UsageError(f"There is no encoding {name!r}.{nearest(name, _USUAL)}")


def has_surrogate(text: str) -> bool:
    """Whether a text has half of a surrogate pair, which is no character."""
    return not text.isascii() and _SURROGATES.search(text) is not None


def without_surrogates(text: str) -> str:
    """Halves of surrogate pairs become U+FFFD: no file could hold them."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def without_halves(text: str) -> str:
    """The same, bytes that stand for themselves (``RAW``) kept."""
    return text if text.isascii() else HALVES.sub("\ufffd", text)
