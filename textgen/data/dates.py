"""The built-in parallel corpus ``dates``: as people write them → ISO, or → another language.

Names and formats are those of Unicode's CLDR data, by Babel. Because the generator puts a date
together from its fields, it knows which words of the two sides belong together.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from textgen.data.endless import TEST_SIZE, VALID_SIZE, EndlessPairs, Split
from textgen.data.parallel import Pair, PairSplits
from textgen.errors import DataError, nearest

ISO, ISO_WORDS = "iso", "iso-words"

_FIRST = dt.date(1900, 1, 1).toordinal()
_LAST = dt.date(2099, 12, 31).toordinal()
_SHORT_YEARS = range(1950, 2050)  # where two digits say which year is meant
_FIELDS = {"d": "day", "M": "month", "L": "month", "y": "year"}
_FORMATS = ("short", "medium", "long", "full")
_SKELETONS = ("yMd", "yMMMd", "yMMMMd", "yMMMEd", "yMMMMEEEEd")
_PLAIN = ("d MMMM y", "d MMM y")
_ENGLISH = ("MMMM d y", "do MMMM y", "MMMM do, y", "do 'of' MMMM y", "EEEE, do 'of' MMMM, y")
SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u200e": "", "\u200f": "", "\u061c": ""})


@dataclass(frozen=True)
class DatesConfig:
    """Which languages."""

    source: Annotated[str, "language of the dates, a CLDR code: en, uk, ru, de, fr, ..."] = "en"
    target: Annotated[str, "iso (2024-03-05), iso-words (2024 03 05), or a language"] = ISO
    size: Annotated[int, Ge(1), "pairs of an epoch"] = 20_000
    seed: Annotated[int, Ge(0), "of the random numbers"] = 0


class Segment(NamedTuple):
    """A part of a written date; ``field`` is "day", "month", "year" or None."""

    text: str
    field: str | None


class LinkedPair(NamedTuple):
    """A pair and which words of it belong together.

    Attributes:
        source: the source sentence.
        target: the target sentence.
        links: (source word, target word), words being what spaces separate, counted from 0.
    """

    source: str
    target: str
    links: frozenset[tuple[int, int]]


def open_dates(config: DatesConfig) -> PairSplits:
    """The corpus; no date of valid or test is ever trained on, in whatever form.

    Raises:
        DataError: if Babel does not know a language.
    """
    return PairSplits(
        DatePairs(config, "train", config.size),
        DatePairs(config, "valid", VALID_SIZE),
        DatePairs(config, "test", TEST_SIZE),
    )


class DatePairs(EndlessPairs):
    """Dates from 1900 to 2099 in the forms of a language, with small liberties that people take.

    Args:
        config: languages and seed.
        split: the part.
        size: pairs of an epoch.

    Raises:
        DataError: if Babel does not know a language.
    """

    def __init__(self, config: DatesConfig, split: Split, size: int) -> None:
        super().__init__("dates", split, size, config.seed)
        self.config = config
        self._patterns = date_patterns(config.source)
        self._long_years = tuple(each for each in self._patterns if not _short_year(each))
        self._target = target_pattern(config.target)

    def propose(self, random: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Random days of any part, as ordinals."""
        return random.integers(_FIRST, _LAST + 1, count)

    def write(self, key: int, random: np.random.Generator) -> Pair:
        """One of the forms of a date, and its translation."""
        source, target = self._segments(key, random)
        return Pair(_text(source), _text(target))

    def linked(self, epoch: int = 0) -> Iterator[LinkedPair]:
        """The pairs of an epoch with the links between their words."""
        random = self.generator(epoch)
        for key in self.keys(random):
            source, target = self._segments(key, random)
            yield LinkedPair(_text(source), _text(target), word_links(source, target))

    def settings(self) -> str:
        """Languages and Babel's version, which brings the names."""
        import babel

        return f"{self.config!r} {babel.__version__}"

    def _segments(
        self, key: int, random: np.random.Generator
    ) -> tuple[list[Segment], list[Segment]]:
        date = dt.date.fromordinal(key)
        patterns = self._patterns if date.year in _SHORT_YEARS else self._long_years
        pattern = patterns[int(random.integers(len(patterns)))]
        source = write_date(date, pattern, self.config.source)
        language = "en" if self.config.target in {ISO, ISO_WORDS} else self.config.target
        return _liberties(source, random), write_date(date, self._target, language)


