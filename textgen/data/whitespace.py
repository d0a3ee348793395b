r"""What a word is: what ASCII white space separates, as for the tools that read Pharaoh links.

fast_align, eflomal and Moses part words at spaces and tabs. A no-break space (U+00A0), which
``str.split`` parts at too, is a character of a word, and so is any other white space of Unicode.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[^ \t\n\r\v\f]+")


def split_words(text: str) -> list[str]:
    """The words of a text."""
    return _WORD.findall(text)
