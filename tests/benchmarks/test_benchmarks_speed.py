"""Counts of operations against what torch really multiplies; README's section; synthetic data."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import Product, Row, operations
from benchmarks.speed import readme, work
from benchmarks.speed.ceilings import EXACT, Ceilings, coarse
from benchmarks.speed.decoding import Steps, Watched, counted
from benchmarks.speed.readme import BEGIN, END, rewritten
from benchmarks.speed.settings import Part
from benchmarks.speed.synthetic import (
    save_translator,
    sentences,
    translated,
    word_tokenizer,
    zipf,
)
from textgen.decoding.chain import default_registries, resolve
from textgen.loading import load_model
from textgen.models.config import LanguageModelConfig, TranslatorConfig
from textgen.models.language_model import LanguageModel
from textgen.models.translator import Translator
from textgen.protocols import Batch
from textgen.recipes import load_translator_recipe
from textgen.translation import TranslationOptions

VOCABULARY = 19


def multiplied(forward: Callable[[], torch.Tensor], *, backward: bool = False) -> float:
    """Operations of all products that torch does; float64 has no fused kernels to hide them."""
    with FlopCounterMode(display=False) as counter:
        value = forward()
        if backward:
            value.sum().backward()  # type: ignore[no-untyped-call]
    return float(counter.get_total_flops())


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize(
    "config",
    [
        LanguageModelConfig(hidden=6, layers=2, embedding=4),
        LanguageModelConfig(hidden=6, layers=3, embedding=4, tied=True),
        LanguageModelConfig(hidden=6, layers=1, tied=True),
    ],
)
def test_products_of_language_models_are_what_torch_multiplies(
    config: LanguageModelConfig, backward: bool
) -> None:
    model = LanguageModel(config, VOCABULARY).double()
    tokens = torch.randint(VOCABULARY, (3, 5))
    state = model.begin(Batch(3))
    products = work.language_model(config, VOCABULARY, 3, 5)
    if backward:
        products = work.with_backward(products)
    found = multiplied(lambda: model(tokens, state)[0], backward=backward)
    unused = _first_gradients(config.layers, 3, config.hidden) if backward else 0
    assert operations(products) == pytest.approx(found + unused)


def _first_gradients(layers: int, rows: int, hidden: int) -> float:
    """Gradients of the first states, which nobody asks for."""
    return layers * Product(rows, 4 * hidden, hidden).operations


@pytest.mark.parametrize("attention", ["none", "dot", "general", "additive"])
@pytest.mark.parametrize("tied", ["none", "all"])
@pytest.mark.parametrize("layers", [1, 2])
def test_products_of_translators_are_what_torch_multiplies(
    attention: str, tied: str, layers: int
) -> None:
    config = TranslatorConfig(
        hidden=6,
        embedding=4,
        layers=layers,
        encoder_layers=layers,
        attention=attention,  # type: ignore[arg-type]
        tied=tied,  # type: ignore[arg-type]
    )
    model = Translator(config, VOCABULARY, VOCABULARY).double()
    batch = Batch(3, torch.randint(VOCABULARY, (3, 7)), torch.tensor([7, 4, 5]))
    tokens = torch.randint(VOCABULARY, (3, 5))
    found = multiplied(lambda: model(tokens, model.begin(batch))[0])
    assert operations(work.translator(config, VOCABULARY, 3, (7, 5))) == pytest.approx(found)


def test_hypotheses_of_a_source_share_its_memory() -> None:
    config = TranslatorConfig(hidden=6, embedding=4)
    model = Translator(config, VOCABULARY, VOCABULARY).double()
    state = model.begin(Batch(3, torch.randint(VOCABULARY, (3, 7)), torch.tensor([7, 7, 7])))
    state = state.select(torch.zeros(3, 4, dtype=torch.int64))
    tokens = torch.randint(VOCABULARY, (12, 1))
    found = multiplied(lambda: model.features(tokens, state)[0])
    assert operations(work.decoding(config, 3, 4, 7)) == pytest.approx(found)


def test_gradients_cost_twice_the_product() -> None:
    products = [Product(3, 4, 5, times=6), Product(2, 3, 4, batch=5)]
    assert operations(work.with_backward(products)) == 3 * operations(products)


def test_what_is_looked_up_is_no_product() -> None:
    config = LanguageModelConfig(hidden=6, layers=2, embedding=4)
    whole = work.language_model(config, VOCABULARY, 3)
    first = Product(3, 4, 4 * 6)
    assert [first, *work.language_model(config, VOCABULARY, 3, looked_up=True)] == whole
    fed = TranslatorConfig(input_feeding=True)
    assert work.decoding(fed, 1, 1, 7, looked_up=True) == work.decoding(fed, 1, 1, 7)


def test_what_products_move_is_both_matrices_and_the_result() -> None:
    left, right = torch.ones(3, 4), torch.ones(4, 5)
    numbers = left.numel() + right.numel() + (left @ right).numel()
    assert work.moved([Product(3, 4, 5)]) == numbers
    assert work.moved([Product(3, 4, 5, times=2), Product(3, 4, 5, batch=7)]) == 9 * numbers


def test_rows_of_the_grid_are_near() -> None:
    assert [coarse(rows) for rows in range(EXACT + 1)] == list(range(EXACT + 1))
    assert all(abs(coarse(rows) / rows - 1) < 0.12 for rows in range(1, 3000))
    assert all(one <= two for one, two in pairwise(coarse(rows) for rows in range(1, 3000)))


def test_a_ceiling_grows_with_the_repetitions_and_needs_nothing_for_nothing() -> None:
    ceilings = Ceilings(torch.float32, rounds=1)
    once = ceilings.seconds([Product(2, 8, 80)])
    assert once > 0
    assert ceilings.seconds([Product(2, 8, 80, times=10)]) == pytest.approx(10 * once)
    assert ceilings.seconds([Product(0, 8, 80)]) == 0


def test_what_a_decoding_asks_of_a_model_is_counted(tmp_path: Path) -> None:
    recipe = load_translator_recipe("translator-small", ["model.hidden=8", "model.embedding=4"])
    save_translator(tmp_path, recipe, word_tokenizer(VOCABULARY))
    loaded = load_model(str(tmp_path), "cpu")
    chain = resolve("greedy", [], default_registries())
    lines = ["w1 w2 w3", "w4 w5 w6"]
    steps = counted(loaded, lines, chain, TranslationOptions())
    assert steps.sources == {(2, 4): 1}
    assert set(steps.logits) == {(2, VOCABULARY)}
    # each step reads the token before it, and no token follows the last
    assert steps.logits[2, VOCABULARY] == sum(steps.steps.values())
    assert set(steps.steps) == {(2, 1, 1, 4)}
    alone = counted(loaded, lines, chain, TranslationOptions(batch_tokens=1))
    assert operations(alone.products(recipe.model)) == pytest.approx(
        operations(steps.products(recipe.model))
    )


def test_models_made_of_a_watched_model_are_watched() -> None:
    class Model:
        vocabulary_size = VOCABULARY

        def for_decoding(self, precision: str) -> "Model":
            assert precision == "float32"
            return Model()

        def output(self, features: torch.Tensor) -> torch.Tensor:
            return features.new_zeros(*features.shape[:-1], VOCABULARY)

    steps = Steps()
    watched = Watched(Model(), steps)
    watched.for_decoding("float32").output(torch.zeros(3, 2, 8))
    assert steps.logits == {(6, VOCABULARY): 1}
    assert watched.vocabulary_size == VOCABULARY


def test_no_step_no_product() -> None:
    assert Steps().products(TranslatorConfig()) == []


def test_the_section_of_a_readme_is_replaced_and_nothing_else() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = rewritten(text, "new\n")
    assert once == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert rewritten(once, "new") == once


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}"])
def test_a_readme_without_its_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="speed"):
        rewritten(text, "new")


def test_tables_notes_and_picture_come_into_a_readme(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(f"# Name\n{BEGIN}\n{END}\n", encoding="utf-8")
    parts = [
        Part("First", [Row("a", 1.0, "s", 2.0, "bare")], ["A note."]),
        Part("Second", extra="| x |", data={"picture": True}),
    ]
    readme.write(path, parts, "a processor", "growth.png")
    text = path.read_text(encoding="utf-8")
    places = [
        "a processor",
        "### First",
        "| a | 1 s |",
        "A note.",
        "### Second",
        "| x |",
        "(growth",
    ]
    assert [text.index(each) for each in places] == sorted(text.index(each) for each in places)


def test_parts_that_are_not_measured_stay_in_a_readme(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(f"# Name\n{BEGIN}\n{END}\nafter\n", encoding="utf-8")
    first, second, third = (
        Part(title, [Row(title, 1.0, "s", 2.0, "bare")], ["A note."]) for title in "ABC"
    )
    readme.write(path, [first, second, third], "old", None)
    whole = path.read_text(encoding="utf-8")
    again = Part("B", [Row("B", 3.0, "s", 4.0, "bare")])
    readme.write(path, [again], "new", None, whole=False)
    text = path.read_text(encoding="utf-8")
    assert [text.index(f"### {title}") for title in "ABC"] == sorted(
        text.index(f"### {title}") for title in "ABC"
    )
    assert "| B | 3 s |" in text
    assert "| B | 1 s |" not in text
    assert text.count("A note.") == 2
    readme.write(path, [second], "old", None, whole=False)
    assert path.read_text(encoding="utf-8") == whole


def test_synthetic_sentences_look_like_captions() -> None:
    made = sentences(2000, 500)
    lengths = np.array([len(each.split()) for each in made])
    assert abs(lengths.mean() - 14) < 0.5
    assert abs(lengths.std() - 4) < 0.5
    assert made == sentences(2000, 500)
    assert set(" ".join(made).split()) <= set(word_tokenizer(505).words)
    assert translated("w1 w7 w17") == "w1 w7 w7 w17 w17"


def test_numbers_follow_zipfs_law() -> None:
    counts = np.bincount(zipf(200_000, 1000, np.random.default_rng(0)), minlength=1000)
    expected = counts.sum() / (1 / (np.arange(1000) + 2.7)).sum() / (np.arange(1000) + 2.7)
    assert np.abs(counts[:20] / expected[:20] - 1).max() < 0.1
