"""Recipes: the configuration of whole trainings, and the named ones that come with textgen."""

from textgen.recipes.files import (
    RecipeFile,
    load_any_recipe,
    load_recipe,
    load_translator_recipe,
    read_recipe,
    recipe_names,
    with_settings,
)
from textgen.recipes.recipe import (
    CLASSIFIER,
    LANGUAGE_MODEL,
    TAGGER,
    TRANSLATOR,
    ClassifierRecipe,
    LanguageModelRecipe,
    TaggerRecipe,
    TranslatorRecipe,
)

__all__ = [
    "CLASSIFIER",
    "LANGUAGE_MODEL",
    "TAGGER",
    "TRANSLATOR",
    "ClassifierRecipe",
    "LanguageModelRecipe",
    "RecipeFile",
    "TaggerRecipe",
    "TranslatorRecipe",
    "load_any_recipe",
    "load_recipe",
    "load_translator_recipe",
    "read_recipe",
    "recipe_names",
    "with_settings",
]
