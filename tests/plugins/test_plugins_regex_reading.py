"""How regular expressions are read: what is refused, characters, and their bytes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import some
from textgen.data.tokenizers.characters import CharacterTokenizer
from textgen.errors import UsageError
from textgen_decoders.code_points import END, Spellings, members
from textgen_decoders.regex import Regex


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("a(?=b)", "lookaround"), ("a(?!b)", "lookaround"), ("(?<=a)b", "lookaround"),
        ("(?<!a)b", "lookaround"), (r"(a)\1", "backreference"), ("(?P<x>a)(?P=x)", "backreference"),
        (r"\bab", "word boundary"), (r"a\B", "word boundary"), ("(a)?(?(1)b|c)", "conditional"),
        ("(?>a)b", "atomic"), ("a++", "possessive"), ("(?i:a)", "flag inside"),
        ("(?m)^a", "flag m"), ("(?x) a", "flag x"), ("a(?#b)", "comment"),
    ],
)  # fmt: skip
def test_what_no_automaton_can_follow_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(UsageError, match=f"has .*{words}.* at position"):
        Regex(pattern).setup_tokenizer(CharacterTokenizer("ab"))


@pytest.mark.parametrize("pattern", ["(", "a)", "*a", "[b-a]", "a{3,2}", "\\", "a**", r"\p{L}"])
def test_what_is_no_expression_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match="no regular expression"):
        Regex(pattern).setup_tokenizer(CharacterTokenizer("ab"))


def test_what_is_too_large_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="too large"):
        Regex("((a{1,1000}){1000}){1000}").setup_tokenizer(CharacterTokenizer("ab"))


@pytest.mark.parametrize("atom", [r"\w", r"\d", r"\s", r"\W", ".", "[^a-z]", "[ß-ÿ]", "é", r"\x41"])
@pytest.mark.parametrize("flags", [0, re.IGNORECASE, re.ASCII])
def test_characters_are_those_of_python(atom: str, flags: int) -> None:
    compiled = re.compile(atom, flags)
    inside = {code for low, high in members(atom, flags) for code in range(low, high + 1)}
    codes = [*range(0x600), *range(0x2000, 0x2100), 0xD7FF, 0xE000, 0x1F600, 0x10FFFF]
    assert all((code in inside) == bool(compiled.fullmatch(chr(code))) for code in codes)


@given(st.lists(st.tuples(st.integers(0, 0x10FFFF), st.integers(0, 3000)), max_size=4))
def test_spellings_are_utf8(parts: list[tuple[int, int]]) -> None:
    ranges, end = [], -1
    for low, count in sorted(parts):
        first, last = max(low, end + 1), min(low + count, 0x10FFFF)
        if first <= last:
            ranges.append((first, last))
            end = last
    tries = Spellings()
    root = tries.root(tuple(ranges))

    def spells(data: bytes) -> bool:
        node = root
        for byte in data:
            node = tries.nodes[node].get(byte, -2)
            if node < 0:
                break
        return node == END

    inside = {code for low, high in ranges for code in range(low, high + 1)}
    near = {edge + by for pair in ranges for edge in pair for by in (-1, 0, 1)}
    near |= {0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000}
    scalars = [code for code in near if 0 <= code < 0xD800 or 0xE000 <= code <= 0x10FFFF]
    for code in some(scalars):
        assert spells(chr(code).encode()) == (code in inside)
