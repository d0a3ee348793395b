"""Characters as pictures of ±1 units, drawn with a font that matplotlib ships."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from textgen.data.character_codes import CharacterCode, Units
from textgen.errors import DataError, UsageError

if TYPE_CHECKING:
    from matplotlib.ft2font import FT2Font

FONT = "DejaVuSansMono-Bold"
MIN_ROWS, MAX_ROWS = 8, 64
_SCALE = 8
"""Pixels of a drawing for each pixel of the picture, in each direction."""
_ASCENT, _DESCENT, _WIDTH = 0.95, 0.24, 0.62
"""Of the font's characters, in ems."""


def glyph(character: str, rows: int = 20) -> Units:
    """The picture of a character: 1 is ink, −1 paper.

    Args:
        character: one character that the font DejaVu Sans Mono has.
        rows: height in pixels, 8 to 64.

    Returns:
        (rows, columns) of ±1; there are about half as many columns as rows.

    Raises:
        DataError: if the font has no such character.
        UsageError: for another height.
    """
    if not MIN_ROWS <= rows <= MAX_ROWS:
        raise UsageError(f"rows: {MIN_ROWS} to {MAX_ROWS} are allowed, not {rows}.")
    em = rows / (_ASCENT + _DESCENT)  # in pixels of the picture
    columns = round(_WIDTH * em)
    sheet = np.zeros((rows * _SCALE, columns * _SCALE))
    ink, top = _drawn(character, em * _SCALE)
    above = max(round(_ASCENT * em * _SCALE) - top, 0)
    left = max((sheet.shape[1] - ink.shape[1]) // 2, 0)
    place = sheet[above : above + ink.shape[0], left : left + ink.shape[1]]
    place[:] = ink[: place.shape[0], : place.shape[1]]
    shares = sheet.reshape(rows, _SCALE, columns, _SCALE).mean((1, 3))
    return np.where(shares > 0.5, 1.0, -1.0)


class DrawnCode(CharacterCode):
    """Words that are pictures of characters; behind the end of a text there is white paper.

    Args:
        texts: what is stored.
        rows: height of the pictures in pixels.

    Raises:
        DataError: if the font has no picture of a character.
    """

    def __init__(self, texts: Iterable[str], rows: int = 20) -> None:
        self._rows = rows
        super().__init__(texts)

    @override
    def _shape(self) -> tuple[int, int]:
        rows, columns = glyph(" ", self._rows).shape
        return rows, columns

    @override
    def _word(self, character: str, position: int) -> Units:
        del position
        return glyph(character, self._rows).ravel()

    @override
    def _end(self, text: str, position: int) -> Units:
        del text
        return self._word(" ", position)


def _drawn(character: str, em: float) -> tuple[NDArray[np.float64], int]:
    """The ink of a character, 0 to 1, cut to its box; and the box's top above the baseline."""
    font = _font()
    if not font.get_char_index(ord(character)):
        raise DataError(
            f"The font {FONT} has no picture of {character!r} (U+{ord(character):04X}); without "
            "--drawn any character is allowed."
        )
    font.set_size(em, 72)  # 72 dots an inch: an em of this many pixels
    font.set_text(character)
    font.draw_glyphs_to_bitmap(antialiased=True)
    image = np.asarray(font.get_image(), dtype=np.float64) / 255
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    if not len(rows):
        return np.zeros((0, 0)), 0
    ink = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return ink, round(font.load_char(ord(character)).horiBearingY / 64)


@functools.cache
def _font() -> FT2Font:
    import matplotlib as mpl
    from matplotlib.ft2font import FT2Font

    return FT2Font(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{FONT}.ttf"))
