"""A sentence pair and its attention, as data for drawings."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from textgen.errors import DataError
from textgen.evaluation.alignment import GoldAlignment

if TYPE_CHECKING:
    from textgen.evaluation.forced_alignment import AlignedPair
    from textgen.loading import LoadedModel

Axes = Literal["words", "tokens"]


@dataclass(frozen=True)
class AttentionPicture:
    """One sentence pair and its attention.

    Attributes:
        attention: (T, S) weights in [0, 1]; kept as float64.
        source: S tokens or words.
        target: T tokens or words.
        title: above the picture.
        gold: links to outline: sure ones with a full line, possible ones with a broken one.
    """

    attention: ArrayLike
    source: Sequence[str]
    target: Sequence[str]
    title: str = ""
    gold: GoldAlignment = field(default_factory=GoldAlignment)

    def __post_init__(self) -> None:
        shape = (len(self.target), len(self.source))
        weights = np.asarray(self.attention, dtype=np.float64)
        if 0 in shape and not weights.size:
            weights = weights.reshape(shape)
        if weights.shape != shape:
            raise DataError(
                f"An attention matrix of shape {weights.shape} does not fit {shape[0]} target "
                f"and {shape[1]} source tokens."
            )
        if not np.isfinite(weights).all():
            raise DataError("An attention matrix has weights that are not finite.")
        object.__setattr__(self, "attention", weights)

    @property
    def weights(self) -> NDArray[np.float64]:
        """(T, S) float64."""
        return np.asarray(self.attention, dtype=np.float64)


def usual_axes(loaded: LoadedModel) -> Axes:
    """Tokens of a model of characters or bytes, else words."""
    kinds = {loaded.tokenizer.kind, loaded.require_source().kind}
    return "tokens" if kinds & {"characters", "bytes"} else "words"


def picture_of(
    pair: AlignedPair, gold: GoldAlignment | None = None, axes: Axes = "words"
) -> AttentionPicture:
    """The attention between words, the links of ``gold`` outlined; or between tokens."""
    title = f"{pair.source} → {pair.target}"
    if axes == "tokens":
        weights = pair.attention[:-1, :-1]
        return AttentionPicture(weights, pair.source_surfaces, pair.target_surfaces, title)
    united = pair.word_attention()  # (T', S'); fewer than the words where a side was cut
    target, source = pair.target.split(), pair.source.split()
    return AttentionPicture(
        united,
        source[: united.shape[1]],
        target[: united.shape[0]],
        title,
        gold or GoldAlignment(),
    )


def readable(token: str, longest: int = 24) -> str:
    """A token as a label: spaces and line ends become visible, long ones lose their middle.

    Args:
        token: any text.
        longest: characters that the label may have.
    """
    text = _SHOWN.get(token)
    if text is not None:
        return text
    inner = token.strip(" ")
    before, _, after = token.partition(inner) if inner else (token, "", "")
    text = "".join(map(_visible, before)) + "".join(
        character if character == " " else _visible(character) for character in inner
    )
    text += "".join(map(_visible, after))
    if unicodedata.combining(text[0]):
        text = "◌" + text
    if len(text) > longest:
        kept = longest - 1
        text = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
    return text


_SHOWN = {" ": "␣", "\n": "↵", "\r": "␍", "\t": "⇥", "\u00a0": "⍽", "": "∅"}


def _visible(character: str) -> str:
    if character in _SHOWN:
        return _SHOWN[character]
    # control characters, lone surrogates and the like have no glyph
    return "�" if unicodedata.category(character) in {"Cc", "Cs", "Cn", "Co"} else character
