"""One translation for each line: in order, whatever the line and its neighbours."""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from checks import some
from small_models import TEXT, save_language_model, save_translator
from textgen.decoding.chain import Chain, default_registries, resolve
from textgen.errors import UsageError
from textgen.evaluation.forced_alignment import force
from textgen.loading import LoadedModel, load_model
from textgen.translation import (
    MaxLength,
    SourceLine,
    Translation,
    TranslationOptions,
    translate,
    translate_windows,
)

WORDS = TEXT.split()
LINES = [" ".join(WORDS[start : start + 1 + start % 7]) for start in range(20)]
CHAINS = ("greedy", "beam:width=3", "sample")


def chain(spec: str, *filters: str) -> Chain:
    return resolve(spec, filters, default_registries())


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(str(save_translator(tmp_path_factory.mktemp("words"))), "cpu")


def texts(found: Iterator[Translation]) -> list[str]:
    return [each.text for each in found]


def test_every_line_gets_one_translation_in_order(loaded: LoadedModel) -> None:
    hostile = ["", "   ", "\t\r", "no such words", "\0\x1b[31m", *LINES, "to " * 2000, "\N{BOM}"]
    found = list(translate(loaded, hostile, chain("greedy"), TranslationOptions(max_source=50)))
    assert [each.index for each in found] == list(range(len(hostile)))
    assert [each.source for each in found] == hostile
    assert [each.text for each in found[:3]] == ["", "", ""]
    assert [each.index for each in found if each.cut] == [hostile.index("to " * 2000)]
    assert not any("\n" in each.text or "\r" in each.text for each in found)
    assert len({each.text for each in found}) > 5  # the model has opinions


@pytest.mark.parametrize("spec", CHAINS)
def test_neighbours_windows_and_batches_do_not_matter(loaded: LoadedModel, spec: str) -> None:
    options = TranslationOptions(candidates=2 if spec == "sample" else 1, seed=3)
    alone = list(
        translate(loaded, LINES, chain(spec), dataclasses.replace(options, batch_tokens=1))
    )
    for changed in (options, dataclasses.replace(options, window=5, batch_tokens=20)):
        together = list(translate(loaded, LINES, chain(spec), changed))
        for one, other in some(zip(alone, together, strict=True)):
            assert [each.tokens for each in one.candidates] == [
                each.tokens for each in other.candidates
            ]
            for mine, theirs in some(zip(one.candidates, other.candidates, strict=True)):
                assert mine.token_log_probs == pytest.approx(theirs.token_log_probs, abs=1e-4)


def test_the_first_lines_do_not_wait_for_the_last(loaded: LoadedModel) -> None:
    asked = 0

    def endless() -> Iterator[str]:
        nonlocal asked
        for line in itertools.cycle(LINES):
            asked += 1
            yield line

    found = translate(loaded, endless(), chain("greedy"))
    assert next(found).index == 0
    assert asked == 16
    assert [each.index for each in itertools.islice(found, 40)] == list(range(1, 41))
    assert asked == 16 + 64


def test_a_window_is_finished_before_the_next_is_asked_for(loaded: LoadedModel) -> None:
    told: list[int] = []

    def windows() -> Iterator[list[SourceLine]]:
        for size in (1, 3, 0, 2):
            assert len(told) == {1: 0, 3: 1, 0: 4, 2: 4}[size]
            yield [SourceLine(line) for line in LINES[:size]]

    told.extend(each.index for each in translate_windows(loaded, windows(), chain("greedy")))
    assert told == list(range(6))


def test_each_score_is_that_of_a_second_reading(loaded: LoadedModel) -> None:
    options = TranslationOptions(candidates=3, attention=True)
    for translation in some(translate(loaded, LINES[:6], chain("beam:width=4"), options)):
        assert len(translation.candidates) == 3
        scores = [each.score for each in translation.candidates]
        assert scores == sorted(scores, reverse=True)
        for candidate in some(translation.candidates):
            again = force(loaded, [translation.source_tokens], [candidate.tokens])[0]
            assert candidate.token_log_probs == pytest.approx(again.log_probs, abs=1e-4)
            assert candidate.log_prob == pytest.approx(float(again.log_probs.sum()), abs=1e-3)
            assert candidate.attention is not None
            assert again.attention is not None
            shape = (len(candidate.tokens), len(translation.source_tokens) + 1)
            assert candidate.attention.shape == shape
            np.testing.assert_allclose(candidate.attention, again.attention, atol=1e-4)
            np.testing.assert_allclose(candidate.attention.sum(1), 1, atol=1e-5)


