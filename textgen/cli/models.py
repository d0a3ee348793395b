"""``textgen models``: the models that can be named after --model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.failures import complain
from textgen.cli.lazy import examples
from textgen.cli.output import json_lines_option, print_json, print_table

if TYPE_CHECKING:
    from pathlib import Path


@click.command("models", epilog=examples("textgen models", "textgen models checkpoints/py --json"))
@click.argument("name", required=False)
@json_lines_option
def command(*, name: str | None, as_json: bool) -> None:
    """List the available models.

    These are the bundled ones and those under checkpoints/. With NAME (or a folder): its size,
    its configuration and its metrics.
    """
    if name is None:
        _list(as_json=as_json)
        return
    data = _details(name)
    if as_json:
        print_json(data)
        return
    print_table([(key, str(value)) for key, value in _flat(data)])


def _list(*, as_json: bool) -> None:
    """One line for each model; a damaged one is told on stderr."""
    from textgen.checkpoint import known_models, read_config
    from textgen.errors import CheckpointError

    rows = []
    for folder in known_models():
        try:
            config = read_config(folder)
        except CheckpointError as error:
            complain(str(error))
            continue
        rows.append((folder.name, config.kind, _in_short(config.config), str(folder)))
    if as_json:
        for row in rows:
            print_json(dict(zip(("name", "kind", "model", "folder"), row, strict=True)))
    elif rows:
        print_table([("NAME", "KIND", "MODEL", "FOLDER"), *rows])
    else:
        complain("There are no models yet: textgen train lm -h shows how to make one.")


def _in_short(config: Mapping[str, Any]) -> str:
    """``lstm 2 × 256, characters``."""
    model = config.get("model", {})
    cell = " ".join(str(model[key]) for key in ("cell", "layers") if key in model)
    size = f" × {model['hidden']}" if "hidden" in model else ""
    encoder = str(model.get("encoder", "recurrent"))
    if encoder != "recurrent":
        # a classifier is its encoder; a translator has a recurrent decoder as well
        cell, size = (f"{encoder}, {cell}", size) if "attention" in model else (encoder, "")
    kind = config.get("tokenizer", {}).get("kind", "")
    return f"{cell}{size}, {kind}" if kind else f"{cell}{size}"


def _details(name: str) -> dict[str, Any]:
    """All that a model's files tell."""
    from textgen.checkpoint import WEIGHTS, find_model, load_tensors, read_config

    folder: Path = find_model(name)
    config = read_config(folder)
    tensors, facts = load_tensors(folder / WEIGHTS)
    return {
        "name": folder.name,
        "folder": str(folder),
        "kind": config.kind,
        "textgen": config.textgen,
        "parameters": sum(tensor.numel() for tensor in tensors.values()),
        "bytes": (folder / WEIGHTS).stat().st_size,
        "facts": {**config.facts, **facts},
        "config": config.config,
    }


def _flat(data: Mapping[str, Any], path: str = "") -> list[tuple[str, Any]]:
    """Nested data as dotted names and values."""
    rows: list[tuple[str, Any]] = []
    for key, value in data.items():
        name = f"{path}.{key}" if path else str(key)
        rows += _flat(value, name) if isinstance(value, Mapping) else [(name, value)]
    return rows
