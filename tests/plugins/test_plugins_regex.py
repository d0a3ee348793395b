"""The expression filter against ``re.fullmatch``: everything that small vocabularies can say."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import make_beam, random_model
from textgen.data.tokenizers import TokenizerConfig, train_tokenizer
from textgen.data.tokenizers.base import TextTokenizer
from textgen.data.tokenizers.characters import CharacterTokenizer
from textgen.data.tokenizers.raw_bytes import ByteTokenizer
from textgen.data.tokenizers.words import WordTokenizer
from textgen.decoding import decode, make_session
from textgen.decoding.chain import default_registries, describe, resolve
from textgen.errors import UsageError
from textgen.protocols import Batch, SpecialTokens, Tokenizer
from textgen_decoders.beam import BeamSearch
from textgen_decoders.regex import Regex, RegexTokens
from textgen_decoders.sample import Sample

DEAD = float("-inf")


class Pieces:
    """A tokenizer of given pieces that can decode and no more; marks are 0 to 2."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = ("", "", "", *pieces)
        self.size, self.special = len(self.pieces), SpecialTokens(0, 1, 2, None)

    def encode(self, text: str) -> list[int]:
        raise NotImplementedError(text)

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(self.pieces[token] for token in tokens)

    def piece(self, token: int) -> str:
        return self.pieces[token]


def allowed(one: RegexTokens, size: int, outputs: Sequence[tuple[int, ...]]) -> list[set[int]]:
    """What may come after outputs of one length."""
    if not outputs:
        return []
    result = one(torch.zeros(1, len(outputs), size), make_beam([outputs]))
    assert ((result == 0) | (result == DEAD)).all()
    return [set((row > DEAD).nonzero().flatten().tolist()) for row in result[0]]


def everything(one: RegexTokens, size: int, eos: int, length: int) -> Iterator[tuple[int, ...]]:
    """The outputs of up to so many tokens that the filter lets end."""
    running: list[tuple[int, ...]] = [()]
    for _ in range(length + 1):
        following = []
        for output, possible in zip(running, allowed(one, size, running), strict=True):
            if eos in possible:
                yield output
            following += [(*output, token) for token in sorted(possible - {eos})]
        running = following
        if not running:
            return


def wanted(
    pattern: str, tokenizer: Tokenizer, tokens: Iterable[int], length: int
) -> list[tuple[int, ...]]:
    """The outputs of up to so many tokens whose text matches."""
    tokens = list(tokens)
    return [
        output
        for count in range(length + 1)
        for output in itertools.product(tokens, repeat=count)
        if re.fullmatch(pattern, tokenizer.decode(output))
    ]


def check(pattern: str, tokenizer: Tokenizer, length: int) -> None:
    """The filter lets end what matches, and lets nothing begin that could not match."""
    one = Regex(pattern).setup_tokenizer(tokenizer)
    eos = tokenizer.special.eos
    words = set(range(tokenizer.size)) - {tokenizer.special.pad, tokenizer.special.bos, eos}
    matching = wanted(pattern, tokenizer, words, length)
    assert list(everything(one, tokenizer.size, eos, length)) == matching
    beginnings = {output[:end] for output in matching for end in range(len(output) + 1)}
    for count in range(length - 1):
        outputs = [output for output in beginnings if len(output) == count]
        for output, possible in zip(outputs, allowed(one, tokenizer.size, outputs), strict=True):
            sure = {token for token in words if (*output, token) in beginnings}
            assert sure <= possible
            for token in possible - sure - {eos}:  # its matches are longer: find one
                assert ends_somewhere(one, tokenizer.size, eos, (*output, token))


def ends_somewhere(one: RegexTokens, size: int, eos: int, output: tuple[int, ...]) -> bool:
    running = [output]
    for _ in range(12):
        possible = allowed(one, size, running)
        if any(eos in each for each in possible):
            return True
        running = [
            (*each, token)
            for each, tokens in zip(running, possible, strict=True)
            for token in tokens
        ][:200]
    return False


