"""``textgen plugins``: what can be named after --decode and --filter, and where it comes from."""

from __future__ import annotations

import ast
import dataclasses
import importlib.machinery
import inspect
from pathlib import Path
from typing import Any

import click

from textgen.cli.lazy import examples
from textgen.cli.options import plugin_registries, plugins_option
from textgen.cli.output import json_lines_option, print_json, print_table
from textgen.config import Option, describe
from textgen.errors import PluginError, nearest
from textgen.registry import Entry, Registry


@click.command(
    "plugins",
    epilog=examples(
        "textgen plugins",
        "textgen plugins nucleus",
        "textgen plugins --plugins my/plugins --json",
    ),
)
@click.argument("name", required=False)
@plugins_option
@json_lines_option
def command(*, name: str | None, as_json: bool) -> None:
    """List the strategies and filters of decoding.

    With NAME: what it does and which options it takes. Listing imports no plugin. Dropped files
    are found in plugins/ of a checkout, in the folders of the variable TEXTGEN_PLUGINS, and in
    those given with --plugins.
    """
    registries = plugin_registries()
    if name is None:
        _list(registries, as_json)
        return
    wanted = name.partition(":")[0].replace("_", "-")
    holders = [registry for registry in registries if wanted in registry.names()]
    if not holders:
        hint = nearest(wanted, {known for registry in registries for known in registry.names()})
        raise PluginError(f"There is no plugin {wanted!r}.{hint}")
    for registry in holders:
        _show(registry, wanted, as_json)


def _list(registries: tuple[Registry[Any], ...], as_json: bool) -> None:
    """One line for each plugin, none imported."""
    found = [(registry.kind, entry) for registry in registries for entry in registry.entries()]
    rows = [(entry.name, kind, entry.origin, summary(entry)) for kind, entry in found]
    if as_json:
        for row in rows:
            print_json(dict(zip(("name", "kind", "origin", "summary"), row, strict=True)))
    else:
        print_table([("NAME", "KIND", "ORIGIN", "WHAT IT DOES"), *rows])


def _show(registry: Registry[Any], name: str, as_json: bool) -> None:
    """A plugin's documentation, options and origin."""
    entry, factory = registry.entry(name), registry.load(name)
    text = inspect.getdoc(factory) or summary(entry)
    options = describe(factory) if _is_dataclass(factory) else []
    if as_json:
        data: dict[str, Any] = {"name": name, "kind": registry.kind, "origin": entry.origin}
        data |= {"text": text, "options": [option._asdict() for option in options]}
        print_json(data)
        return
    click.echo(f"{name}: a {registry.kind} of {entry.origin}\n\n{text}\n")
    if options:
        print_table([("OPTION", "TYPE", "DEFAULT", "MEANING"), *map(tuple, options)])
    elif _is_dataclass(factory):
        click.echo("It has no options.")
    if "Example" not in text:
        click.echo(f"\nExample: {_usage(registry.kind, name, options)}")


def _usage(kind: str, name: str, options: list[Option]) -> str:
    """How the plugin is asked for, with its defaults written out."""
    known = [option for option in options if option.default != "(needed)"]
    values = ",".join(f"{option.path}={option.default}" for option in known[:3])
    flag = "--decode" if kind == "strategy" else "--filter"
    return f"{flag} {name}:{values}" if values else f"{flag} {name}"


def _is_dataclass(factory: Any) -> bool:
    return isinstance(factory, type) and dataclasses.is_dataclass(factory)


def summary(entry: Entry) -> str:
    """The first sentence of a plugin's docstring, read from its source and not imported."""
    module, _, attribute = entry.target.rpartition(":")
    path = entry.path or _source(module)
    try:
        tree = ast.parse(path.read_bytes()) if path else ast.parse("")
    except (OSError, SyntaxError, ValueError):
        return "cannot be read"
    texts = [
        ast.get_docstring(node)
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == attribute
    ]
    text = next(filter(None, [*texts, ast.get_docstring(tree)]), "")
    return text.partition("\n")[0]


def _source(module: str) -> Path | None:
    """The file of a module, found without importing the packages that it lies in."""
    folders: list[str] | None = None
    found = None
    for depth in range(1, module.count(".") + 2):
        name = ".".join(module.split(".")[:depth])
        try:
            found = importlib.machinery.PathFinder.find_spec(name, folders)
        except (ImportError, OSError, ValueError):
            return None
        if found is None:
            return None
        folders = list(found.submodule_search_locations or [])
    return Path(found.origin) if found and found.origin else None
