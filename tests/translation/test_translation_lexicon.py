"""Lexicons: what is kept, where, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from checks import some
from small_models import TEXT, save_language_model, save_translator
from textgen.checkpoint import load_tensors, save_tensors
from textgen.errors import CheckpointError, DataError, UsageError
from textgen.loading import LoadedModel, load_model
from textgen.translation.coverage import coverage
from textgen.translation.ibm_model1 import Model1
from textgen.translation.lexicon import (
    LEXICON,
    Lexicon,
    Round,
    learn_lexicon,
    load_lexicon,
    save_lexicon,
)
from textgen.translation.shortlist import Shortlists

WORDS = TEXT.split()
PAIRS = [
    (" ".join(part), " ".join(part).upper())
    for part in (WORDS[start : start + 2 + start % 5] for start in range(len(WORDS) - 5))
]


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedModel:
    return load_model(str(save_translator(tmp_path / "model")), "cpu")


def made_up() -> Lexicon:
    """Three source tokens: 7 and 5, nothing, 6 alone."""
    return Lexicon(
        offsets=torch.tensor([0, 2, 2, 3]),
        targets=torch.tensor([7, 5, 6], dtype=torch.int32),
        probabilities=torch.tensor([0.5, 0.25, 1.0]),
        counts=torch.tensor([0, 0, 0, 1, 9, 4, 4, 2]),
        pairs=3,
    )


def test_what_a_word_becomes_is_found(loaded: LoadedModel) -> None:
    told: list[Round] = []
    lexicon = learn_lexicon(loaded, PAIRS, rounds=20, listener=told.append)
    assert [each.number for each in told] == list(range(1, 21))
    assert {(each.rounds, each.pairs) for each in told} == {(20, len(PAIRS))}
    source, target = loaded.require_source(), loaded.tokenizer
    right = 0
    for word in WORDS:
        best = lexicon.row(source.encode(word)[0])[0][0]
        right += target.decode([best]).strip() == word.upper()
    assert right >= 0.9 * len(WORDS)
    assert int(lexicon.counts.sum()) == sum(len(target.encode(pair[1])) for pair in PAIRS)


def test_rows_hold_what_the_model_learnt_best_first(loaded: LoadedModel) -> None:
    lexicon = learn_lexicon(loaded, PAIRS, rounds=3)
    source, target = loaded.require_source(), loaded.tokenizer
    eos = source.special.eos
    model = Model1(
        [([*source.encode(mine), eos], target.encode(theirs)) for mine, theirs in PAIRS],
        target.size,
    )
    for _ in range(3):
        model.improve()
    assert lexicon.row(eos)  # the empty word
    for token in range(source.size):
        here = model.table.sources == token
        found = dict(lexicon.row(token))
        chances = model.table.probabilities[here]
        expected = dict(zip(model.table.targets[here].tolist(), chances.tolist(), strict=True))
        likely = {key: chance for key, chance in expected.items() if chance >= 1e-4}
        assert found == pytest.approx(likely, rel=1e-6)
        assert list(found.values()) == sorted(found.values(), reverse=True)


def test_no_row_is_longer_than_what_is_kept(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = learn_lexicon(loaded, PAIRS)
    monkeypatch.setattr("textgen.translation.lexicon.KEPT", 2)
    lexicon = learn_lexicon(loaded, PAIRS)
    for token in some(range(loaded.require_source().size)):
        assert lexicon.row(token) == whole.row(token)[:2]


def test_best_without_and_frequent() -> None:
    lexicon = made_up()
    assert lexicon.row(0) == [(7, 0.5), (5, 0.25)]
    assert lexicon.row(1) == []
    assert lexicon.best(2, fill=0).tolist() == [[7, 5], [0, 0], [6, 0]]
    assert lexicon.best(1, fill=3).tolist() == [[7], [3], [6]]
    assert lexicon.frequent(3).tolist() == [4, 5, 6]
    assert lexicon.frequent(99).tolist() == [4, 5, 6, 7, 3]
    fewer = lexicon.without(torch.tensor([7, 6]))
    assert [fewer.row(token) for token in range(3)] == [[(5, 0.25)], [], []]
    nothing = lexicon.without(torch.tensor([5, 6, 7]))
    assert nothing.best(2, fill=1).tolist() == [[1, 1]] * 3


def test_what_is_saved_comes_back(loaded: LoadedModel) -> None:
    lexicon = learn_lexicon(loaded, PAIRS)
    assert save_lexicon(lexicon, loaded) == loaded.folder / LEXICON
    again = load_lexicon(loaded)
    for field in dataclasses.fields(Lexicon):
        mine, theirs = getattr(lexicon, field.name), getattr(again, field.name)
        assert torch.equal(torch.as_tensor(mine), torch.as_tensor(theirs)), field.name
    load_model(str(loaded.folder), "cpu")  # the model does not mind


def test_a_folder_without_one_says_how_to_make_it(loaded: LoadedModel) -> None:
    with pytest.raises(CheckpointError, match="has no lexicon: `textgen lexicon --model"):
        load_lexicon(loaded)


def test_a_lexicon_of_other_tokenizers_is_refused(tmp_path: Path, loaded: LoadedModel) -> None:
    save_lexicon(learn_lexicon(loaded, PAIRS), loaded)
    other = load_model(str(save_translator(tmp_path / "b", kind="characters")), "cpu")
    (other.folder / LEXICON).write_bytes((loaded.folder / LEXICON).read_bytes())
    with pytest.raises(CheckpointError, match="another tokenizer"):
        load_lexicon(other)


@pytest.mark.parametrize(
    "damage",
    [
        {"offsets": torch.zeros(3, dtype=torch.int64)},
        {"counts": torch.zeros(3, dtype=torch.int64)},
        {"probabilities": torch.zeros(2)},
        {"more": torch.zeros(2)},
        {"targets": None},
    ],
    ids=lambda damage: next(iter(damage)),
)
def test_a_file_whose_parts_do_not_fit_is_refused(
    loaded: LoadedModel, damage: dict[str, torch.Tensor | None]
) -> None:
    path = save_lexicon(learn_lexicon(loaded, PAIRS), loaded)
    tensors, facts = load_tensors(path)
    changed = {name: part for name, part in {**tensors, **damage}.items() if part is not None}
    save_tensors(path, changed, facts)
    with pytest.raises(CheckpointError, match="is no lexicon of this model"):
        load_lexicon(loaded)


def test_tokens_outside_the_vocabulary_are_refused(loaded: LoadedModel) -> None:
    lexicon = learn_lexicon(loaded, PAIRS)
    wrong = lexicon.targets.clone()
    wrong[0] = loaded.tokenizer.size
    save_lexicon(dataclasses.replace(lexicon, targets=wrong), loaded)
    with pytest.raises(CheckpointError, match="is no lexicon of this model"):
        load_lexicon(loaded)


def test_a_file_cut_in_half_is_refused(loaded: LoadedModel) -> None:
    path = save_lexicon(learn_lexicon(loaded, PAIRS), loaded)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="damaged"):
        load_lexicon(loaded)


def test_what_cannot_be_learnt_from(loaded: LoadedModel, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to learn from"):
        learn_lexicon(loaded, [("", "TO BE"), ("to be", " "), ("to " * 300, "TO")])
    model = load_model(str(save_language_model(tmp_path / "lm")), "cpu")
    with pytest.raises(UsageError, match="a translator is needed"):
        learn_lexicon(model, PAIRS)


def test_coverage_is_what_counting_finds(loaded: LoadedModel) -> None:
    lexicon = learn_lexicon(loaded, PAIRS[:20])
    for best in (1, 3):
        shortlists = Shortlists(loaded, lexicon, best)
        sizes, among, tokens = [], 0, 0
        for source, target in PAIRS:
            short = shortlists([loaded.require_source().encode(source)], [[]])
            own = set(short.tokens.tolist())
            wanted = loaded.tokenizer.encode(target)
            sizes.append(len(own))
            among += sum(token in own for token in wanted)
            tokens += len(wanted)
        found = coverage(loaded, lexicon, [*PAIRS, ("", "TO")], best)
        assert found.size == pytest.approx(sum(sizes) / len(sizes))
        assert found.covered == pytest.approx(among / tokens)