PATTERNS = [
    "", "a", "ab|ba", "a*", "(a|b)*abb", "a{2,3}b?", "a{2,}", "(?:ab){,2}", "[ab]c", "[^a]*",
    r"\w+", "(a+)+b", "(a|aa)*b", "a+?b", "x|ab", "((a|b)(c|))*", ".", "(?s).", r"\s?a",
    r"\w+( \w+)*", "^a$", r"\Aab\Z", "a^b|c", "a$b|c", "(?i)A[B-C]", r"\x61|\142", "(?P<one>a)(b)",
    "a{0}b", "{a|a", "()", "(a?)*", "[]a]b", "[^]a]b", r"[\]a]", r"a\nb?", "(^a|b)*c", "(a$|b)*",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_characters(pattern: str) -> None:
    check(pattern, CharacterTokenizer("ab{\n" if "{a" in pattern else "abc \n"), 4)


@pytest.mark.parametrize("pattern", ["a*", "(a|b)*abb", "a{2,3}b?", "[^a]*", "(ab)*a|b", "a+ ?b+"])
def test_pieces_that_overlap(pattern: str) -> None:
    check(pattern, Pieces("a", "b", "ab", "ba", "aab", " ", " b"), 4)


@pytest.mark.parametrize(
    "pattern",
    [
        r"yes|no", r"yes no", r"(yes|no)( (yes|no))*", r"yes\nno", r"(yes\n)*no", r"\w+", r".*\n",
        r"\w+ \S+\.", r"[^\n]{6}", r"(?s).{2,6}", "<unk> yes", "y.*",
    ],
)  # fmt: skip
def test_words_and_their_spaces(pattern: str) -> None:
    check(pattern, WordTokenizer(["yes", "no", "maybe."]), 4)


TEXT = "hug huge hugs pug pugs a puge; жук жуки\n"


@pytest.fixture(scope="module", params=["bpe", "unigram"])
def subwords(request: pytest.FixtureRequest) -> TextTokenizer:
    config = TokenizerConfig(kind=request.param, size=300)
    return train_tokenizer(config, [TEXT * 20])


@pytest.mark.parametrize(
    "pattern",
    [
        "hugs?",
        "(hu|p)ug",
        "hug pug",
        " hug",
        "жуки?",
        "[ж-и]{1,2}",
        "a?(é|ж)",
        "hug\n|pug\t",
        "▁|a",
    ],
)
def test_subwords_in_every_spelling(pattern: str, subwords: TextTokenizer) -> None:
    """Every row of tokens that spells a match, bytes included, and nothing else."""
    one = Regex(pattern).setup_tokenizer(subwords)
    eos = subwords.special.eos
    found = set(everything(one, subwords.size, eos, 8))
    texts = {subwords.decode(output) for output in found}
    assert texts
    assert all(re.fullmatch(pattern, text) for text in texts)
    alphabet = "hugspé\n\t ▁aжукий"
    for count in range(4):
        for letters in itertools.product(alphabet, repeat=count):
            text = "".join(letters)
            if len(text.encode()) <= 8 and re.fullmatch(pattern, text):
                assert spellings(text, subwords) <= found
    for text in texts:
        assert {each for each in found if subwords.decode(each) == text} == spellings(
            text, subwords
        )


def spellings(text: str, tokenizer: TextTokenizer) -> set[tuple[int, ...]]:
    """All rows of up to 8 tokens whose bytes are a text."""
    tokens = range(4, tokenizer.size)
    rows: list[tuple[tuple[int, ...], bytes]] = [((), text.encode())]
    found = set()
    while rows:
        row, rest = rows.pop()
        if not rest and len(row) <= 8:
            found.add(row)
        for token in tokens if rest else ():
            surface = tokenizer.surface(token, 4)
            if rest.startswith(surface):
                rows.append(((*row, token), rest[len(surface) :]))
    return found


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("é|ж?a", ["é", "жa", "a"]),
        ("[б-г]{2}", [a + b for a in "бвг" for b in "бвг"]),
        ("(😀|中)b?", ["😀", "中", "😀b", "中b"]),
        ("[\x7e-\x81]", ["\x7e", "\x7f", "\x80", "\x81"]),
        ("[\u07fe-\u0801]", ["\u07fe", "\u07ff", "\u0800", "\u0801"]),
        ("[\ud7fe-\ue001]", ["\ud7fe", "\ud7ff", "\ue000", "\ue001"]),
        ("[\ufffe-\U00010001]", ["\ufffe", "\uffff", "\U00010000", "\U00010001"]),
        ("[\U0010fffe-\U0010ffff]", ["\U0010fffe", "\U0010ffff"]),
    ],
)
def test_bytes_may_end_within_a_character(pattern: str, texts: list[str]) -> None:
    tokenizer = ByteTokenizer()
    one = Regex(pattern).setup_tokenizer(tokenizer)
    found = list(everything(one, tokenizer.size, tokenizer.special.eos, 8))
    assert sorted(found) == sorted(tuple(tokenizer.encode(text)) for text in texts)


def test_foreign_models_that_drop_the_first_space() -> None:
    class Prefixed(Pieces):
        def surface(self, token: int, previous: int | None) -> bytes:
            piece = self.pieces[token]
            return (piece.removeprefix(" ") if previous is None else piece).encode()

        def decode(self, tokens: Sequence[int]) -> str:
            return super().decode(tokens).removeprefix(" ")

    tokenizer = Prefixed("a", " a", " ", " b")
    for pattern in ("a( b)*", " a", "(a| )*", "b?"):
        check(pattern, tokenizer, 4)


