"""``textgen recipes``: what can be named after --recipe, and what --set can change."""

from __future__ import annotations

import click

from textgen.cli.lazy import examples
from textgen.cli.output import json_lines_option, print_json, print_table


@click.command(
    "recipes",
    epilog=examples("textgen recipes", "textgen recipes char-small", "textgen recipes my.toml"),
)
@click.argument("name", required=False)
@json_lines_option
def command(*, name: str | None, as_json: bool) -> None:
    """List the training recipes.

    With NAME, or the path of a TOML file: all keys with value, type and meaning.
    --set changes any of them.
    """
    if name is None:
        _list(as_json=as_json)
    else:
        _show(name, as_json=as_json)


def _list(*, as_json: bool) -> None:
    """One line for each recipe."""
    from textgen.recipes import read_recipe, recipe_names
    from textgen.task import task_names

    recipes = [read_recipe(name) for kind in task_names() for name in recipe_names(kind)]
    rows = [(recipe.name, recipe.kind, recipe.about) for recipe in recipes]
    if as_json:
        for row in rows:
            print_json(dict(zip(("name", "kind", "about"), row, strict=True)))
    else:
        print_table([("NAME", "MAKES", "ABOUT"), *rows])


def _show(name: str, *, as_json: bool) -> None:
    """Every key of a recipe."""
    from textgen.config import as_dict, describe
    from textgen.recipes import load_any_recipe, read_recipe

    written = read_recipe(name)
    recipe = load_any_recipe(written.kind, name)
    if as_json:
        facts = {"name": name, "kind": written.kind, "about": written.about}
        print_json({**facts, "config": as_dict(recipe)})
        return
    rows = [("KEY", "VALUE", "TYPE", "MEANING")]
    for option in describe(type(recipe)):
        value: object = recipe
        for part in option.path.split("."):
            value = getattr(value, part)
        rows.append(
            (option.path, "none" if value is None else str(value), option.type, option.help)
        )
    click.echo(f"{name}: {read_recipe(name).about}\n")
    print_table(rows)
