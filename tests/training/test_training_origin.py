"""A model knows what it was made from: other texts, tokenizers and pairs are told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from textgen.config import structure
from textgen.data.documents import Texts, TextSource
from textgen.data.parallel import PairTexts
from textgen.data.sequences import sequences_of
from textgen.data.tokenising import tokenise_stream
from textgen.data.tokenizers import TokenizerConfig, train_tokenizer
from textgen.errors import CheckpointError, TextgenError, UsageError
from textgen.evaluation.perplexity import is_trained_on, perplexity
from textgen.loading import load_model
from textgen.recipes.recipe import LanguageModelRecipe, TranslatorRecipe
from textgen.tasks.language_model import train_language_model
from textgen.tasks.translator import train_translator
from textgen.training.events import Event, Note

LINE = "the cat sat on the mat and the dog sat on the cat\n"
TEXT = Texts([LINE * 8], "a.txt")
OTHER = Texts([LINE.replace("cat", "dog") * 8], "b.txt")
USUAL = {"steps": 2, "batch": 2, "bptt_length": 8, "precision": "float32", "device": "cpu"}


def train(
    out: Path,
    text: TextSource = TEXT,
    valid: TextSource | None = None,
    *,
    resume: bool = False,
    unit: str = "stream",
    **training: object,
) -> list[Event]:
    data = {
        "model": {"hidden": 4, "layers": 1},
        "data": {"unit": unit},
        "training": {**USUAL, "batch": 300 if unit == "lines" else 2, **training},
    }
    recipe = structure(LanguageModelRecipe, data)
    return list(train_language_model(recipe, text, valid, out, resume=resume))


def notes(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Note)]


@pytest.mark.parametrize("unit", ["stream", "lines"])
def test_held_out_is_what_was_held_out(tmp_path: Path, unit: str) -> None:
    text = Texts([LINE * 4 + "".join(f"{n} dogs sat\n" for n in range(30))], "a.txt")
    train(tmp_path / "m", text, unit=unit)
    model = load_model(str(tmp_path / "m"), "cpu")
    assert model.facts["valid"]["held_out"] is True
    whole, held_out = perplexity(model, text), perplexity(model, text, held_out=True)
    assert 0 < held_out.characters < whole.characters / 4
    with pytest.raises(UsageError, match=r"held out a.txt \(.*which b.txt .* is not"):
        perplexity(
            model, OTHER if unit == "stream" else Texts(["x\ny\nz\n"], "b.txt"), held_out=True
        )


def test_nothing_of_a_text_with_its_own_validation_was_held_out(tmp_path: Path) -> None:
    train(tmp_path / "m", TEXT, OTHER)
    model = load_model(str(tmp_path / "m"), "cpu")
    with pytest.raises(UsageError, match=r"trained on all of a.txt and validated on b.txt"):
        perplexity(model, TEXT, held_out=True)
    assert is_trained_on(model, perplexity(model, TEXT).digest)
    assert not is_trained_on(model, perplexity(model, OTHER).digest)


def test_another_text_of_equal_counts_is_not_gone_on_with(tmp_path: Path) -> None:
    train(tmp_path / "m")
    with pytest.raises(CheckpointError, match="the text is another one"):
        train(tmp_path / "m", OTHER, resume=True, steps=4)
    with pytest.raises(CheckpointError, match=r"tokens: \d+ before, \d+ now"):
        train(tmp_path / "m", Texts([LINE * 9]), resume=True, steps=4)
    train(tmp_path / "m", Texts([LINE * 8], "another name"), resume=True, steps=4)


def test_the_best_weights_are_judged_on_the_validation_text_that_there_is(tmp_path: Path) -> None:
    train(tmp_path / "m", TEXT, TEXT, steps=3)
    told = notes(train(tmp_path / "m", TEXT, TEXT, steps=4, resume=True))
    assert not [note for note in told if "another one than before" in note]
    strange = Texts(["mat mat mat dog dog\n" * 9], "c.txt")
    best = load_model(str(tmp_path / "m"), "cpu")
    expected = perplexity(best, strange)
    told = notes(train(tmp_path / "m", TEXT, strange, steps=4, resume=True))
    (note,) = [note for note in told if "another one than before (c.txt)" in note]
    told_loss = float(note.partition("loss ")[2].split(",")[0])
    assert told_loss == pytest.approx(expected.nll / expected.tokens, abs=1e-3)
    # it is told once: then this is the validation text that was there before
    told = notes(train(tmp_path / "m", TEXT, strange, steps=5, resume=True))
    assert not [note for note in told if "another one than before" in note]


def test_a_tokenizer_whose_characters_changed_places_is_refused(tmp_path: Path) -> None:
    train(tmp_path / "m")
    path = tmp_path / "m" / "tokenizer.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "characters": data["characters"][::-1]}))
    with pytest.raises(CheckpointError, match="text tokenizer is not the one"):
        load_model(str(tmp_path / "m"), "cpu")


def test_a_finished_training_says_so(tmp_path: Path) -> None:
    train(tmp_path / "m")
    told = notes(train(tmp_path / "m", resume=True))
    assert any("was over at step 2: its training.steps are used up (2)" in note for note in told)


def pairs(reverse: bool = False, extra: int = 0) -> PairTexts:
    words = ["cat", "dog", "mat", "sat", "on"]
    sources = [f"{words[i % 5]} {words[i * i % 5]}" for i in range(25)]
    targets = [f"{words[i % 3]} {i % 5}" for i in range(25)]
    targets = targets[::-1] if reverse else targets
    texts = zip(sources + ["long " * 20] * extra, targets + ["x"] * extra, strict=True)
    return PairTexts(list(texts))


def translator_events(out: Path, train: PairTexts, *, resume: bool = False) -> Iterator[Event]:
    data = {
        "model": {"hidden": 8, "embedding": 4, "layers": 1},
        "tokenizer": {"kind": "characters"},
        "data": {"max_length": 30},
        "validation": {"bleu_pairs": 2},
        "training": {**USUAL, "batch": 100, "steps": 4 if resume else 2},
    }
    recipe = structure(TranslatorRecipe, data)
    return train_translator(recipe, train, pairs(extra=3), out, resume=resume)


def test_sides_of_pairs_are_known_again(tmp_path: Path) -> None:
    told = notes(list(translator_events(tmp_path / "m", pairs())))
    assert any("3 longer than 30 or 30 tokens left out. BLEU is of the first 2." in n for n in told)
    with pytest.raises(CheckpointError, match="but the target is another one"):
        list(translator_events(tmp_path / "m", pairs(reverse=True), resume=True))
    list(translator_events(tmp_path / "m", pairs(), resume=True))


def test_the_same_text_has_the_same_digest_however_it_is_kept(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(TokenizerConfig(), [LINE])
    whole = tokenise_stream(TEXT, tokenizer, cache=tmp_path / "cache")
    mapped = tokenise_stream(TEXT, tokenizer, cache=tmp_path / "cache", in_memory=0)
    again = tokenise_stream(TEXT, tokenizer, cache=tmp_path / "cache")
    assert whole.digest == mapped.digest == again.digest
    assert len(whole.digest) == 32
    documents = tokenise_stream(Texts(["cat", "", "mat"]), tokenizer, cache=tmp_path / "none")
    rows = sequences_of([tokenizer.encode(each) for each in ("cat", "", "mat")])
    rows.tokens = rows.tokens.astype("u1")
    assert rows.digest(tokenizer.special.eos) == documents.digest
    assert rows.digest(tokenizer.special.eos) != sequences_of([[5, 6]]).digest(2)


def test_a_folder_of_two_trainings_is_refused(tmp_path: Path) -> None:
    train(tmp_path / "a")
    train(tmp_path / "b", Texts([LINE.upper() * 8]))
    shutil.copy(tmp_path / "b" / "model.safetensors", tmp_path / "a")
    with pytest.raises(TextgenError):
        load_model(str(tmp_path / "a"), "cpu")
