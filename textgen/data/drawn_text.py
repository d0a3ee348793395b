"""The built-in corpus ``drawn-text``: pictures of lines, column by column, and what stands in them.

Words of CLDR's names and numbers are drawn with fonts that matplotlib brings along, in several
sizes, slants and weights, with noise. Reading them is captioning at its smallest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray
from typing_extensions import override

from textgen.data.endless import (
    TEST_SIZE,
    VALID_SIZE,
    GeneratedPairs,
    Split,
    split_of_text,
)
from textgen.data.languages import names_of
from textgen.data.parallel import Pair, PairSplits
from textgen.data.ranges import Range, parse_ranges
from textgen.data.vectors import vectors_from_text, vectors_to_text
from textgen.errors import ConfigError, nearest

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

SCRIPTS = {"latin": "en", "cyrillic": "uk", "greek": "el"}
"""A language for the words of each script."""
FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSerif-Italic"),
    *("DejaVuSansMono", "DejaVuSerif-Bold", "STIXGeneral", "STIXGeneralItalic"),
)
_MOST_LETTERS = 12
_NUMBERS = 0.2
"""Share of lines that are a number."""


@dataclass(frozen=True)
class DrawnTextConfig:
    """What is drawn, and how."""

    scripts: Annotated[str, "latin, cyrillic, greek, joined by +"] = "latin+cyrillic+greek"
    words: Annotated[str, "words of a line, a number or a range"] = "1-2"
    height: Annotated[int, Ge(12), Le(64), "of the picture, pixels"] = 20
    columns: Annotated[int, Ge(1), Le(8), "columns of pixels in a vector"] = 4
    noise: Annotated[float, Ge(0), Le(1), "standard deviation of each pixel's noise"] = 0.1
    size: Annotated[int, Ge(1), "lines of an epoch"] = 10_000
    seed: Annotated[int, Ge(0), "of the random numbers"] = 0


def open_drawn_text(config: DrawnTextConfig) -> PairSplits:
    """The corpus; no line of valid or test is ever trained on, in whatever font.

    Raises:
        ConfigError: if a script is not known, or a range is wrong.
    """
    scripts = config.scripts.split("+")
    for script in scripts:
        if script not in SCRIPTS:
            hint = nearest(script, list(SCRIPTS))
            problem = f"corpus drawn-text: there is no script {script!r}.{hint}"
            raise ConfigError([problem])
    words = parse_ranges(config, "corpus drawn-text", {"words": 1})["words"]
    train, valid, test = (
        DrawnText(config, words, split, size)
        for split, size in (("train", config.size), ("valid", VALID_SIZE), ("test", TEST_SIZE))
    )
    return PairSplits(train, valid, test)


class DrawnText(GeneratedPairs):
    """Pictures of lines as vectors, each with its text."""

    def __init__(self, config: DrawnTextConfig, words: Range, split: Any, size: int) -> None:
        own: Split = split
        super().__init__("drawn-text", own, size, config.seed)
        self.config, self.words = config, words

    @override
    def settings(self) -> str:
        return repr((self.config, self.words))

    @override
    def pairs(self, epoch: int = 0) -> Any:
        random = self.generator(epoch)
        left = self.size
        while left:
            line = self._line(random)
            if split_of_text(line) != self.split:
                continue
            left -= 1
            picture = draw_line(line, random, self.config.height, self.config.noise)
            yield Pair(vectors_to_text(to_columns(picture, self.config.columns)), line)

    def _line(self, random: np.random.Generator) -> str:
        if random.random() < _NUMBERS:
            return str(int(10 ** random.uniform(1, 7)))
        scripts = self.config.scripts.split("+")
        words = words_of(SCRIPTS[scripts[random.integers(len(scripts))]])
        count = self.words.draw(random)
        return " ".join(words[random.integers(len(words))] for _ in range(count))


@cache
def words_of(language: str) -> tuple[str, ...]:
    """The words of a language's names in CLDR, letters alone, in the order of the alphabet."""
    found = {
        word
        for name in names_of(language)
        for word in name.text.split()
        if word.isalpha() and 1 < len(word) <= _MOST_LETTERS
    }
    return tuple(sorted(found))


def draw_line(
    text: str, random: np.random.Generator, height: int = 20, noise: float = 0.1
) -> NDArray[np.float32]:
    """A line of text as a picture (height, W): 0 is white and 1 black, before the noise.

    Args:
        text: one line.
        random: chooses font, size, place, slant and noise.
        height: pixels.
        noise: standard deviation of a normal number that is added to each pixel.
    """
    from PIL import Image, ImageDraw

    size = int(random.integers(round(0.6 * height), round(0.8 * height) + 1))
    font = _font(FONTS[random.integers(len(FONTS))], size)
    width = size * len(text) + height  # room enough for the widest letters
    image = Image.new("L", (width, height))
    ascent, descent = font.getmetrics()
    room = max(height - ascent - descent, 0)
    top = int(random.integers(0, room + 1)) - max(ascent + descent - height, 0) // 2
    ImageDraw.Draw(image).text((height // 2, top), text, fill=255, font=font)
    slant = float(random.uniform(-0.15, 0.25))
    shear = (1, slant, -slant * height / 2, 0, 1, 0)
    image = image.transform(image.size, Image.Transform.AFFINE, shear, Image.Resampling.BILINEAR)
    pixels = np.asarray(image, dtype=np.float32) / 255
    inked = np.flatnonzero(pixels.max(0) > 0.1)
    if len(inked):
        pixels = pixels[:, max(inked[0] - 2, 0) : inked[-1] + 3]
    normal = random.standard_normal(pixels.shape, dtype=np.float32)
    noisy: NDArray[np.float32] = pixels + np.float32(noise) * normal
    return noisy


def to_columns(picture: NDArray[np.float32], columns: int) -> NDArray[np.float32]:
    """A picture (height, W) as vectors (S, columns · height), the last one filled with white."""
    missing = -picture.shape[1] % columns
    whole = np.pad(picture, ((0, 0), (0, missing)))
    vectors: NDArray[np.float32] = whole.T.reshape(-1, columns * picture.shape[0])
    return vectors


def to_picture(source: str, height: int) -> NDArray[np.float32]:
    """The picture (height, W) of a source that this corpus made."""
    vectors = vectors_from_text(source)
    picture: NDArray[np.float32] = vectors.reshape(-1, height).T
    return picture


@cache
def _font(name: str, size: int) -> FreeTypeFont:
    import matplotlib as mpl
    from PIL import ImageFont

    path = Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
    return ImageFont.truetype(str(path), size)
