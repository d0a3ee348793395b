import datetime as dt
import re

import numpy as np
import pytest

from checks import some
from textgen.data.corpora import card, open_pair_corpus
from textgen.data.dates import (
    DatePairs,
    DatesConfig,
    Segment,
    date_patterns,
    open_dates,
    target_pattern,
    word_links,
    write_date,
)
from textgen.data.endless import EndlessPairs, split_numbers
from textgen.data.numbers import NumberPairs, NumbersConfig, in_words, open_numbers
from textgen.errors import ConfigError, DataError, UsageError

LANGUAGES = ["en", "uk", "ru", "de", "fr", "es", "pl", "it", "pt", "tr", "ja", "zh", "ar", "hi"]
DAY = dt.date(2024, 3, 5)


def written(pattern: str, language: str, date: dt.date = DAY) -> str:
    return "".join(segment.text for segment in write_date(date, pattern, language))


def test_dates_are_written_as_babel_writes_them() -> None:
    from babel.dates import format_date

    for language in LANGUAGES:
        for pattern in some(date_patterns(language)):
            if "do" in pattern:
                continue
            expected = format_date(DAY, pattern, locale=language)
            for mark in ("\u200e", "\u200f"):
                expected = expected.replace(mark, "")
            expected = expected.replace("\u202f", " ").replace("\u00a0", " ")
            assert written(pattern, language) == expected


def test_english_ordinals() -> None:
    for day, text in [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (13, "13th")]:
        assert written("MMMM do, y", "en", DAY.replace(day=day)) == f"March {text}, 2024"
    assert written("do 'of' MMMM y", "en", DAY.replace(day=22)) == "22nd of March 2024"
    assert date_patterns("en").count("do 'of' MMMM y") == 1
    assert not any("do" in pattern for pattern in date_patterns("uk"))


def test_targets() -> None:
    assert written(target_pattern("iso"), "en") == "2024-03-05"
    assert written(target_pattern("iso"), "en", dt.date(1905, 12, 31)) == "1905-12-31"
    assert written(target_pattern("iso-words"), "en") == "2024 03 05"
    assert written(target_pattern("uk"), "uk") == "5 березня 2024 р."


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_written_date_means_one_date(language: str) -> None:
    corpus = DatePairs(DatesConfig(source=language), "train", 3000)
    meanings: dict[str, str] = {}
    for pair in some(corpus.pairs()):
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", pair.target)
        assert dt.date.fromisoformat(pair.target)
        assert meanings.setdefault(pair.source, pair.target) == pair.target
        assert pair.source == pair.source.strip() != ""


def test_links_name_the_words_of_each_field() -> None:
    source = write_date(DAY, "EEEE, MMMM d, y", "en")
    target = write_date(DAY, "d MMMM y\u202f'р'.", "uk")
    # Tuesday, March 5, 2024 | 5 березня 2024 р.
    assert word_links(source, target) == {(1, 1), (2, 0), (3, 2)}
    short = write_date(DAY, "dd.MM.y", "de")
    assert word_links(short, write_date(DAY, "yyyy MM dd", "en")) == {(0, 0), (0, 1), (0, 2)}
    assert word_links([Segment("x", None)], target) == frozenset()


def test_links_of_the_generator_are_those_of_its_pairs() -> None:
    corpus = DatePairs(DatesConfig(source="uk", target="iso-words"), "test", 300)
    pairs = list(corpus.pairs())
    for linked, pair in some(zip(corpus.linked(), pairs, strict=True)):
        assert (linked.source, linked.target) == pair
        words = linked.source.split(), linked.target.split()
        assert {target for _, target in linked.links} == {0, 1, 2}
        for source, target in some(linked.links):
            mine, other = words[0][source], words[1][target]
            if mine.strip(".,").isdigit():  # a number of its own is the same number
                assert int(mine.strip(".,")) % 100 == int(other) % 100


@pytest.mark.parametrize(
    "make",
    [lambda: open_dates(DatesConfig(size=3000)), lambda: open_numbers(NumbersConfig(size=3000))],
)
def test_parts_share_no_key_and_no_target(make) -> None:  # noqa: ANN001 - a lambda
    splits = make()
    targets = [{pair.target for epoch in (0, 1) for pair in part.pairs(epoch)} for part in splits]
    assert not targets[0] & targets[1]
    assert not (targets[0] | targets[1]) & targets[2]
    sizes = [len(list(part.pairs())) for part in splits]
    assert sizes == [3000, 500, 1000]


def test_only_the_training_part_changes_from_epoch_to_epoch() -> None:
    for part in open_numbers(NumbersConfig(size=50)):
        assert isinstance(part, EndlessPairs)
        assert list(part.pairs(1)) == list(part.pairs(1))
        assert (list(part.pairs(0)) == list(part.pairs(1))) == (not part.endless)
    first, second = (open_numbers(NumbersConfig(seed=seed, size=50)).train for seed in (0, 1))
    assert list(first.pairs()) != list(second.pairs())
    assert first.fingerprint() != second.fingerprint()


def test_parts_have_their_shares() -> None:
    parts = split_numbers(np.arange(100_000))
    shares = np.bincount(parts, minlength=3) / len(parts)
    assert np.abs(shares - [0.9, 0.05, 0.05]).max() < 0.005


def test_numbers_in_words() -> None:
    assert in_words(17, "en") == "seventeen"
    assert in_words(1105, "digits") == "1105"
    assert in_words(21, "uk") == "двадцять один"
    corpus = NumberPairs(NumbersConfig(source="digits", target="de", maximum=999), "train", 2000)
    numbers = [int(pair.source) for pair in corpus.pairs()]
    assert min(numbers) < 10
    assert 900 < max(numbers) <= 999
    assert all(pair.target == in_words(int(pair.source), "de") for pair in corpus.pairs())


def test_parallel_corpora_are_opened_by_name_and_options() -> None:
    splits = open_pair_corpus("dates:source=uk,target=en,size=7")
    assert len(list(splits.train.pairs())) == 7
    assert splits.test is not None
    assert re.search("[а-я]|[0-9]", next(splits.test.pairs()).source)
    with pytest.raises(DataError, match=r"does not know the language 'klingon'"):
        open_pair_corpus("dates:source=klingon")
    with pytest.raises(
        DataError, match=r"does not know the language 'digit'. Did you mean 'digits'"
    ):
        open_pair_corpus("numbers:target=digit")
    with pytest.raises(ConfigError, match=r"corpus dates: .*sorce.*source"):
        open_pair_corpus("dates:sorce=uk")
    with pytest.raises(ConfigError, match=r"corpus numbers.*maximum"):
        open_pair_corpus("numbers:maximum=5")
    with pytest.raises(UsageError, match="written name=value"):
        open_pair_corpus("dates:uk")
    with pytest.raises(DataError, match="running text"):
        open_pair_corpus("python-reference")
    with pytest.raises(DataError, match="has no options"):
        card("multi30k").open_pairs({"source": "de"})
