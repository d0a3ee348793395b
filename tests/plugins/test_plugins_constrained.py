"""Constrained beam search against everything that a toy model can say with the phrases."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from fakes import SPECIAL, FakeModel, all_outputs, random_model
from source_jobs import LIMITS, Jobs, all_differ
from textgen.decoding import decode, make_session
from textgen.errors import UsageError
from textgen.protocols import Batch, Beam, Session, Strategy
from textgen.registry import Registry
from textgen.testing import STRATEGY_LAWS, LawBroken, check_strategy
from textgen_decoders.beam import BeamSearch
from textgen_decoders.constrained import Constrained, ConstrainedTokens
from textgen_decoders.phrases import Met, compiled

LIMIT = 5
PREFIX = (1, 4)
Phrase = tuple[tuple[int, ...], ...]


def session_of(model: FakeModel, limits: object = LIMIT, **options: object) -> Session:
    batch = Batch(3, torch.tensor([[0], [1], [2]]), torch.tensor([1, 1, 1]))
    return make_session(model, batch, [PREFIX] * 3, special=SPECIAL, limits=limits, **options)


def times(output: Sequence[int], phrase: Phrase) -> int:
    """At how many places a spelling of a phrase ends."""
    return sum(
        any(tuple(output[end - len(each) : end]) == each for each in phrase if end >= len(each))
        for end in range(1, len(output) + 1)
    )


def holds(output: Sequence[int], phrases: Sequence[Phrase]) -> bool:
    return all(times(output, phrase) >= phrases.count(phrase) for phrase in phrases)


def one(*tokens: int) -> Phrase:
    return (tokens,)


CASES = {
    "one token": (one(4),),
    "two tokens": (one(3, 4),),
    "two phrases": (one(4), one(5)),
    "overlap": (one(3, 4), one(4, 5)),
    "inside another": (one(4), one(3, 4, 5)),
    "itself": (one(4, 4), one(4, 4)),
    "thrice": (one(5), one(5), one(5)),
    "spellings": (((3, 4), (5, 5, 3)), one(4)),
    "unlikely": (one(3, 5, 3, 4),),
}


@pytest.mark.parametrize("phrases", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("length", ["none", "average"])
def test_as_wide_as_the_space_it_is_brute_force(phrases: tuple[Phrase, ...], length: str) -> None:
    model = random_model(vocabulary=6, seed=3)
    beam = BeamSearch(width=300, length=length, n_best=3)  # type: ignore[arg-type]
    found = decode(ConstrainedTokens(beam, phrases), session_of(model))
    for row in range(3):
        own = {}
        for output in all_outputs(6, LIMIT):
            if holds(output, phrases):
                total = sum(model.log_prob(row, PREFIX, output))
                own[output] = total / (len(output) if length == "average" else 1)
        best = sorted(own.values(), reverse=True)
        for k in range(min(3, len(best))):
            output = tuple(found.tokens[row, k, : found.lengths[row, k]].tolist())
            assert own[output] == pytest.approx(best[k], abs=1e-5)
            assert float(found.scores[row, k]) == pytest.approx(best[k], abs=1e-4)
        assert int((found.scores[row] > float("-inf")).sum()) == min(3, len(best))


@pytest.mark.parametrize("phrases", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("width", [1, 2, 5])
def test_a_narrow_beam_says_the_phrases_too(phrases: tuple[Phrase, ...], width: int) -> None:
    for seed in range(3):
        model = random_model(vocabulary=9, seed=seed)
        found = decode(ConstrainedTokens(BeamSearch(width), phrases), session_of(model, 15))
        for row in range(3):
            assert holds(found.tokens[row, 0].tolist(), phrases)


def test_a_wider_beam_is_hardly_worse_and_beats_the_forced_way() -> None:
    phrases = (one(6, 7), one(5))
    totals = []
    for width in (1, 4, 16):
        scores = [
            decode(
                ConstrainedTokens(BeamSearch(width), phrases),
                session_of(random_model(9, seed=seed), 12),
            ).scores[:, 0]
            for seed in range(4)
        ]
        totals.append(float(torch.stack(scores).mean()))
    assert totals == sorted(totals)
    assert totals[-1] > totals[0] + 0.1


def test_no_phrases_is_beam() -> None:
    session = session_of(random_model(8), [9, 0, 4], samples=3)
    plain = decode(BeamSearch(width=4, length="gnmt", alpha=0.6), session)
    found = decode(Constrained([], width=4, length="gnmt", alpha=0.6), session)
    assert torch.equal(plain.tokens, found.tokens)
    assert torch.equal(plain.scores, found.scores)


def test_what_cannot_be_finished_is_the_best_effort_and_says_so() -> None:
    model = random_model(7, seed=1)
    phrases = ["#5", "#4", "#6", "#6"]
    found = decode(Constrained(phrases, width=40, n_best=2), session_of(model, [3, 0, 6]))
    assert found.finished.tolist()[:2] == [[False, False], [False, False]]
    assert (found.scores[:, 1] > float("-inf")).tolist() == [False, False, True]
    outputs = [output for output in all_outputs(7, 3) if len(output) == 3]

    def lacking(output: Sequence[int]) -> int:
        needed = {4: 1, 5: 1, 6: 2}
        return sum(max(0, many - output.count(token)) for token, many in needed.items())

    fewest = min(map(lacking, outputs))
    assert fewest == 1
    total, best = max(
        (sum(model.log_prob(0, PREFIX, output)), output)
        for output in outputs
        if lacking(output) == fewest
    )
    assert tuple(found.tokens[0, 0].tolist()[:3]) == best
    assert float(found.scores[0, 0]) == pytest.approx(total / 3, abs=1e-4)
    assert found.lengths[1].tolist() == [0, 0]
    assert lacking(found.tokens[2, 0].tolist()) == 0


def test_a_filter_that_leaves_only_the_end_ends_it_unfinished() -> None:
    def two_tokens(log_probs: Tensor, beam: Beam) -> Tensor:
        others = torch.arange(7) != SPECIAL.eos
        return log_probs.masked_fill(others, float("-inf")) if beam.step == 2 else log_probs

    session = session_of(random_model(7), filters=(two_tokens,))
    found = decode(Constrained(["#5", "#6"]), session)
    assert found.finished.all()
    lost = decode(Constrained(["#5", "#6", "#4"]), session)
    assert lost.lengths.tolist() == [[3], [3], [3]]
    assert not lost.finished.any()


def test_the_session_may_force_the_end() -> None:
    session = session_of(random_model(7), 4, eos_at_limit=True)
    found = decode(Constrained(["#5", "#6"], width=8), session)
    for row in range(3):
        output = found.tokens[row, 0, : found.lengths[row, 0]].tolist()
        assert {5, 6} <= set(output)
        assert output[-1] == SPECIAL.eos
    assert found.finished.all()


@pytest.mark.parametrize(
    "strategy",
    [
        Constrained(["#4"], width=6),
        Constrained(["#5", "#4", "#5"], width=1),
        Constrained(["#6"] * 8, width=6),
        ConstrainedTokens(BeamSearch(6, stop="first"), (one(4, 5), one(5, 6, 4))),
    ],
)
def test_hypotheses_differ_and_no_sources_are_no_trouble(strategy: Strategy) -> None:
    for seed in range(2):
        jobs = Jobs(random_model(7, seed=seed))
        assert all_differ(decode(strategy, jobs.session(range(len(LIMITS)), samples=2)))
    assert decode(strategy, jobs.session([], samples=2)).tokens.shape[0] == 0


def test_a_best_effort_keeps_the_laws_but_is_never_called_finished() -> None:
    hopeless = Constrained(["#6"] * 8, width=6)
    check_strategy(hopeless, random=False, laws=[name for name in STRATEGY_LAWS if name != "watch"])
    with pytest.raises(LawBroken, match="as finished"):
        check_strategy(hopeless, random=False, laws=["watch"])


def test_the_automaton_counts_as_one_counts_by_hand() -> None:
    phrases: tuple[Phrase, ...] = (one(4, 4), one(4, 4), ((3, 4), (5,)), one(4, 5, 4))
    tables = compiled(phrases, 7)
    for output in all_outputs(7, 5):
        met = tables.start(torch.zeros(1))
        for token in output:
            met = tables.after(met, torch.tensor([token]))
        kinds = (phrases[0], phrases[2], phrases[3])
        expected = [min(times(output, kind), phrases.count(kind)) for kind in kinds]
        assert met.counts[0].tolist() == expected
        lacking = int(tables.missing(met))
        assert (lacking == 0) == holds(output, phrases)
    assert tables.total == 2 + 2 + 1 + 3
    begun = Met(torch.tensor([int(tables.transitions[0, 1])]), torch.zeros(1, 3, dtype=torch.int64))
    assert 0 < int(tables.missing(begun)) <= tables.total


class Letters:
    """A tokenizer of five pieces after the marks."""

    size = 9
    special = SPECIAL
    pieces = ("", "", "", "?", "a", "b", " a", " ", "ab")

    def encode(self, text: str) -> list[int]:
        found = []
        while text:
            piece = next((p for p in ("ab", " a") if text.startswith(p)), text[0])
            found.append(self.pieces.index(piece) if piece in self.pieces else 3)
            text = text[len(piece) :]
        return found

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(self.pieces[token] for token in tokens)

    def piece(self, token: int) -> str:
        return self.pieces[token]


def test_texts_appear_in_the_text() -> None:
    model, letters = random_model(9), Letters()
    strategy = Constrained(["a b", "ab", "#5"], width=30).setup_tokenizer(letters)
    assert ((4, 7, 5), (6, 7, 5)) in strategy.phrases
    found = decode(strategy, session_of(model, 12))
    for row in range(3):
        output = found.tokens[row, 0, : found.lengths[row, 0]].tolist()
        text = letters.decode(output)
        assert "a b" in text
        assert "ab" in text
        assert 5 in output
    with pytest.raises(UsageError, match="cannot be written"):
        Constrained(["xyz"]).setup_tokenizer(letters)


@pytest.mark.parametrize("token", ["#2", "#0", "#9"])
def test_marks_and_numbers_outside_are_refused(token: str) -> None:
    with pytest.raises(UsageError, match=rf"constrained: token {token} cannot be in an output"):
        decode(Constrained([token]), session_of(random_model(7)))
    with pytest.raises(UsageError, match="needs a tokenizer"):
        decode(Constrained(["word"]), session_of(random_model(7)))


def test_it_is_asked_for_by_name() -> None:
    registry = Registry("strategy", "textgen.strategies")
    made = registry.build('constrained:["the","and"],width=20')
    assert made == Constrained(["the", "and"], width=20)
