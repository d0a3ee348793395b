"""Reading and writing links, and what is said about wrong lines."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textgen.errors import DataError, UsageError
from textgen.evaluation.alignment import GoldAlignment
from textgen.evaluation.alignment_files import (
    format_naacl,
    format_pharaoh,
    parse_pharaoh,
    read_alignments,
    write_alignments,
)
from textgen.translation.links import make_links

links = st.frozensets(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8).map(make_links)
gold = st.builds(GoldAlignment, links, links)


def written(folder: Path, text: str) -> Path:
    path = folder / "links.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_pharaoh_has_sure_and_possible_links_and_empty_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "0-0 1p2 2?3\n\n10-11 1-1 1p1\r\n")
    assert read_alignments(path) == [
        GoldAlignment(make_links([(0, 0)]), make_links([(1, 2), (2, 3)])),
        GoldAlignment(),
        GoldAlignment(make_links([(10, 11), (1, 1)])),
    ]


def test_naacl_counts_from_1_and_leaves_out_null(tmp_path: Path) -> None:
    path = written(tmp_path, "0001 1 1 S\n0001 2 3 P\n0003 4 1\n0003 0 2 S\n\n0003 2 2 P 0.75\n")
    expected = [
        GoldAlignment(make_links([(0, 0)]), make_links([(1, 2)])),
        GoldAlignment(),
        GoldAlignment(make_links([(3, 0)]), make_links([(1, 1)])),
    ]
    assert read_alignments(path) == expected
    assert read_alignments(path, sentences=4) == [*expected, GoldAlignment()]


def test_a_pharaoh_file_may_count_from_1(tmp_path: Path) -> None:
    path = written(tmp_path, "1-1 2-3\n")
    assert read_alignments(path, first=1) == [GoldAlignment(make_links([(0, 0), (1, 2)]))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0-0\n1=1\n", "line 2: '1=1' is no link; expected i-j"),
        ("0-0\n0-0 -1-2\n", "line 2: '-1-2' is no link"),
        ("0-0 1-\n", "line 1: '1-' is no link"),
        ("1 1 1 S\n1 1 X\n", "line 2: '1 1 X' is no link; expected sentence"),
        ("1 1 1 S\n0 1 1\n", "line 2: there is no sentence 0"),
        ("999999999 1 1 S\n", "line 1: there is no sentence 999999999"),
        ("0-0 1-²\n", "line 1: '1-²' is no link"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_alignments(written(tmp_path, text))


def test_a_link_below_the_first_word_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2: the link 0-1 has a word number below 1"):
        read_alignments(written(tmp_path, "1-1\n0-1\n"), first=1)


def test_the_number_of_sentences_is_checked(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has 1 lines of links, but there are 2 sentence pairs"):
        read_alignments(written(tmp_path, "0-0\n"), sentences=2)
    with pytest.raises(DataError, match="there is no sentence 3; they are 1 to 2"):
        read_alignments(written(tmp_path, "3 1 1\n"), sentences=2)


def test_files_that_cannot_be_read_or_written_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.txt: cannot be read: No such file"):
        read_alignments(tmp_path / "none.txt")
    with pytest.raises(DataError, match="cannot be written"):
        write_alignments(tmp_path / "no" / "folder", [])
    odd = tmp_path / "odd"
    odd.write_bytes(b"0-0\n\xff\n")
    with pytest.raises(DataError, match=r"line 2: is not UTF-8 text \(byte 4 is 0xff\)"):
        read_alignments(odd)


def test_formats_by_name_only(tmp_path: Path) -> None:
    path = written(tmp_path, "0-0\n")
    with pytest.raises(UsageError, match="Did you mean 'pharaoh'"):
        read_alignments(path, style="pharao")
    with pytest.raises(UsageError, match="cannot be written as 'auto'"):
        write_alignments(path, [], style="auto")
    with pytest.raises(DataError, match="line 1"):
        read_alignments(path, style="naacl")


def test_lines_come_out_in_order() -> None:
    sure, possible = make_links([(10, 0), (2, 1), (2, 0)]), make_links([(2, 0), (3, 3)])
    assert format_pharaoh(sure, possible) == "2-0 2-1 3p3 10-0"
    assert format_naacl(7, sure, possible) == ["7 3 1 S", "7 3 2 S", "7 4 4 P", "7 11 1 S"]
    assert format_pharaoh(frozenset()) == ""


@given(gold)
def test_a_line_of_links_reads_back(truth: GoldAlignment) -> None:
    assert parse_pharaoh(format_pharaoh(truth.sure, truth.possible)) == truth


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(gold, max_size=4), st.sampled_from(["pharaoh", "naacl"]))
def test_a_file_of_links_reads_back(tmp_path: Path, truth: list[GoldAlignment], style: str) -> None:
    path = tmp_path / "links"
    write_alignments(path, truth, style=style)
    assert read_alignments(path, style=style, sentences=len(truth)) == truth
