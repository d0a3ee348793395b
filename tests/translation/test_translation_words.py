"""Word links of a translation, and unknown words replaced by what they attend to."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from small_models import save_translator
from textgen.data.tokenizers.characters import CharacterTokenizer
from textgen.errors import UsageError
from textgen.loading import LoadedModel, load_model
from textgen.translation import Candidate, Translation, replace_unknown, word_links
from textgen.translation.links import make_links
from textgen.translation.words import text_after

UNKNOWN, EOS = 3, 2


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(str(save_translator(tmp_path_factory.mktemp("words"))), "cpu")


@pytest.fixture(scope="module")
def characters(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = save_translator(tmp_path_factory.mktemp("characters"), kind="characters")
    return load_model(str(folder), "cpu")


def example(
    loaded: LoadedModel, source: str, target: str, looks_at: list[int]
) -> tuple[Translation, Candidate]:
    """A translation whose target tokens (and eos) look at the given source tokens."""
    tokens = loaded.require_source().encode(source)
    said = [*loaded.tokenizer.encode(target), EOS]
    attention = np.full((len(said), len(tokens) + 1), 0.1, np.float32)
    attention[np.arange(len(looks_at)), looks_at] = 0.9
    candidate = Candidate(target, tuple(said), 0.0, 0.0, (0.0,) * len(said), True, attention)
    return Translation(0, source, tuple(tokens), False, (candidate,)), candidate


def test_words_are_linked_to_what_they_look_at(words: LoadedModel) -> None:
    pair = example(words, "to be or not", "NOT BE TO", [3, 1, 0, 2])
    assert word_links(words, *pair) == make_links([(3, 0), (1, 1), (0, 2)])


def test_characters_unite_to_words(characters: LoadedModel) -> None:
    # T O ␣ B E looks at "be" and at "t" of "to be"
    pair = example(characters, "to be", "BE TO", [3, 4, 2, 0, 3])
    assert word_links(characters, *pair) == make_links([(1, 0), (0, 1), (1, 1)])


def test_nothing_is_linked_to_nothing(words: LoadedModel) -> None:
    candidate = Candidate("", (), 0.0, 0.0, (), finished=True)
    assert word_links(words, Translation(0, "", (), False, (candidate,)), candidate) == frozenset()


def test_without_attention_there_are_no_links(tmp_path: Path, words: LoadedModel) -> None:
    plain = load_model(str(save_translator(tmp_path, attention="none")), "cpu")
    assert words.attends
    assert not plain.attends
    candidate = Candidate("TO", (5, EOS), 0.0, 0.0, (0.0, 0.0), finished=True)
    with pytest.raises(UsageError, match="no attention"):
        word_links(plain, Translation(0, "to", (5,), False, (candidate,)), candidate)


def test_unknown_words_are_copied_or_looked_up(words: LoadedModel) -> None:
    pair = example(words, "the Zebra be Yak", "<unk> THE <unk> OR", [3, 0, 1, 2])
    assert replace_unknown(words, *pair, {}) == "Yak THE Zebra OR"
    assert replace_unknown(words, *pair, {"Zebra": "HORSE OF STRIPES"}) == (
        "Yak THE HORSE OF STRIPES OR"
    )
    known = example(words, "the or", "THE OR", [0, 1])
    assert replace_unknown(words, *known, {"the": "X"}) == "THE OR"


def test_an_unknown_that_looks_at_eos_takes_its_best_word(words: LoadedModel) -> None:
    translation, candidate = example(words, "the Zebra", "<unk>", [2])
    assert candidate.attention is not None
    candidate.attention[0, 1] = 0.5
    assert replace_unknown(words, translation, candidate, {}) == "Zebra"


def test_an_unknown_character_becomes_one_character(characters: LoadedModel) -> None:
    pair = example(characters, "to ☃ be", "BE ☃", [5, 6, 4, 3])
    assert replace_unknown(characters, *pair, {"☃": "never used"}) == "BE ☃"


def test_what_was_forced_is_not_replaced(words: LoadedModel) -> None:
    translation, candidate = example(words, "the Zebra be Yak", "<unk> THE <unk> OR", [3, 0, 1, 2])
    forced = replace(translation, prefix="Ünwörd  THE", forced=2)
    assert replace_unknown(words, forced, candidate, {}) == "Ünwörd  THE Zebra OR"
    assert text_after(words, "Ünwörd  THE", 2, candidate.tokens) == "Ünwörd  THE <unk> OR"
    only = replace(candidate, tokens=candidate.tokens[:2], text="Ünwörd THE")
    assert replace_unknown(words, forced, only, {}) == "Ünwörd THE"


@pytest.mark.parametrize(
    ("source", "target", "looks_at", "expected"),
    [
        ("to gőt be", "GŐT", [1, 1, 1], "GőT"),
        ("to gőtű be", "GŐTŰ", [1, 1, 1, 1], "GőTű"),
        ("to got be", "GŐT", [1, 1, 1], "G\N{REPLACEMENT CHARACTER}T"),
        ("to gőt be", "ŐŐ", [1, 1], "ő\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_an_unknown_character_never_becomes_a_word(
    tmp_path: Path, source: str, target: str, looks_at: list[int], expected: str
) -> None:
    tokenizer = CharacterTokenizer("GTBEOgtbeo ")
    loaded = load_model(str(save_translator(tmp_path)), "cpu")
    mixed = replace(loaded, tokenizer=tokenizer)  # words to characters
    assert (
        replace_unknown(mixed, *example(mixed, source, target, looks_at), {"gőt": "X"}) == expected
    )


def test_unknown_characters_in_a_row_are_one_subword(words: LoadedModel) -> None:
    class Pieces(CharacterTokenizer):
        kind = "subwords"

    mixed = replace(words, tokenizer=Pieces("GTgt "))
    pair = example(mixed, "to gőűt", "GŐT", [1, 1, 1])
    assert replace_unknown(mixed, *pair, {}) == "GőűT"
