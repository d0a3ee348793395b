"""The corpus of names and their languages, held to Babel's own tables."""

from __future__ import annotations

import unicodedata

import babel
import pytest

from checks import some
from textgen.data.corpora import open_pair_corpus
from textgen.data.languages import (
    KINDS,
    Name,
    english_name,
    item_splits,
    languages_by_names,
    own_names,
)
from textgen.data.parallel import Pair
from textgen.errors import ConfigError, DataError

EIGHT = "languages:languages=en+uk+ru+de+fr+ja+ar+hi"


def opened(spec: str) -> list[list[Pair]]:
    return [list(part.pairs()) for part in open_pair_corpus(spec) if part is not None]


def cleaned(text: str) -> str:
    """As Babel has it, without what cannot be seen."""
    kept = "".join(each for each in text if each not in "\u200e\u200f\u061c")
    return " ".join(kept.replace("\u202f", " ").replace("\u00a0", " ").split())


def names_by_babel(language: str) -> set[str]:
    locale = babel.Locale.parse(language)
    texts = [*locale.territories.values(), *locale.languages.values()]
    texts += [*locale.months["stand-alone"]["wide"].values()]
    texts += [*locale.days["stand-alone"]["wide"].values()]
    return {cleaned(str(text)) for text in texts}


def test_a_name_is_one_of_its_language_and_of_no_other() -> None:
    pairs = [pair for part in opened(EIGHT) for pair in part]
    languages = {pair.target for pair in pairs}
    assert languages == {"en", "uk", "ru", "de", "fr", "ja", "ar", "hi"}
    tables = {language: names_by_babel(language) for language in languages}
    folded = {
        language: {unicodedata.normalize("NFC", text).casefold() for text in table}
        for language, table in tables.items()
    }
    for text, language in some(pairs):
        assert text in tables[language]
        key = unicodedata.normalize("NFC", text).casefold()
        assert [each for each in languages if key in folded[each]] == [language]
    sources = [pair.source.casefold() for pair in pairs]
    assert len(set(sources)) == len(sources)


def test_an_item_is_in_one_part_in_all_languages() -> None:
    parts = opened(EIGHT)
    territories = item_splits("territories")
    assert {split: list(territories.values()).count(split) for split in ("test", "valid")} == {
        "test": len(territories) // 10,
        "valid": len(territories) // 10,
    }
    for number, split in enumerate(("train", "valid", "test")):
        sources = {pair.source for pair in parts[number]}
        codes = [code for (_, code), own in territories.items() if own == split]
        own = {cleaned(babel.Locale.parse("uk").territories.get(code, "")) for code in codes}
        others = {pair.source for part in parts if part is not parts[number] for pair in part}
        assert len(own & sources) > 15
        assert not own & others
    assert all(set(item_splits(kind).values()) == {"train", "valid", "test"} for kind in KINDS)


def test_names_that_languages_share_are_left_out() -> None:
    month, land = ("months", "4"), ("territories", "US")
    names = [
        Name(month, "de", "April"),
        Name(month, "en", "april"),
        Name(land, "de", "Staaten"),
        Name(month, "de", "STAATEN"),
        Name(land, "en", "States"),
    ]
    assert own_names(names) == [names[2], names[4]]


def test_the_default_has_a_hundred_languages() -> None:
    codes = languages_by_names()[:100]
    assert len(codes) == 100
    assert {"en", "es", "da", "uk", "nb"} <= set(codes)
    assert not {"no", "nn"} & set(codes)
    few = opened("languages:languages=3,labels=name")
    assert {pair.target for pair in few[0]} == {english_name(code) for code in codes[:3]}


def test_the_seed_changes_the_order_only() -> None:
    first, again = opened(EIGHT), opened(EIGHT)
    other = opened(f"{EIGHT},seed=1")
    assert first == again
    for mine, their in zip(first, other, strict=True):
        assert mine != their
        assert sorted(mine) == sorted(their)


def test_kinds_and_labels() -> None:
    (train, valid, test) = opened("languages:languages=en+uk,kinds=months+weekdays,labels=name")
    assert [len(train), len(valid), len(test)] == [30, 4, 4]
    assert Pair("Saturday", "English") in train + valid + test
    assert Pair("субота", "Ukrainian") in train + valid + test


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ("language=3", ConfigError, "Did you mean 'languages'"),
        ("languages=1", ConfigError, "1 is out of range: from 2 to"),
        ("languages=5000", ConfigError, "5000 is out of range"),
        ("languages=-3", ConfigError, "-3 is out of range"),
        ("languages=uk", ConfigError, r"at least two are needed, such as en\+uk, got 'uk'"),
        ("languages=en+klingon", DataError, "does not know the language 'klingon'"),
        ("languages=nb+no", DataError, "nb, no: no name"),
        ("kinds=month", ConfigError, "there is no kind 'month'. Did you mean 'months'"),
        ("labels=english", ConfigError, "corpus languages: labels"),
    ],
)
def test_wrong_options_are_answered(options: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        open_pair_corpus(f"languages:{options}")
