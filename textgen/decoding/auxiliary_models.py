"""Other models beside the one that decodes: do they speak the same tokens?"""

from __future__ import annotations

from textgen.errors import UsageError
from textgen.protocols import AuxiliaryModel, Tokenizer


def require_same_vocabulary(auxiliary: AuxiliaryModel, tokenizer: Tokenizer, what: str) -> None:
    """See that an auxiliary writes the tokens that the decoding model writes.

    Args:
        auxiliary: the other model.
        tokenizer: of the model that decodes.
        what: the plugin's name, for the error.

    Raises:
        UsageError: if one token is another; says what to do.
    """
    other = auxiliary.tokenizer
    same = other.size == tokenizer.size and other.special == tokenizer.special
    if same and all(other.piece(n) == tokenizer.piece(n) for n in range(tokenizer.size)):
        return
    raise UsageError(
        f"{what}: {auxiliary.name} must have the same vocabulary as the model that decodes, but "
        f"has another one ({other.size:,} and {tokenizer.size:,} tokens). Train it on the same "
        "text with the same tokenizer options."
    )
