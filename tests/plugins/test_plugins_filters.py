"""Filters on exact fractions, at their edges, and the laws of all of them."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from checks import some
from fakes import SPECIAL, FixedRandom, make_beam, random_model
from textgen.config import describe
from textgen.decoding import make_session
from textgen.decoding.chain import default_registries, resolve
from textgen.errors import UsageError
from textgen.protocols import Batch, Beam, Filter, SpecialTokens
from textgen.testing import ToyTokenizer
from textgen_decoders.allowed import Allowed
from textgen_decoders.banned import Banned
from textgen_decoders.epsilon import Epsilon
from textgen_decoders.eta import Eta
from textgen_decoders.frequency_penalty import FrequencyPenalty
from textgen_decoders.logit_bias import LogitBias
from textgen_decoders.min_p import MinP
from textgen_decoders.minimum_length import MinimumLength
from textgen_decoders.no_repeat_ngram import NoRepeatNgram
from textgen_decoders.nucleus import Nucleus
from textgen_decoders.presence_penalty import PresencePenalty
from textgen_decoders.repetition_penalty import RepetitionPenalty
from textgen_decoders.temperature import Temperature
from textgen_decoders.top_k import TopK
from textgen_decoders.top_n_sigma import TopNSigma
from textgen_decoders.typical import Typical
from textgen_decoders.xtc import XTC

DEAD = float("-inf")
BEAM = make_beam([[[]]])


def logs(*values: float | Fraction) -> Tensor:
    """(1, 1, V) log-probabilities of weights."""
    return torch.tensor([[[math.log(value) if value else DEAD for value in values]]])


def kept(one: Filter, scores: Tensor) -> list[int]:
    """Tokens that a filter leaves in the first row."""
    result = one(scores, BEAM)
    assert result.shape == scores.shape
    assert result.dtype == scores.dtype
    same = (result == scores) | (result == DEAD)
    assert same.all(), "a filter that forbids leaves the other scores as they are"
    return [token for token, value in enumerate(result[0, 0].tolist()) if value > DEAD]


HALVES = logs(Fraction(1, 8), Fraction(1, 2), Fraction(1, 4), Fraction(1, 8))


def test_temperature_divides() -> None:
    scores = torch.tensor([[[-1.0, -2.0, DEAD, -0.5]]])
    assert Temperature(2)(scores, BEAM).tolist() == [[[-0.5, -1.0, DEAD, -0.25]]]
    assert Temperature(0.5)(scores, BEAM).tolist() == [[[-2.0, -4.0, DEAD, -1.0]]]
    assert Temperature(1.0)(scores, BEAM).tolist() == scores.tolist()


def test_temperature_zero_is_greedy_and_the_first_of_equals() -> None:
    assert kept(Temperature(0), logs(1, 3, 2)) == [1]
    assert kept(Temperature(0), logs(1, 2, 2)) == [1]
    assert kept(Temperature(1e-30), logs(1, 3, 2)) == [1]
    assert kept(Temperature(0), logs(0, 0, 2)) == [2]
    small = Temperature(1e-5)(logs(1, 2, 3), BEAM).softmax(-1)
    assert small.tolist() == [[[0, 0, 1]]]


def test_top_k_keeps_ties() -> None:
    assert kept(TopK(1), HALVES) == [1]
    assert kept(TopK(2), HALVES) == [1, 2]
    assert kept(TopK(3), HALVES) == [0, 1, 2, 3]
    assert kept(TopK(400), HALVES) == [0, 1, 2, 3]
    assert kept(TopK(3), logs(0, 1, 0, 2)) == [1, 3]


def test_nucleus_keeps_the_token_that_crosses() -> None:
    assert kept(Nucleus(0.0), HALVES) == [1]
    assert kept(Nucleus(0.5), HALVES) == [1]
    assert kept(Nucleus(0.51), HALVES) == [1, 2]
    assert kept(Nucleus(0.75), HALVES) == [1, 2]
    assert kept(Nucleus(0.76), HALVES) == [0, 1, 2]
    assert kept(Nucleus(0.875), HALVES) == [0, 1, 2]
    assert kept(Nucleus(0.88), HALVES) == [0, 1, 2, 3]
    assert kept(Nucleus(1.0), HALVES) == [0, 1, 2, 3]


def test_nucleus_normalises_what_it_gets() -> None:
    assert kept(Nucleus(0.6), HALVES + 7.0) == [1, 2]
    assert kept(Nucleus(0.6), HALVES.masked_fill(HALVES[0, 0, 1] == HALVES, DEAD)) == [0, 2]


def test_order_matters() -> None:
    """Logits [3, 2, 1], p = 0.8, T = 0.5: {0} with temperature first, {0, 1} with it last."""
    scores = torch.tensor([[[3.0, 2.0, 1.0]]]).log_softmax(-1)
    cold, nucleus = Temperature(0.5), Nucleus(0.8)
    first = nucleus(cold(scores, BEAM), BEAM)
    last = cold(nucleus(scores, BEAM), BEAM)
    assert (first > DEAD).tolist() == [[[True, False, False]]]
    assert (last > DEAD).tolist() == [[[True, True, False]]]


def test_min_p_is_relative_to_the_best() -> None:
    assert kept(MinP(0.5), HALVES) == [1, 2]
    assert kept(MinP(0.51), HALVES) == [1]
    assert kept(MinP(0.25), HALVES) == [0, 1, 2, 3]
    assert kept(MinP(1.0), HALVES) == [1]
    assert kept(MinP(1.0), logs(2, 1, 2)) == [0, 2]
    assert kept(MinP(0.0), HALVES) == [0, 1, 2, 3]
    assert kept(MinP(0.3), HALVES + 5) == [1, 2]


def test_typical_takes_the_surprise_nearest_to_the_entropy() -> None:
    """H of (1/2, 1/4, 1/8, 1/8) is 7/4 bits: the quarter (2 bits) is nearest, then the half (1)."""
    assert kept(Typical(0.25), HALVES) == [2]
    assert kept(Typical(0.26), HALVES) == [1, 2]
    assert kept(Typical(0.75), HALVES) == [1, 2]
    assert kept(Typical(0.76), HALVES) == [0, 1, 2, 3]  # the two eighths tie
    assert kept(Typical(0.99), logs(1, 1, 1)) == [0, 1, 2]
    assert kept(Typical(0.1), logs(0, 1, 0)) == [1]
    assert kept(Typical(0.26), HALVES - 3) == [1, 2]


def test_epsilon_keeps_what_is_likely_enough() -> None:
    assert kept(Epsilon(0.125), HALVES) == [0, 1, 2, 3]
    assert kept(Epsilon(0.126), HALVES) == [1, 2]
    assert kept(Epsilon(0.26), HALVES) == [1]
    assert kept(Epsilon(0.9), HALVES) == [1]
    assert kept(Epsilon(0.9), logs(2, 1, 2)) == [0, 2]


def test_eta_lowers_its_bound_with_the_entropy() -> None:
    """e^(−H) of (1/2, 1/4, 1/8, 1/8) is 2^(−7/4) = 0.2973."""
    bound = 2 ** (-7 / 4)
    for epsilon in (0.01, 0.1, 0.17, 0.18, 0.5, 0.7, 0.71, 0.9):
        least = min(epsilon, math.sqrt(epsilon) * bound)
        wanted = [v for v, p in enumerate((1 / 8, 1 / 2, 1 / 4, 1 / 8)) if p >= least or v == 1]
        assert kept(Eta(epsilon), HALVES) == wanted
    assert kept(Eta(0.17), HALVES) == [0, 1, 2, 3]  # √0.17 · 0.2973 = 0.1226
    assert kept(Eta(0.18), HALVES) == [1, 2]  # √0.18 · 0.2973 = 0.1261
    assert kept(Eta(0.9), logs(1, 0, 0)) == [0]


def test_top_n_sigma_uses_the_population_deviation_of_what_is_possible() -> None:
    """Scores 0, −1, −2, −3 deviate by √(5/4) = 1.118; forbidden ones do not count."""
    scores = torch.tensor([[[-3.0, 0.0, -1.0, -2.0, DEAD]]])
    assert kept(TopNSigma(0.5), scores) == [1]
    assert kept(TopNSigma(1.0), scores) == [1, 2]
    assert kept(TopNSigma(1.788), scores) == [1, 2]
    assert kept(TopNSigma(1.789), scores) == [1, 2, 3]
    assert kept(TopNSigma(3.0), scores) == [0, 1, 2, 3]
    assert kept(TopNSigma(1.0), scores / 100) == [1, 2]
    assert kept(TopNSigma(1.0), logs(1, 1, 1)) == [0, 1, 2]


def test_xtc_drops_the_top_choices_but_the_least() -> None:
    special = SpecialTokens(pad=0, bos=1, eos=2, unknown=None)
    scores = logs(0, 0, Fraction(1, 10), Fraction(4, 10), Fraction(2, 10), Fraction(3, 10))

    def left(one: XTC, number: float = 0.3, given: Tensor = scores) -> list[int]:
        beam = make_beam([[[]]], random=FixedRandom(number), special=special)
        return [
            token for token, value in enumerate(one(given, beam)[0, 0].tolist()) if value > DEAD
        ]

    assert left(XTC(q=0.5, t=0.15)) == [2, 4]
    assert left(XTC(q=0.5, t=0.25)) == [2, 4, 5]
    assert left(XTC(q=0.5, t=0.35)) == [2, 3, 4, 5]
    assert left(XTC(q=0.5, t=0.45)) == [2, 3, 4, 5]
    assert left(XTC(q=0.5, t=0.15), number=0.6) == [2, 3, 4, 5]
    assert left(XTC(q=0.0, t=0.15), number=0.0001) == [2, 3, 4, 5]
    # eos (2) and the line end are neither counted nor dropped
    assert left(XTC(q=0.5, t=0.05)) == [2, 4]
    assert left(XTC(q=0.5, t=0.15, newline=3)) == [2, 3, 4]
    assert left(XTC(q=0.5, t=0.35, newline=3), given=logs(0, 0, 1, 1, 0, 0)) == [2, 3]
    assert left(XTC(q=0.5, t=0.2), given=logs(0, 0, 0, 1, 1, 1)) == [3]


def test_repetition_penalty_counts_the_prompt_and_each_token_once() -> None:
    beam = make_beam([[[3, 3]], [[4, 5]]], prefix=[[1, 6], [1, 0]])
    beam = replace(beam, prefix_lengths=torch.tensor([2, 1]))
    scores = torch.tensor([-1.0, -1.0, 2.0, -2.0, 3.0, DEAD, -4.0]).expand(2, 1, 7)
    assert RepetitionPenalty(2.0)(scores, beam).tolist() == [
        [[-1, -2, 2, -4, 3, DEAD, -8]],
        [[-1, -2, 2, -2, 1.5, DEAD, -4]],
    ]
    assert torch.equal(RepetitionPenalty(1.0)(scores, beam), scores)


def test_frequency_and_presence_count_the_output_alone() -> None:
    beam = make_beam([[[3, 3, 4]]], prefix=[[1, 5, 5]])
    scores = torch.zeros(1, 1, 6)
    assert FrequencyPenalty(0.5)(scores, beam).tolist() == [[[0, 0, 0, -1.0, -0.5, 0]]]
    assert PresencePenalty(0.5)(scores, beam).tolist() == [[[0, 0, 0, -0.5, -0.5, 0]]]
    assert FrequencyPenalty(-1.0)(scores, beam).tolist() == [[[0, 0, 0, 2, 1, 0]]]
    assert torch.equal(FrequencyPenalty(1.0)(scores, BEAM), scores)


def forbidden(one: Filter, beam: Beam, size: int = 8) -> list[list[int]]:
    """For each source, what the first row may not choose."""
    result = one(torch.zeros(*beam.scores.shape, size), beam)
    return [[v for v, value in enumerate(row[0]) if value == DEAD] for row in result.tolist()]


def test_no_repeat_ngram_looks_back_into_the_prompt() -> None:
    beam = make_beam([[[5, 3]], [[3, 4]]], prefix=[[1, 3, 4, 3, 6], [1, 3, 5, 0, 0]])
    beam = replace(beam, prefix_lengths=torch.tensor([5, 3]))
    # the rows: bos 3 4 3 6 5 3, and bos 3 5 3 4
    assert forbidden(NoRepeatNgram(2), beam) == [[4, 6], []]
    assert forbidden(NoRepeatNgram(3), beam) == [[], []]
    assert forbidden(NoRepeatNgram(1), beam) == [[1, 3, 4, 5, 6], [1, 3, 4, 5]]
    longer = make_beam([[[3, 4, 5, 3, 4]]])
    assert forbidden(NoRepeatNgram(3), longer) == [[5]]
    assert forbidden(NoRepeatNgram(4), longer) == [[]]
    assert forbidden(NoRepeatNgram(9), longer) == [[]]


@given(
    st.lists(st.integers(3, 5), max_size=12),
    st.lists(st.integers(3, 5), max_size=3),
    st.integers(1, 4),
)
@settings(deadline=None)
def test_no_repeat_ngram_is_its_definition(output: list[int], prompt: list[int], n: int) -> None:
    row = [1, *prompt, *output]
    seen = {tuple(row[i : i + n]) for i in range(len(row) - n + 1)}
    context = tuple(row[len(row) - n + 1 :])
    wanted = [v for v in range(8) if len(context) == n - 1 and (*context, v) in seen]
    beam = make_beam([[output]], prefix=[[1, *prompt]])
    assert forbidden(NoRepeatNgram(n), beam) == [wanted]


def test_minimum_length_counts_generated_tokens() -> None:
    for steps, wanted in ((0, [[2]]), (2, [[2]]), (3, [[]]), (4, [[]])):
        beam = make_beam([[[3] * steps]], prefix=[[1, 4, 4, 4]])
        assert forbidden(MinimumLength(3), beam) == wanted
    assert forbidden(MinimumLength(0), BEAM) == [[]]


class Letters(ToyTokenizer):
    """The toy vocabulary without its last two tokens."""

    pieces = ToyTokenizer.pieces[:10]
    size = len(pieces)


def test_logit_bias_names_tokens_by_text_or_number() -> None:
    bias = LogitBias({"a": 2.0, "#9": DEAD, "ab": -1.0}).setup_tokenizer(Letters())
    assert bias(torch.zeros(1, 1, 10), BEAM).tolist() == [[[0, 0, 0, 0, 2, 0, 0, 0, -1, DEAD]]]
    with pytest.raises(UsageError, match="several tokens"):
        LogitBias({"bc": 1.0}).setup_tokenizer(Letters())
    with pytest.raises(UsageError, match="cannot be written"):
        LogitBias({"z": 1.0}).setup_tokenizer(Letters())
    with pytest.raises(UsageError, match="10 tokens"):
        LogitBias({"#10": 1.0}).setup_tokenizer(Letters())
    with pytest.raises(UsageError, match="needs a tokenizer"):
        LogitBias({"a": 1.0})(HALVES, BEAM)


def test_banned_forbids_what_would_complete_a_phrase() -> None:
    # a = 4, b = 5, c = 6, space = 7, ab = 8
    banned = Banned(["ca", "abc", "b"]).setup_tokenizer(Letters())
    assert forbidden(banned, make_beam([[[4, 6]], [[4, 8]], [[4, 4]]]), 10) == [[4, 5], [5, 6], [5]]
    begun = make_beam([[[]], [[]]], prefix=[[1, 6], [1, 8]])
    assert forbidden(banned, begun, 10) == [[4, 5], [5, 6]]
    assert forbidden(banned, BEAM, 10) == [[5]]
    assert forbidden(Banned([]).setup_tokenizer(Letters()), BEAM, 10) == [[]]
    assert forbidden(Banned(["#4"]), BEAM, 10) == [[4]]
    with pytest.raises(UsageError, match="cannot be written"):
        Banned([""]).setup_tokenizer(Letters())


def test_allowed_lets_only_whole_phrases_through() -> None:
    allowed = Allowed(["ca", "caab", "b"]).setup_tokenizer(Letters())

    def possible(*output: int) -> list[int]:
        rows = forbidden(allowed, make_beam([[list(output)]]), 10)
        return [token for token in range(10) if token not in rows[0]]

    # each phrase as it is or after a space
    assert possible() == [5, 6, 7]
    assert possible(6) == [4]
    assert possible(6, 4) == [2, 5, 6, 7, 8]  # the end, a new phrase, or the rest of "caab"
    assert possible(6, 4, 8) == [2, 5, 6, 7]
    assert possible(5) == [2, 5, 6, 7]
    assert possible(7) == [5, 6]
    assert possible(7, 6, 4, 7, 5) == [2, 5, 6, 7]
    assert forbidden(Allowed(["#4", "#6"]), BEAM, 8) == [[0, 1, 2, 3, 5, 7]]
    assert forbidden(Allowed(["#4", "#6"]), make_beam([[[4]]]), 8) == [[0, 1, 3, 5, 7]]


def test_what_allowed_generates_consists_of_its_words() -> None:
    words = ["ca", "bb", "ab"]
    chain = resolve("allowed:" + str(words).replace("'", '"'), [], default_registries())
    session = make_session(
        random_model(vocabulary=10), Batch(6), [[]] * 6, special=SPECIAL, limits=30, seed=3
    )
    found = chain.setup(Letters()).decode(session)
    for row in range(6):
        text = Letters().decode(found.tokens[row, 0].tolist())
        whole = text if found.finished[row, 0] else text[: max(len(text) - 3, 0)]
        assert re.fullmatch("( ?(ca|bb|ab))*( ?[cba]{0,1})?", whole)
    assert any(found.finished[:, 0])


def test_xtc_learns_the_line_end() -> None:
    assert XTC().setup_tokenizer(Letters()).newline == 9
    assert XTC(newline=4).setup_tokenizer(Letters()).newline == 4


TRUNCATING = [
    TopK(1), TopK(3), Nucleus(0.0), Nucleus(0.6), MinP(0.2), MinP(1.0), Typical(0.2), Typical(0.9),
    Epsilon(0.3), Epsilon(0.01), Eta(0.3), Eta(0.01), TopNSigma(0.3), TopNSigma(1.0), XTC(0.6, 0.1),
]  # fmt: skip
CHANGING = [
    Temperature(0.7), Temperature(0), RepetitionPenalty(1.3), FrequencyPenalty(0.4),
    PresencePenalty(0.4), LogitBias({"#3": 1.5}),
]  # fmt: skip
FORBIDDING = [NoRepeatNgram(1), NoRepeatNgram(2), MinimumLength(3), Banned(["#3"]), Allowed(["#3"])]


@given(
    st.lists(st.lists(st.floats(-30, 0, width=32), min_size=5, max_size=5), min_size=2, max_size=4),
    st.sampled_from(TRUNCATING + CHANGING + FORBIDDING),
    st.integers(0, 4),
)
@settings(max_examples=300, deadline=None)
def test_laws_of_filters(rows: list[list[float]], one: Filter, forbidden: int) -> None:
    scores = torch.tensor([rows])
    scores[..., forbidden] = DEAD
    beam = make_beam([[[3, 4]] * len(rows)])
    before = scores.clone()
    result = one(scores, beam)
    assert torch.equal(scores, before), "it works in place"
    assert result.shape == scores.shape
    assert result.dtype == scores.dtype
    assert not result.isnan().any()
    assert (result[..., forbidden] == DEAD).all(), "it revives what is forbidden"
    if one not in FORBIDDING:
        assert (result.amax(-1) > DEAD).all(), "it forbids everything"
    alone = one(scores[:, :1], make_beam([[[3, 4]]]))
    assert torch.equal(alone, result[:, :1]), "a row depends on its neighbours"


@given(st.lists(st.integers(-40, 40), min_size=3, max_size=12), st.sampled_from(TRUNCATING[:-1]))
@settings(max_examples=300, deadline=None)
def test_what_truncates_keeps_the_best_whatever_the_scale(values: list[int], one: Filter) -> None:
    scores = torch.tensor([[values]]) / 4
    result = one(scores, BEAM)
    if not isinstance(one, Typical):
        assert (result == scores)[scores == scores.max()].any()
    assert kept(one, scores) == kept(one, scores + 3)


@pytest.mark.parametrize("one", TRUNCATING + CHANGING + FORBIDDING)
def test_rows_with_nothing_left_stay_so(one: Filter) -> None:
    scores = torch.full((1, 2, 5), DEAD)
    scores[0, 1] = torch.tensor([DEAD, DEAD, -1.0, -2.0, -0.5])
    result = one(scores, make_beam([[[3, 4], [3, 4]]]))
    assert not result.isnan().any()
    assert (result[0, 0] == DEAD).all()


def test_every_shipped_filter_documents_itself() -> None:
    registry = default_registries().filters
    for name in some(registry.names()):
        factory = registry.load(name)
        assert dataclasses.is_dataclass(factory)
        assert "Example: --decode" in (factory.__doc__ or "")
        assert all(option.help for option in describe(factory))