def write_date(date: dt.date, pattern: str, language: str) -> list[Segment]:
    """A date by a CLDR pattern, in segments that know their field.

    ``do`` in a pattern is an English ordinal: 5th.
    """
    from babel.dates import DateTimeFormat, tokenize_pattern

    names = DateTimeFormat(date, find_locale(language))
    segments: list[Segment] = []
    for _, value in tokenize_pattern(pattern):
        if isinstance(value, tuple):
            letter, width = str(value[0]), int(value[1])
            text = names[letter * width]
            segments.append(Segment(str(text).translate(SPACES), _FIELDS.get(letter)))
        elif value.startswith("o") and segments and segments[-1].field == "day":
            segments[-1] = Segment(_ordinal(date.day), "day")
            segments.append(Segment(value[1:], None))
        else:
            segments.append(Segment(value.translate(SPACES), None))
    return [segment for segment in segments if segment.text]


@lru_cache(maxsize=32)
def date_patterns(language: str) -> tuple[str, ...]:
    """The forms of a full date in a language, as CLDR patterns.

    Raises:
        DataError: if Babel does not know the language.
    """
    locale = find_locale(language)
    found = [str(locale.date_formats[name]) for name in _FORMATS]
    skeletons = locale.datetime_skeletons
    found += [str(skeletons[name]) for name in _SKELETONS if name in skeletons]
    found += _PLAIN if any("MMMM" in pattern for pattern in found) else ()
    found += _ENGLISH if locale.language == "en" else ()
    return tuple(dict.fromkeys(pattern for pattern in found if _is_full(pattern)))


def target_pattern(target: str) -> str:
    """The one form in which dates are translated.

    Raises:
        DataError: if Babel does not know the language.
    """
    if target == ISO:
        return "yyyy-MM-dd"
    if target == ISO_WORDS:
        return "yyyy MM dd"
    return str(find_locale(target).date_formats["long"])


def word_links(source: Sequence[Segment], target: Sequence[Segment]) -> frozenset[tuple[int, int]]:
    """Links between the words that hold the same field."""
    theirs = _words_of_fields(target)
    return frozenset(
        (mine, other)
        for field, words in _words_of_fields(source).items()
        for mine in words
        for other in theirs.get(field, ())
    )


def _words_of_fields(segments: Sequence[Segment]) -> dict[str, set[int]]:
    """The numbers of the words, counted from 0, in which each field stands."""
    found: dict[str, set[int]] = {}
    word, inside = -1, False
    for text, field in segments:
        for character in text:
            if character.isspace():
                inside = False
                continue
            word += not inside
            inside = True
            if field is not None:
                found.setdefault(field, set()).add(word)
    return found


def _liberties(segments: list[Segment], random: np.random.Generator) -> list[Segment]:
    """What people do to dates: capitals of their own, and commas left out."""
    casing, commas = random.random(2)
    if casing < 0.15:
        segments = [Segment(text.lower(), field) for text, field in segments]
    elif casing < 0.2:
        segments = [Segment(text.upper(), field) for text, field in segments]
    if commas < 0.2:
        segments = [Segment(text.replace(",", ""), field) for text, field in segments]
    return segments


def _text(segments: Sequence[Segment]) -> str:
    return "".join(segment.text for segment in segments).strip()


def _fields(pattern: str) -> list[tuple[str, int]]:
    from babel.dates import tokenize_pattern

    values = [value for _, value in tokenize_pattern(pattern)]
    return [(str(value[0]), int(value[1])) for value in values if isinstance(value, tuple)]


def _is_full(pattern: str) -> bool:
    """Has it day, month and year once each, and no era?"""
    named = [_FIELDS.get(letter) for letter, _ in _fields(pattern) if letter not in "Ec"]
    return sorted(named, key=str) == ["day", "month", "year"]


def _short_year(pattern: str) -> bool:
    return ("y", 2) in _fields(pattern)


def _ordinal(day: int) -> str:
    ending = "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


@lru_cache(maxsize=32)
def find_locale(language: str) -> Any:
    """Babel's data of a language.

    Raises:
        DataError: if Babel does not know it; with the nearest.
    """
    import babel
    from babel.localedata import locale_identifiers

    try:
        return babel.Locale.parse(language.replace("-", "_"))
    except (babel.UnknownLocaleError, ValueError):
        plain = [each for each in locale_identifiers() if "_" not in each]
        raise DataError(
            f"Babel does not know the language {language!r}.{nearest(language, plain)}"
        ) from None
