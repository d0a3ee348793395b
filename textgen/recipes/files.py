"""Recipes: named configurations of whole trainings, as TOML files that travel with the package."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from textgen.config import Settings, merge, parse_settings, read_toml, structure
from textgen.errors import ConfigError, nearest
from textgen.log import logger
from textgen.recipes.recipe import (
    LANGUAGE_MODEL,
    TRANSLATOR,
    LanguageModelRecipe,
    TranslatorRecipe,
)
from textgen.renames import renamed
from textgen.task import find_task

BOUNDS = ("steps", "epochs", "minutes")


class RecipeFile(NamedTuple):
    """A recipe as it was written.

    Attributes:
        name: of the recipe, or the path of its file.
        kind: of the models that it makes.
        about: one sentence.
        data: its sections.
    """

    name: str
    kind: str
    about: str
    data: Mapping[str, Any]


def recipe_names(kind: str = LANGUAGE_MODEL) -> list[str]:
    """The recipes of a kind that come with textgen."""
    return [name for name in sorted(_bundled()) if read_recipe(name).kind == kind]


def read_recipe(name: str) -> RecipeFile:
    """A recipe by its name, or by the path of a TOML file.

    Raises:
        ConfigError: if there is none, or it cannot be read.
    """
    bundled = _bundled()
    path = bundled.get(name, Path(name))
    if name not in bundled and path.suffix != ".toml":
        raise ConfigError(
            [f"There is no recipe {name!r}.{nearest(name, bundled)} Or the path of a .toml file."]
        )
    data = read_toml(path)
    kind, about = data.pop("kind", LANGUAGE_MODEL), data.pop("about", "")
    return RecipeFile(name, str(kind), str(about), data)


def load_recipe(name: str, settings: Settings = ()) -> LanguageModelRecipe:
    """A language model's recipe with settings on top.

    Where the settings bound the training (steps, epochs, minutes), the recipe's own bounds no
    longer hold.

    Args:
        name: of the recipe, or the path of a TOML file.
        settings: as in ``["model.hidden=512", "training.minutes=5"]``, or a mapping.

    Raises:
        ConfigError: with all that is wrong.
    """
    recipe: LanguageModelRecipe = load_any_recipe(LANGUAGE_MODEL, name, settings)
    return recipe


def load_translator_recipe(name: str, settings: Settings = ()) -> TranslatorRecipe:
    """A translator's recipe with settings on top; see ``load_recipe``."""
    recipe: TranslatorRecipe = load_any_recipe(TRANSLATOR, name, settings)
    return recipe


def load_any_recipe(kind: str, name: str, settings: Settings = ()) -> Any:
    """A recipe of a task with settings on top; see ``load_recipe``.

    Raises:
        PluginError: if there is no such task.
        ConfigError: with all that is wrong.
    """
    recipe = read_recipe(name)
    if recipe.kind != kind:
        hint = nearest("", recipe_names(kind))
        raise ConfigError([f"The recipe {name!r} makes a {recipe.kind}, not a {kind}.{hint}"])
    cls = find_task(kind).recipe_class
    made = structure(cls, with_settings(recipe.data, settings), where=f"recipe {name}")
    made.training.require_bound()
    return made


def with_settings(data: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Nested data of a recipe with settings on top; new bounds replace all old ones.

    Old names of keys are read, and the logger ``textgen`` is told.
    """
    data, notes = renamed(data)
    changes, others = renamed(parse_settings(settings))
    for note in (*notes, *others):
        logger.warning(note)
    training = data.get("training")
    changed = changes.get("training")
    bounded = isinstance(changed, dict) and any(changed.get(name) for name in BOUNDS)
    if bounded and isinstance(training, Mapping):
        kept = {name: value for name, value in training.items() if name not in BOUNDS}
        data = {**data, "training": kept}
    return merge(data, changes)


def _bundled() -> dict[str, Path]:
    """The package's recipe files by name."""
    folder = Path(str(resources.files("textgen"))) / "recipes_data"
    return {path.stem: path for path in folder.glob("*.toml")}
