"""Recipes: the shipped ones are sound, one's own are read, settings lie on top."""

from pathlib import Path

import pytest

from textgen.errors import ConfigError
from textgen.models.language_model import LanguageModel
from textgen.recipes import load_recipe, read_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_are_sound(name: str) -> None:
    recipe = load_recipe(name)
    recipe.training.require_bound()
    assert read_recipe(name).about.endswith(".")
    assert read_recipe(name).kind == "language-model"
    small = load_recipe(name, ["model.hidden=4", "model.embedding=4"])
    LanguageModel(small.model, 7)


def test_the_names_that_others_rely_on() -> None:
    assert {"char-small", "char-large", "word-small", "subword-small"} <= set(recipe_names())
    assert recipe_names("no such kind") == []
    assert load_recipe("char-small").tokenizer.kind == "characters"
    assert load_recipe("word-small").tokenizer.kind == "words"
    assert load_recipe("subword-small").tokenizer.kind in {"bpe", "unigram"}


def test_settings_lie_on_top() -> None:
    recipe = load_recipe("char-small", ["model.hidden=33", "training.seed=5", "model.cell=gru"])
    assert (recipe.model.hidden, recipe.training.seed, recipe.model.cell) == (33, 5, "gru")


@pytest.mark.parametrize(
    ("settings", "bounds"),
    [
        (["training.minutes=1.5"], (None, None, 1.5)),
        (["training.epochs=2"], (None, 2, None)),
        (["training.steps=7", "training.minutes=2"], (7, None, 2)),
        (["training.seed=1"], (30, None, None)),
        (["training.minutes=none"], (30, None, None)),
    ],
)
def test_new_bounds_replace_the_recipes(
    tmp_path: Path, settings: list[str], bounds: tuple[float | None, ...]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[training]\nsteps = 30\nbatch = 3\n", encoding="utf-8")
    training = load_recipe(str(path), settings).training
    assert (training.steps, training.epochs, training.minutes) == bounds
    assert training.batch == 3


def test_own_files_and_their_errors(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('about = "x"\n[model]\nhidden = 3\n[training]\nsteps = 1\n', encoding="utf-8")
    assert load_recipe(str(path)).model.hidden == 3
    path.write_text("[model]\nhiden = 0\n[training]\nsteps = 0\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_recipe(str(path), ["model.layers=0"])
    assert len(caught.value.problems) == 3
    assert all(str(path) in problem for problem in caught.value.problems)
    path.write_text("[model]\nhidden = 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="no stopping criterion"):
        load_recipe(str(path))
    path.write_text('kind = "translator"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="makes a translator, not a language-model"):
        load_recipe(str(path))
    with pytest.raises(ConfigError, match=r"missing\.toml: cannot be read"):
        load_recipe(str(tmp_path / "missing.toml"))


def test_unknown_recipes_get_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no recipe 'char-smal'\. Did you mean 'char-small'\?"):
        load_recipe("char-smal")
