"""``textgen evaluate gradients``: how far gradients reach back in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from textgen.cli.failures import complain
from textgen.cli.lazy import examples
from textgen.cli.options import PathOf, whole_number
from textgen.cli.output import json_option, print_json, print_table
from textgen.errors import UsageError

if TYPE_CHECKING:
    from textgen.models.config import LanguageModelConfig
    from textgen.training.gradient_flow import FlowRow

VOCABULARY = 64
"""Tokens of models with fresh weights; which ones they read is random."""


@click.command(
    "gradients",
    epilog=examples(
        "textgen evaluate gradients --cell rnn --cell lstm --cell gru --plot gradients.png",
        "textgen evaluate gradients --model checkpoints/py --length 100",
        "textgen evaluate gradients --model checkpoints/py --cell rnn-residual --json",
        "textgen evaluate gradients --recipe char-small --recipe tagger-small --length 16",
    ),
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="DIR|NAME",
    help="A language model; it reads texts that it samples itself. Repeatable.",
)
@click.option(
    "--cell",
    "cells",
    multiple=True,
    metavar="NAME",
    help="A cell with fresh weights, one layer; it reads random tokens. Repeatable.",
)
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    metavar="NAME|FILE",
    help="The layers of a recipe, of any kind of model, with fresh weights; they read random "
    "tokens from left to right. Repeatable.",
)
@whole_number("--hidden", 64, "Units of --cell.")
@whole_number("--length", 64, "Tokens that are read: the largest distance.")
@whole_number("--texts", 4, "Texts (and for --cell weights) whose geometric mean is taken.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed."
)
@click.option(
    "--plot",
    type=PathOf(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw the norms against the distance (.png or .svg).",
)
@json_option
def command(
    *,
    models: tuple[str, ...],
    cells: tuple[str, ...],
    recipes: tuple[str, ...],
    hidden: int,
    length: int,
    texts: int,
    seed: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Measure the spectral norm of ∂h_t/∂s_k against the distance t − k.

    s_k are all parts of the state (h and C of every layer), h_t is the output of the last layer. A
    norm that falls towards 0 is a vanishing gradient, one that grows an exploding one.
    """
    from textgen.evaluation.plot_page import check_format
    from textgen.training.gradient_flow import mean_flow, plot_flow

    if plot is not None:
        check_format(plot)
    if not (models or cells or recipes):
        raise UsageError("Give at least one --model, --cell or --recipe.")
    flows: dict[str, Sequence[FlowRow]] = {}
    for name, each in [
        *((model, _trained(model, length, texts, seed)) for model in models),
        *((f"{cell} (fresh)", _fresh(_one(cell, hidden), length, texts, seed)) for cell in cells),
        *((f"{name} (fresh)", _fresh(_layers(name), length, texts, seed)) for name in recipes),
    ]:
        flows[name] = mean_flow(list(each))
    if plot is not None:
        plot_flow(flows, plot)
        complain(f"{plot}: norms against distance.")
    if as_json:
        print_json({name: [vars(row) for row in flow] for name, flow in flows.items()})
        return
    print_table([("t − k", *flows), *_rows(flows)])


def _rows(flows: dict[str, Sequence[FlowRow]]) -> Iterator[tuple[str, ...]]:
    """Norms at some distances."""
    from textgen.training.gradient_flow import shown_distances

    for distance in shown_distances(max(len(flow) for flow in flows.values())):
        yield (
            str(distance),
            *(f"{f[distance - 1].norm:.3e}" if distance <= len(f) else "" for f in flows.values()),
        )


def _trained(name: str, length: int, texts: int, seed: int) -> Iterator[list[FlowRow]]:
    """Flows of a language model over texts of its own."""
    import textgen
    from textgen.training.gradient_flow import gradient_flow

    model = textgen.load(name, kind=textgen.LoadedLanguageModel, device="cpu")
    for text in model.generate("", samples=texts, max_tokens=length, seed=seed):
        yield gradient_flow(model.model, [model.tokenizer.special.bos, *text.tokens][:length])


def _one(cell: str, hidden: int) -> LanguageModelConfig:
    """One layer of a cell.

    Raises:
        PluginError: if there is no such cell.
    """
    from textgen.components import CELLS
    from textgen.models.config import LanguageModelConfig
    from textgen.registry import parse_spec

    CELLS.entry(parse_spec(cell).name)
    return LanguageModelConfig(cell=cell, layers=1, hidden=hidden, embedding=hidden)


def _layers(name: str) -> LanguageModelConfig:
    """The layers of a recipe.

    Raises:
        ConfigError: if there is no such recipe.
        UsageError: if its model has no recurrent layers.
    """
    from textgen.models.config import LanguageModelConfig, StackConfig
    from textgen.recipes import load_any_recipe, read_recipe

    model = load_any_recipe(read_recipe(name).kind, name, {}).model
    if not isinstance(model, StackConfig) or str(getattr(model, "encoder", "")).startswith(
        "convolution"
    ):
        raise UsageError(f"--recipe: {name} has no recurrent layers.")
    return LanguageModelConfig(
        cell=model.cell,
        layers=model.layers,
        hidden=model.hidden,
        residual=model.residual,
        layer_norm=model.layer_norm,
        diagonal=model.diagonal,
    )


def _fresh(
    config: LanguageModelConfig, length: int, texts: int, seed: int
) -> Iterator[list[FlowRow]]:
    """Flows of fresh weights over random tokens."""
    import torch

    from textgen.models.language_model import LanguageModel
    from textgen.training.gradient_flow import gradient_flow

    for number in range(texts):
        torch.manual_seed(seed + number)
        model = LanguageModel(config, VOCABULARY)
        yield gradient_flow(model, torch.randint(VOCABULARY, (length,)))
