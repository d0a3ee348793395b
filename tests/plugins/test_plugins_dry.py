"""DRY against its definition written out, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import make_beam
from textgen.data.tokenizers.characters import CharacterTokenizer
from textgen.data.tokenizers.raw_bytes import ByteTokenizer
from textgen.data.tokenizers.words import WordTokenizer
from textgen.errors import UsageError
from textgen.protocols import Beam
from textgen_decoders.dry import Dry, DryTokens

SIZE = 8


def longest(row: Sequence[int], token: int, breakers: set[int]) -> int:
    """Length of the longest end of a row that stood before and was followed by a token."""
    best = 0
    if token in breakers:
        return 0
    for place in range(len(row) - 1):
        if row[place + 1] != token:
            continue
        length = 0
        while (
            length <= place
            and length < 50
            and row[place - length] == row[len(row) - 1 - length]
            and row[place - length] not in breakers
        ):
            length += 1
        best = max(best, length)
    return best


def penalties(one: DryTokens, row: Sequence[int]) -> list[float]:
    """What the definition takes off for each token after a row (without bos)."""
    options, found = one.options, []
    for token in range(SIZE):
        length = longest(row, token, set(one.breakers))
        costs = options.m * options.base ** (length - options.allowed)
        found.append(costs if length >= options.allowed else 0.0)
    return found


def taken_off(one: DryTokens, beam: Beam) -> list[list[list[float]]]:
    return (-one(torch.zeros(*beam.scores.shape, SIZE), beam)).tolist()


def test_what_would_go_on_repeating_costs_more_the_longer_it_is() -> None:
    dry = DryTokens(Dry(m=1.0, base=2.0, allowed=2), ())
    beam = make_beam([[[3, 4, 5, 6, 3, 4, 5]], [[3, 4, 5, 7, 6, 4, 5]], [[7, 3, 4, 5, 6, 3, 4]]])
    assert taken_off(dry, beam) == [
        [[0, 0, 0, 0, 0, 0, 2, 0]],  # 3 4 5 came before, then 6: 2^(3 − 2)
        [[0, 0, 0, 0, 0, 0, 0, 1]],  # 4 5, then 7
        [[0, 0, 0, 0, 0, 1, 0, 0]],  # 3 4, then 5
    ]


def test_of_several_matches_the_longest_counts() -> None:
    dry = DryTokens(Dry(m=1.0, base=2.0, allowed=1), ())
    beam = make_beam([[[5, 6, 3, 4, 6, 5, 4, 6, 3, 4, 6]]])
    assert taken_off(dry, beam) == [[[0, 0, 0, 2, 0, 8, 0, 0]]]  # 4 6, then 3; 6 3 4 6, then 5
    overlapping = make_beam([[[3, 3, 3, 3]]])
    assert taken_off(dry, overlapping) == [[[0, 0, 0, 4, 0, 0, 0, 0]]]  # its own continuation


def test_the_prompt_counts_and_its_padding_does_not() -> None:
    dry = DryTokens(Dry(m=1.0, base=2.0, allowed=2), ())
    beam = make_beam([[[3, 4]], [[3, 4]]], prefix=[[1, 3, 4, 5], [1, 3, 0, 0]])
    beam = replace(beam, prefix_lengths=torch.tensor([4, 2]))
    assert taken_off(dry, beam) == [[[0, 0, 0, 0, 0, 1, 0, 0]], [[0] * SIZE]]


def test_breakers_end_matches_and_are_never_made_dear() -> None:
    beam = make_beam([[[3, 4, 5, 6, 3, 4, 5]]])
    options = Dry(m=1.0, base=2.0, allowed=1)
    assert taken_off(DryTokens(options, ()), beam)[0][0][6] == 4
    assert taken_off(DryTokens(options, (3,)), beam)[0][0][6] == 2
    assert taken_off(DryTokens(options, (4,)), beam)[0][0][6] == 1
    assert taken_off(DryTokens(options, (5,)), beam) == [[[0] * SIZE]]
    assert taken_off(DryTokens(options, (6,)), beam) == [[[0] * SIZE]]


def test_long_matches_stop_growing_and_never_forbid() -> None:
    row = [3, 4, 5, 6] * 30
    dry = DryTokens(Dry(m=1.0, base=1.5, allowed=2), ())
    assert taken_off(dry, make_beam([[row]]))[0][0][3] == pytest.approx(1.5**48)
    huge = DryTokens(Dry(m=5.0, base=1e9, allowed=1), ())
    scores = huge(torch.zeros(1, 1, SIZE), make_beam([[row]]))
    assert torch.isfinite(scores).all()
    off = DryTokens(Dry(m=0.0), ())
    assert not any(taken_off(off, make_beam([[row]]))[0][0])


tokens = st.lists(st.integers(3, 5), max_size=14)


@given(
    st.lists(tokens, min_size=1, max_size=3),
    st.integers(0, 12),
    st.lists(tokens, min_size=3, max_size=3),
    st.sets(st.integers(3, 6), max_size=2),
    st.integers(1, 4),
)
@settings(max_examples=100)
def test_it_is_its_definition(
    prompts: list[list[int]], steps: int, more: list[list[int]], breakers: set[int], allowed: int
) -> None:
    outputs = [(row * 13 + [5] * 13)[:steps] for row in more[: len(prompts)]]
    longest_prompt = max(map(len, prompts))
    padded = [[1, *row, *([0] * (longest_prompt - len(row)))] for row in prompts]
    beam = make_beam([[output, output[::-1]] for output in outputs], prefix=padded)
    beam = replace(beam, prefix_lengths=torch.tensor([len(row) + 1 for row in prompts]))
    one = DryTokens(Dry(m=0.5, base=1.5, allowed=allowed), tuple(breakers))
    wanted = [
        [penalties(one, prompt + output), penalties(one, prompt + output[::-1])]
        for prompt, output in zip(prompts, outputs, strict=True)
    ]
    assert torch.allclose(torch.tensor(taken_off(one, beam)), torch.tensor(wanted), rtol=1e-5)


def test_breakers_are_learnt_from_texts() -> None:
    characters = CharacterTokenizer("ab\n:")
    assert Dry().setup_tokenizer(characters).breakers == (
        6,
        7,
    )  # no quote, no star in the vocabulary
    words = WordTokenizer(["yes", "said:", '"No', "no"])
    assert Dry().setup_tokenizer(words).breakers == (4, 6, 7)
    assert Dry(breakers=["#5", "no"]).setup_tokenizer(words).breakers == (5, 8)
    assert Dry().setup_tokenizer(ByteTokenizer()).breakers == tuple(
        3 + ord(each) for each in '\n"*:'
    )
    with pytest.raises(UsageError, match="several tokens"):
        Dry(breakers=["ab"]).setup_tokenizer(characters)


def test_without_a_tokenizer_only_numbers_break() -> None:
    beam = make_beam([[[3, 4, 5, 6, 3, 4, 5]]])
    scores = torch.zeros(1, 1, SIZE)
    options = Dry(m=1.0, base=2.0, allowed=1, breakers=["\n", "#3"])
    assert torch.equal(options(scores, beam), DryTokens(options, (3,))(scores, beam))