def expressions() -> st.SearchStrategy[str]:
    """Random expressions over a and b."""
    atoms = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "", "^", "$", r"\w", r"\n"])

    def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        signs = st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{,2}", "{1,}", "*?", "??"])
        return st.one_of(
            st.tuples(inner, inner).map("".join),
            st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
            st.tuples(inner, signs).map(lambda pair: f"({pair[0]}){pair[1]}"),
        )

    return st.recursive(atoms, grown, max_leaves=7)


@given(expressions())
@settings(max_examples=100)
def test_random_expressions(pattern: str) -> None:
    tokenizer = CharacterTokenizer("ab")
    accepted = wanted(pattern, tokenizer, [3, 4, 5], 5)  # an unknown token is a character too
    try:
        one = Regex(pattern).setup_tokenizer(tokenizer)
    except UsageError:
        assert not accepted
        return
    assert list(everything(one, tokenizer.size, 2, 5)) == accepted
    assert ends_somewhere(one, tokenizer.size, 2, ())


def test_nothing_is_begun_that_the_vocabulary_cannot_end() -> None:
    tokenizer = Pieces("a", "b", "ab")
    assert allowed(Regex("ac|ab").setup_tokenizer(tokenizer), 6, [()]) == [{3, 5}]
    assert allowed(Regex("(a|b)é|ab").setup_tokenizer(tokenizer), 6, [(), ()]) == [{3, 5}] * 2
    assert allowed(Regex("(aa|b)*").setup_tokenizer(Pieces("aaa", "b", "a")), 6, [(3,), (5,)]) == [
        {3, 5},
        {3, 5},
    ]
    assert allowed(Regex("(aa)*b").setup_tokenizer(Pieces("aaa", "b")), 5, [(3,), (4,)]) == [
        {3},
        {2},
    ]
    assert allowed(Regex("(aa)*").setup_tokenizer(Pieces("aaa")), 4, [()]) == [{2, 3}]
    assert allowed(Regex("a|aaaa").setup_tokenizer(Pieces("aa", "a")), 5, [(3,)]) == [{3, 4}]
    for pattern in ("c", "[^ab]+", "a(?:c|d)", "é"):
        with pytest.raises(UsageError, match=r"nothing that matches .* can be written"):
            Regex(pattern).setup_tokenizer(tokenizer)


def test_it_needs_a_tokenizer() -> None:
    with pytest.raises(UsageError, match="needs a tokenizer"):
        Regex("a")(torch.zeros(1, 1, 4), make_beam([[[]]]))


@pytest.mark.parametrize("strategy", [Sample(), BeamSearch(width=4)])
def test_what_is_generated_matches(strategy: Sample | BeamSearch) -> None:
    tokenizer = CharacterTokenizer("abc .")
    pattern = r"[ab]{1,3}( c{1,2}){0,2}\."
    one = Regex(pattern).setup_tokenizer(tokenizer)
    session = make_session(
        random_model(tokenizer.size), Batch(5), [[4], [], [5, 6], [8], []],
        special=tokenizer.special,
        limits=[12, 12, 12, 12, 3], seed=1, samples=2, filters=[one],
    )  # fmt: skip
    found = decode(strategy, session)
    ended = 0
    for row, k in itertools.product(range(5), range(found.tokens.shape[1])):
        text = tokenizer.decode(found.tokens[row, k].tolist())
        if found.finished[row, k]:
            ended += 1
            assert re.fullmatch(pattern, text)
    assert ended >= 8


def test_the_state_is_kept_or_replayed_alike() -> None:
    tokenizer = CharacterTokenizer("abc")
    one = Regex("(ab|ba|c)*").setup_tokenizer(tokenizer)
    running = one.start(None)  # type: ignore[arg-type]
    rows = [[4, 5, 6, 5, 4], [6, 6, 5, 4, 6], [5, 4, 4, 5, 6]]
    for step in range(6):
        beam = make_beam([[row[:step] for row in rows]])
        scores = torch.zeros(1, 3, tokenizer.size)
        assert torch.equal(running(scores, beam), one(scores, beam))


def test_by_name_with_backslashes_and_commas() -> None:
    registries = default_registries()
    chain = resolve("sample", [r"regex:pattern='a{1,2}\.\d'"], registries)
    assert chain.filters == (Regex(r"a{1,2}\.\d"),)
    assert resolve("sample", [r"regex:\w+\,\["], registries).filters == (Regex(r"\w+,\["),)
    again = resolve("sample", [chain.description[0]], registries)
    assert again.filters == chain.filters
    assert describe("regex", Regex("[0-9]+")) == "regex:pattern=[0-9]+"
