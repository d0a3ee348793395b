"""Given translations get the log-probabilities that the model's own ones have."""

from __future__ import annotations

from pathlib import Path

import pytest

import textgen
from textgen.errors import DataError, UsageError
from textgen.evaluation.given_translations import paired_with_sources, score_given
from textgen.loading import LoadedModel, load_model

FOLDER = Path(__file__).parent.parent / "models_of_version_1"
LINES = ["the 21st of November 1987", "3 May 2021", "", "1 June 2000", "7 Ω 1999"]


@pytest.fixture(scope="module")
def dates() -> LoadedModel:
    return load_model(str(FOLDER / "dates"), "cpu")


def test_they_agree_with_the_scores_of_a_beam(dates: LoadedModel) -> None:
    beam = textgen.resolve("beam:width=3", [], textgen.default_registries())
    own = [each.candidates[0] for each in textgen.translate(dates, LINES, beam)]
    pairs = list(zip(LINES, (each.text for each in own), strict=True))
    found = list(score_given(dates, pairs))
    assert [each.log_prob for each in found] == pytest.approx(
        [each.log_prob for each in own], abs=2e-5
    )
    assert [each.score for each in found] == pytest.approx([each.score for each in own], abs=2e-5)
    assert [len(each.token_log_probs) for each in found] == [len(each.tokens) for each in own]
    assert [each.unknown for each in found] == [0] * len(LINES)


def test_neighbours_do_not_matter_and_odd_lines_are_scored(dates: LoadedModel) -> None:
    pairs = [("3 May 2021", "2021 05 03"), ("3 May 2021", ""), ("", "2021"), ("", "")]
    pairs += [("3 May 2021", "2021 Ω"), ("3 May " * 900, "2021 05 03")]
    found = list(score_given(dates, pairs))
    assert [(each.source, each.text) for each in found] == pairs
    for pair, each in zip(pairs, found, strict=True):
        (alone,) = score_given(dates, [pair])
        assert alone.log_prob == pytest.approx(each.log_prob, abs=1e-4)
    assert [each.cut for each in found] == [False] * 5 + [True]
    assert [each.unknown for each in found] == [0, 0, 0, 0, 1, 0]
    assert [len(each.token_log_probs) for each in found] == [11, 1, 5, 0, 7, 11]
    assert found[3].score == 0


def test_language_models_have_no_translations() -> None:
    with pytest.raises(UsageError, match="a translator is needed"):
        next(score_given(load_model(str(FOLDER / "shakespeare"), "cpu"), [("a", "b")]))


def test_lines_belong_to_sources_by_place_or_by_number() -> None:
    assert paired_with_sources(["a", "b"], ["x", "y"], "f") == [(0, "a", "x"), (1, "b", "y")]
    lists = ["1 ||| x ||| -0.5", "1 ||| y z", "0 |||  ||| 3"]
    assert paired_with_sources(["a", "b"], lists, "f") == [
        (1, "b", "x"),
        (1, "b", "y z"),
        (0, "a", ""),
    ]
    with pytest.raises(DataError, match="f: has 1 lines, but there are 2 source lines"):
        paired_with_sources(["a", "b"], ["x"], "f")
    with pytest.raises(DataError, match="f: has translations of line 2"):
        paired_with_sources(["a", "b"], ["2 ||| x"], "f")
    with pytest.raises(DataError, match="line -1, counted from 0"):
        paired_with_sources(["a"], ["-1 ||| x"], "f")
