"""Minimum Bayes risk against its definition, and its utilities against sacreBLEU."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import sacrebleu
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from checks import some
from fakes import SPECIAL, FakeModel, random_model
from source_jobs import LIMITS, Jobs, all_differ
from textgen.data.tokenizers.characters import CharacterTokenizer
from textgen.decoding import decode, make_session
from textgen.protocols import Batch, Session
from textgen.registry import Registry
from textgen_decoders.beam import BeamSearch
from textgen_decoders.candidates import text_of
from textgen_decoders.epsilon import Epsilon
from textgen_decoders.mbr import MBR
from textgen_decoders.overlap import bleu_pairs, chrf_pairs
from textgen_decoders.sample import Sample

LETTERS = CharacterTokenizer("ab c.", "none")

TEXTS = st.lists(st.text("ab .,\nüÄ😀", max_size=14), max_size=6)


def utility(name: str, hypothesis: str, reference: str) -> float:
    if not hypothesis and not reference:
        return 100.0
    if name == "chrf":
        return float(sacrebleu.sentence_chrf(hypothesis, [reference]).score)
    return float(sacrebleu.sentence_bleu(hypothesis, [reference]).score)


@settings(max_examples=40)
@given(TEXTS)
def test_the_overlaps_are_those_of_sacrebleu(texts: list[str]) -> None:
    texts += ["The cat sat on the mat.", "the cat, the cat: the 3.5 cats", "aaaaaaaa", ""]
    chrf, bleu = chrf_pairs(texts), bleu_pairs(texts)
    for i, hypothesis in some(enumerate(texts)):
        for j, reference in some(enumerate(texts)):
            other = sacrebleu.sentence_chrf(hypothesis, [reference]).score
            assert math.isclose(chrf[i, j], other, abs_tol=1e-9)
            other = sacrebleu.sentence_bleu(hypothesis, [reference]).score
            assert math.isclose(bleu[i, j], other, abs_tol=1e-9)


def test_many_texts_are_compared_in_several_blocks() -> None:
    generator = np.random.default_rng(0)
    texts = ["".join(generator.choice(list("abcdefghij "), 90)) for _ in range(120)]
    texts += texts[:60]
    found = chrf_pairs(texts)
    assert np.array_equal(found[:60], found[120:])
    for i, j in ((0, 1), (5, 100), (119, 60), (3, 123)):
        other = sacrebleu.sentence_chrf(texts[i], [texts[j]]).score
        assert found[i, j] == pytest.approx(other, abs=1e-9)
    assert chrf_pairs([]).shape == bleu_pairs([]).shape == (0, 0)


def session_of(model: FakeModel, limits: object = 6, **options: object) -> Session:
    batch = Batch(3, torch.tensor([[0], [1], [2]]), torch.tensor([1, 1, 1]))
    return make_session(model, batch, [[]] * 3, special=SPECIAL, limits=limits, **options)


def texts_of(session: Session, strategy: object, row: int) -> list[tuple[list[int], str]]:
    found = decode(strategy, session)  # type: ignore[arg-type]
    tokens = [
        found.tokens[row, k, : found.lengths[row, k]].tolist() for k in range(found.tokens.shape[1])
    ]
    return [(each, LETTERS.decode(each)) for each in tokens]


@pytest.mark.parametrize("name", ["chrf", "bleu"])
@pytest.mark.parametrize("candidates", ["sample", "beam"])
def test_it_is_the_definition(name: str, candidates: str) -> None:
    model = random_model(LETTERS.size, seed=4, spread=2.0)
    session = session_of(model, [6, 9, 2], filters=(Epsilon(0.05),))
    strategy = MBR(n=24, utility=name, candidates=candidates, width=6, n_best=4)  # type: ignore[arg-type]
    found = decode(strategy.setup_tokenizer(LETTERS), session)
    for row in range(3):
        references = [text for _, text in texts_of(replace(session, samples=24), Sample(), row)]
        pool = texts_of(replace(session, samples=24), Sample(), row)
        if candidates == "beam":
            pool = texts_of(session, BeamSearch(6, n_best=6), row)
        expected = {
            text: sum(utility(name, text, each) for each in references) / 24 for _, text in pool
        }
        best = sorted(expected.values(), reverse=True)[:4]
        alive = int((found.scores[row] > float("-inf")).sum())
        assert found.scores[row, :alive].tolist() == pytest.approx(best, abs=1e-4)
        assert alive == min(4, len(expected))
        for k in range(alive):
            tokens = found.tokens[row, k, : found.lengths[row, k]].tolist()
            assert expected[LETTERS.decode(tokens)] == pytest.approx(best[k], abs=1e-4)
            total = sum(model.log_prob(row, [SPECIAL.bos], tokens))
            assert float(found.log_probs[row, k]) == pytest.approx(total, abs=1e-4)


def test_what_is_drawn_often_weighs_more() -> None:
    strategy = MBR(n=4).setup_tokenizer(LETTERS)
    values = strategy.expected(["ab", "ca"], Counter({"ab": 3, "ca": 1}))
    cross = utility("chrf", "ab", "ca")
    assert values == pytest.approx([75 + cross / 4, 25 + 3 * cross / 4])
    assert strategy.expected([""], Counter({"": 2, "a": 2})) == pytest.approx([50.0])


def test_without_a_tokenizer_a_token_is_a_letter_and_a_word() -> None:
    assert text_of([1, 4, 5, 4, 2], None, SPECIAL) == "\U00010004 \U00010005 \U00010004"
    session = session_of(random_model(8), samples=2)
    for name in ("chrf", "bleu"):
        found = decode(MBR(n=8, utility=name), session)  # type: ignore[arg-type]
        assert found.tokens.shape[:2] == (3, 2)
        assert (found.scores[:, 0] > 0).all()


def test_more_samples_than_candidates_are_as_many_as_there_are() -> None:
    found = decode(MBR(n=3), session_of(random_model(6), samples=9))
    assert found.tokens.shape[1] == 3


@pytest.mark.parametrize(
    "strategy", [MBR(n=6), MBR(n=5, utility="bleu"), MBR(n=4, candidates="beam", width=3)]
)
def test_hypotheses_differ_and_no_sources_are_no_trouble(strategy: MBR) -> None:
    for seed in range(2):
        jobs = Jobs(random_model(7, seed=seed))
        assert all_differ(decode(strategy, jobs.session(range(len(LIMITS)), samples=2)))
    assert decode(strategy, jobs.session([], samples=2)).tokens.shape[0] == 0


def test_it_is_asked_for_by_name() -> None:
    registry = Registry("strategy", "textgen.strategies")
    assert registry.build("mbr:n=16,utility=bleu") == MBR(n=16, utility="bleu")
