"""--decode, --filter and their short forms, for all commands that decode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from textgen.cli.options import all_of, chosen, kept_option, plugin_registries, plugins_option

if TYPE_CHECKING:
    from textgen.decoding.chain import Chain

decoding_options = all_of(
    [
        kept_option(
            "--decode",
            metavar="SPEC",
            help="Strategy, or one filter to sample with: NAME or NAME:key=value,key=value.",
        ),
        kept_option(
            "--filter",
            "filters",
            metavar="SPEC",
            multiple=True,
            help="Change the probabilities before the choice; repeatable, in this order.",
        ),
        kept_option(
            "--temperature", type=float, metavar="T", help="Short for --filter temperature:T."
        ),
        kept_option(
            "--top-k", type=click.IntRange(min=0), metavar="K", help="Short for --filter top-k:K."
        ),
        kept_option("--top-p", type=float, metavar="P", help="As --filter nucleus:P."),
        kept_option(
            "--beam",
            type=click.IntRange(min=1),
            metavar="WIDTH",
            help="As --decode beam:WIDTH.",
        ),
        plugins_option,
    ]
)


@dataclass(frozen=True)
class Decoding:
    """What the options of ``decoding_options`` say."""

    decode: str | None
    filters: tuple[str, ...]
    temperature: float | None
    top_k: int | None
    top_p: float | None
    beam: int | None


def chosen_chain(default: str = "sample") -> Chain:
    """The strategy and filters that the running command's options name.

    Args:
        default: SPEC of the strategy where they name none.

    Raises:
        PluginError: for unknown names.
        ConfigError: for wrong options.
        UsageError: for two strategies at once.
    """
    from textgen.decoding.chain import Flags, Registries, resolve

    decoding = chosen(Decoding)
    flags = Flags(decoding.temperature, decoding.top_k, decoding.top_p, decoding.beam)
    registries = Registries(*plugin_registries())
    return resolve(decoding.decode, decoding.filters, registries, flags, default=default)
