"""Corpora of sequence tasks: each target is computed from its source by another way."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from checks import some
from textgen.data.corpora import open_pair_corpus
from textgen.data.parallel import Pair, ParallelSource
from textgen.data.ranges import Range, parse_range
from textgen.data.temporal_order import relevant_places
from textgen.errors import ConfigError, DataError

SMALL = "size=400"
SPECS = ["copy", "repeat-copy", "associative-recall", "temporal-order:length=20-30"]


def opened(spec: str) -> list[list[Pair]]:
    """The pairs of all three parts."""
    splits = open_pair_corpus(f"{spec}{',' if ':' in spec else ':'}{SMALL}")
    return [list(part.pairs()) for part in splits if part is not None]


def test_copy() -> None:
    parts = opened("copy:length=2-9,symbols=3,test_length=10-12")
    assert [len(part) for part in parts] == [400, 500, 1000]
    for part, lengths in zip(parts, (range(2, 10), range(2, 10), range(10, 13)), strict=True):
        found = {len(pair.source) for pair in part}
        assert found <= set(lengths)
        assert max(found) == lengths[-1]
        assert all(pair.target == pair.source for pair in part)
        assert set("".join(pair.source for pair in part)) == set("abc")


def test_repeat_copy() -> None:
    parts = opened("repeat-copy:length=1-4,repeats=2-5,test_repeats=11,test_length=6")
    for source, target in (pair for part in parts for pair in part):
        text, count = source.split(" ")
        assert re.fullmatch(f"({text}){{{int(count)}}}", target)
    assert {pair.source.split(" ")[1] for pair in parts[0]} == set("2345")
    assert {(len(pair.source), len(pair.target)) for pair in parts[2]} == {(9, 66)}


def test_associative_recall() -> None:
    parts = opened("associative-recall:items=2-5,item_length=2,symbols=4,test_items=6-9")
    for source, target in (pair for part in parts for pair in part):
        listed, query = source.split(" ? ")
        items = listed.split(" ")
        assert len(set(items)) == len(items)
        assert all(re.fullmatch("[a-d]{2}", item) for item in items)
        assert f" {listed} ".split(f" {query} ")[1].split(" ")[0] == target
    assert {pair.source.count(" ") - 1 for pair in parts[1]} == {2, 3, 4, 5}
    assert {pair.source.count(" ") - 1 for pair in parts[2]} == {6, 7, 8, 9}


@pytest.mark.parametrize(("relevant", "names"), [(2, "QRSU"), (3, "QRSUVABC")])
def test_temporal_order(relevant: int, names: str) -> None:
    parts = opened(f"temporal-order:relevant={relevant},length=50-60,distractors=5")
    for source, target in (pair for part in parts for pair in part):
        symbols = source.split(" ")
        assert 50 <= len(symbols) <= 60
        assert re.fullmatch("E[a-eXY]+B", "".join(symbols))
        bits = "".join(str("XY".index(each)) for each in symbols if each in "XY")
        assert len(bits) == relevant
        assert names[int(bits, 2)] == target  # the paper counts up from X…X, X as 0
    assert {pair.target for pair in parts[0]} == set(names)


def test_relevant_symbols_stand_where_the_paper_has_them() -> None:
    assert relevant_places(100, 2) == [Range(10, 20), Range(50, 60)]
    assert relevant_places(100, 3) == [Range(10, 20), Range(33, 43), Range(66, 76)]
    splits = open_pair_corpus(f"temporal-order:{SMALL}")
    for pair in some(splits.train.pairs()):
        symbols = pair.source.split(" ")
        places = [place for place, symbol in enumerate(symbols) if symbol in "XY"]
        assert 10 <= places[0] <= 20
        assert 50 <= places[1] <= 60
    for shortest in range(10, 200):
        for relevant in (2, 3):
            places = relevant_places(shortest, relevant)
            borders = [0, *(border for place in places for border in place), shortest - 1]
            assert borders == sorted(borders)
            assert all(low.highest < high.lowest for low, high in pairwise(places))
            assert places[0].lowest > 0
            assert places[-1].highest < shortest - 1


@pytest.mark.parametrize("spec", SPECS)
def test_parts_share_no_source_and_depend_on_the_seed_alone(spec: str) -> None:
    parts = opened(spec)
    sources = [{pair.source for pair in part} for part in parts]
    assert not sources[0] & sources[1]
    assert not (sources[0] | sources[1]) & sources[2]
    assert opened(spec) == parts
    again = open_pair_corpus(f"{spec}{',' if ':' in spec else ':'}{SMALL},seed=1")
    assert list(again.train.pairs()) != parts[0]
    other = {pair.source for pair in again.train.pairs()}
    assert not other & (sources[1] | sources[2])  # whatever the seed


@pytest.mark.parametrize("spec", SPECS)
def test_only_the_training_part_changes_from_epoch_to_epoch(spec: str) -> None:
    for part in some(open_pair_corpus(f"{spec}{',' if ':' in spec else ':'}{SMALL}")):
        assert part is not None
        assert (list(part.pairs(0)) == list(part.pairs(1))) == (not part.endless)


def test_options_change_the_fingerprint() -> None:
    def fingerprint(spec: str) -> str:
        part: ParallelSource | None = open_pair_corpus(spec).test
        assert part is not None
        return part.fingerprint()

    assert fingerprint("copy") == fingerprint("copy:seed=0")
    assert len({fingerprint(f"copy{end}") for end in ("", ":symbols=3", ":test_length=3")}) == 3


def test_ranges() -> None:
    assert parse_range("5") == Range(5, 5)
    assert parse_range(" 1 - 20 ") == Range(1, 20)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("copy:lenght=3", "corpus copy: lenght: .* Did you mean 'length'"),
        ("copy:length=20-10", "corpus copy: length: .*larger than the maximum; write 10-20"),
        ("copy:length=0-5", "length: 0-5 is out of range: from 1 to 10,000"),
        ("copy:test_length=99999", "test_length: 99999 is out of range"),
        ("copy:length=short", "expected a whole number or a range, such as 5 or 1-20, got 'short'"),
        ("copy:length=-3", "expected a whole number or a range"),
        ("copy:symbols=27", "corpus copy: symbols: .*26"),
        ("repeat-copy:length=b,repeats=3-2", "length: expected(.|\n)*repeats: 3-2"),
        ("associative-recall:items=1-3", "items: 1-3 is out of range: from 2"),
        ("associative-recall:items=5,symbols=2,item_length=2", "5 different items .* give 4"),
        ("temporal-order:length=9", "length: 9 is out of range: from 10"),
        ("temporal-order:relevant=4", "corpus temporal-order: relevant"),
    ],
)
def test_wrong_options_are_answered(spec: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_pair_corpus(spec)


def test_too_few_different_sources_end_in_an_error() -> None:
    parts = open_pair_corpus("copy:symbols=2,length=1")
    with pytest.raises(DataError, match=r"copy \(.*too few different ones"):
        [list(part.pairs()) for part in parts if part is not None]
