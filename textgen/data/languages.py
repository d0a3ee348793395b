"""The built-in corpus ``languages``: names of territories, languages, months, weekdays → language.

The names are those of Unicode's CLDR data, by Babel. A name that several of the chosen languages
share has no one right label and is left out. An item (a territory, a month, ...) with its names in
all languages is in one part, so that no name of a test's item is trained on.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from annotated_types import Ge

from textgen.data.dates import SPACES, find_locale
from textgen.data.endless import SPLITS, Split
from textgen.data.parallel import Pair, PairSplits, PairTexts
from textgen.errors import ConfigError, DataError, nearest

KINDS = ("territories", "languages", "months", "weekdays")
_WHERE = "corpus languages"
_SHARED = 0.75
"""Share of a language's names that a chosen language may have, too, before it is passed over."""


@dataclass(frozen=True)
class LanguagesConfig:
    """Which languages, and which of their names."""

    languages: Annotated[
        str, "how many (those with the most names), or their CLDR codes: en+uk+de"
    ] = "100"
    kinds: Annotated[str, f"names of what: any of {'+'.join(KINDS)}"] = "+".join(KINDS)
    labels: Annotated[Literal["code", "name"], "a language's code, or its English name"] = "code"
    seed: Annotated[int, Ge(0), "of the order of the texts"] = 0


class Name(NamedTuple):
    """A name of an item in a language; ``item`` is kind and CLDR code."""

    item: tuple[str, str]
    language: str
    text: str

    @property
    def key(self) -> str:
        """By which names are compared: capitals do not count."""
        return unicodedata.normalize("NFC", self.text).casefold()


def open_languages(config: LanguagesConfig) -> PairSplits:
    """The corpus.

    Raises:
        ConfigError: if the number of languages or a kind is wrong.
        DataError: if Babel does not know a language, or it has no name that is its own.
    """
    kinds = _kinds(config.kinds)
    languages = _languages(config.languages)
    label = {each: english_name(each) if config.labels == "name" else each for each in languages}
    names = own_names([name for each in languages for name in names_of(each, kinds)])
    lacking = sorted(set(languages) - {name.language for name in names})
    if lacking:
        raise DataError(
            f"{_WHERE}: {', '.join(lacking)}: no name of the kinds {'+'.join(kinds)} is known that "
            "no other chosen language has: leave the language out, or add kinds."
        )
    parts: dict[Split, list[Pair]] = {split: [] for split in SPLITS}
    split_of = {item: split for kind in kinds for item, split in item_splits(kind).items()}
    for name in names:
        if name.item in split_of:
            parts[split_of[name.item]].append(Pair(name.text, label[name.language]))
    train, valid, test = (
        _shuffled(parts[split], config.seed, f"languages ({split})") for split in SPLITS
    )
    return PairSplits(train, valid, test)


def own_names(names: list[Name]) -> list[Name]:
    """The names that one language alone has, each once: that of its first item."""
    owners: dict[str, set[str]] = {}
    for name in names:
        owners.setdefault(name.key, set()).add(name.language)
    first: dict[str, Name] = {}
    for name in names:
        if len(owners[name.key]) == 1:
            first.setdefault(name.key, name)
    return list(first.values())


@cache
def item_splits(kind: str) -> Mapping[tuple[str, str], Split]:
    """The part of each item of a kind: a tenth test, a tenth valid, at least one item each.

    A hash of the item gives the order, whatever languages and seed; the items are those of English.
    """
    items = [(kind, code) for code in _entries("en", kind)]
    items.sort(key=lambda item: blake2b(" ".join(item).encode()).digest())
    tenth = max(1, len(items) // 10)
    return {
        item: "test" if rank < tenth else "valid" if rank < 2 * tenth else "train"
        for rank, item in enumerate(items)
    }


def names_of(language: str, kinds: tuple[str, ...] = KINDS) -> Iterator[Name]:
    """The names that a language has; spaces are plain ones, and marks of direction are left out.

    Raises:
        DataError: if Babel does not know the language.
    """
    for kind in kinds:
        for code, text in _entries(language, kind).items():
            plain = " ".join(str(text).translate(SPACES).split())
            if any(character.isalpha() for character in plain):
                yield Name((kind, code), language, plain)


def english_name(language: str) -> str:
    """The English name of a language; its code where CLDR has none."""
    return str(find_locale(language).get_display_name("en") or language)


@cache
def languages_by_names() -> tuple[str, ...]:
    """All languages of CLDR, those with the most names of territories and languages first.

    A language is passed over if more than three quarters of its names are also those of one
    before it: Norwegian (no) after Norwegian Bokmål (nb).
    """
    from babel.localedata import locale_identifiers

    codes = [code for code in locale_identifiers() if "_" not in code]
    kinds = ("territories", "languages")
    names = {code: {name.key for name in names_of(code, kinds)} for code in codes}
    chosen: list[str] = []
    for code in sorted(codes, key=lambda code: (-len(names[code]), code)):
        most = _SHARED * len(names[code])
        if names[code] and all(len(names[code] & names[other]) <= most for other in chosen):
            chosen.append(code)
    return tuple(chosen)


def _entries(language: str, kind: str) -> dict[str, Any]:
    """Names by CLDR code."""
    locale = find_locale(language)
    if kind == "territories":
        return dict(locale.territories)
    if kind == "languages":
        return dict(locale.languages)
    names = locale.months if kind == "months" else locale.days
    return {str(number): text for number, text in names["stand-alone"]["wide"].items()}


def _kinds(text: str) -> tuple[str, ...]:
    asked = [part.strip() for part in text.split("+")]
    for kind in asked:
        if kind not in KINDS:
            raise ConfigError(
                [f"{_WHERE}: kinds: there is no kind {kind!r}.{nearest(kind, KINDS)}"]
            )
    return tuple(kind for kind in KINDS if kind in asked)


def _languages(text: str) -> list[str]:
    """The codes that an option names: so many, or those joined by plus signs."""
    if text.strip().lstrip("+-").isdigit():
        available = languages_by_names()
        count = int(text)
        if not 2 <= count <= len(available):
            raise ConfigError(
                [f"{_WHERE}: languages: {count} is out of range: from 2 to {len(available)}."]
            )
        return list(available[:count])
    codes = list(dict.fromkeys(part.strip() for part in text.split("+")))
    for code in codes:
        find_locale(code)
    if len(codes) < 2:
        raise ConfigError(
            [f"{_WHERE}: languages: at least two are needed, such as en+uk, got {text!r}."]
        )
    return codes


def _shuffled(pairs: list[Pair], seed: int, name: str) -> PairTexts:
    order = np.random.default_rng([seed, len(pairs)]).permutation(len(pairs))
    return PairTexts([pairs[int(place)] for place in order], name)
