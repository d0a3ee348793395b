"""Other models beside the one that decodes: do they speak the same tokens?"""

from __future__ import annotations

from textgen.errors import UsageError
from textgen.protocols import Companion, Tokenizer


def require_same_vocabulary(companion: Companion, tokenizer: Tokenizer, what: str) -> None:
    """See that a companion writes the tokens that the decoding model writes.

    Args:
        companion: the other model.
        tokenizer: of the model that decodes.
        what: the plugin's name, for the error.

    Raises:
        UsageError: if one token is another; says what to do.
    """
    other = companion.tokenizer
    same = other.size == tokenizer.size and other.special == tokenizer.special
    if same and all(other.piece(n) == tokenizer.piece(n) for n in range(tokenizer.size)):
        return
    raise UsageError(
        f"{what}: {companion.name} must have the same vocabulary as the model that decodes, but "
        f"has another one ({other.size:,} and {tokenizer.size:,} tokens). Train it on the same "
        "text with the same tokenizer options."
    )