def test_a_forced_beginning_is_kept_and_counts(loaded: LoadedModel) -> None:
    prefixes = ["", "THE SLINGS", " NOBLER ", "no words known"]
    lines = LINES[4:8]
    free = list(translate(loaded, lines, chain("greedy")))
    options = TranslationOptions(attention=True)
    found = list(translate(loaded, lines, chain("greedy"), options, prefixes=prefixes))
    assert found[0].text == free[0].text
    assert found[1].text.split()[:2] == ["THE", "SLINGS"]
    assert found[2].text.split()[0] == "NOBLER"
    assert found[3].text.startswith("no words known"), "it is written as it was given"
    assert found[3].candidates[0].tokens[:3] == (3, 3, 3)
    assert [each.forced for each in found] == [0, 2, 1, 3]
    for translation in found:
        best = translation.candidates[0]
        assert len(best.token_log_probs) == len(best.tokens)
        assert best.log_prob == pytest.approx(sum(best.token_log_probs), abs=1e-3)
        assert best.attention is not None
        assert best.attention.shape[0] == len(best.tokens)


def test_prefixes_that_run_out_are_told(loaded: LoadedModel) -> None:
    with pytest.raises(UsageError, match="There are 2 prefixes"):
        list(translate(loaded, LINES, chain("greedy"), prefixes=["", ""]))


def test_the_limit_is_of_each_source(loaded: LoadedModel) -> None:
    options = TranslationOptions(max_length=MaxLength(1.0, 1), seed=1)
    forever = chain("sample", "minimum-length:n=99")
    for translation in some(translate(loaded, LINES, forever, options)):
        best = translation.candidates[0]
        assert len(best.tokens) == len(translation.source_tokens) + 2
        assert not best.finished


def test_attention_that_waits_is_bounded(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = texts(translate(loaded, LINES, chain("greedy"), TranslationOptions(attention=True)))
    monkeypatch.setattr("textgen.translation.grouping._WEIGHTS", 300)
    assert (
        texts(translate(loaded, LINES, chain("greedy"), TranslationOptions(attention=True)))
        == whole
    )


def test_seeds_matter_for_samples_only(loaded: LoadedModel) -> None:
    def said(spec: str, seed: int) -> list[str]:
        return texts(translate(loaded, LINES, chain(spec), TranslationOptions(seed=seed)))

    assert said("sample", 1) == said("sample", 1) != said("sample", 2)
    assert said("greedy", 1) == said("greedy", 2)


def test_a_language_model_is_refused_at_once(tmp_path: Path) -> None:
    model = load_model(str(save_language_model(tmp_path)), "cpu")
    with pytest.raises(UsageError, match="a translator is needed"):
        translate(model, [], chain("greedy"))


@pytest.mark.parametrize("kind", ["characters", "bytes"])
def test_other_tokens(tmp_path: Path, kind: str) -> None:
    model = load_model(str(save_translator(tmp_path, kind=kind)), "cpu")
    lines = ["To be", "ünknown ☃", "", "a\rb"]
    found = list(translate(model, lines, chain("beam:width=2"), prefixes=["TO ", "", "", ""]))
    assert found[0].text.startswith("TO ")
    assert found[2].text == ""
    assert not any("\n" in each.text or "\r" in each.text for each in found)


def test_plugins_learn_the_vocabulary(loaded: LoadedModel) -> None:
    banned = chain("greedy", "banned:words=['OR','TO']")
    said = " ".join(texts(translate(loaded, LINES, banned))).split()
    assert not {"OR", "TO"} & set(said)
    assert {"OR", "TO"} & set(" ".join(texts(translate(loaded, LINES, chain("greedy")))).split())
