"""What comparisons of decoding strategies share: which ones, and how their rows are told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

from textgen.cli.failures import complain
from textgen.errors import ConfigError, PluginError

if TYPE_CHECKING:
    from collections.abc import Callable

    from textgen.decoding.chain import Chain, Registries
    from textgen.loading import LoadedModel

T = TypeVar("T")

FOR_TEXTS = (
    "greedy",
    "beam:width=5",
    "diverse-beam",
    "stochastic-beam",
    "contrastive",
    "best-of",
    "mbr",
    "sample",
    "temperature:0.7",
    "top-k:40",
    "nucleus:0.9",
    "typical:0.9",
    "min-p:0.1",
    "epsilon",
    "eta",
    "top-n-sigma",
    "xtc",
    "mirostat",
)
"""What is compared on a language model when nothing is named."""

FOR_TRANSLATIONS = (
    "greedy",
    *(f"beam:width={width}" for width in (1, 2, 3, 5, 8, 12, 20)),
    "diverse-beam",
    "epsilon:0.02 | mbr",
    "temperature:0.5 | best-of",
    "sample",
)
"""What is compared on a translator when nothing is named."""


@dataclass(frozen=True)
class Wanted:
    """One way to decode, as it was asked for and as it was understood."""

    name: str
    chain: Chain

    @property
    def decode(self) -> str:
        """The resolved chain: filters and then the strategy."""
        return " | ".join(self.chain.description)


def wanted(texts: Sequence[str], usual: Sequence[str], registries: Registries) -> list[Wanted]:
    """What is to be compared.

    Args:
        texts: as given by hand.
        usual: where nothing is given: those of which all plugins are there and need no option.
        registries: where plugins are looked up.

    Raises:
        PluginError: for unknown names given by hand.
        ConfigError: for wrong options given by hand.
    """
    from textgen.decoding.pipeline import resolve_pipeline

    if texts:
        return [Wanted(text.strip(), resolve_pipeline(text, registries)) for text in texts]
    known = {*registries.strategies.names(), *registries.filters.names()}
    found = []
    for text in usual:
        if text.partition(":")[0] not in known:
            continue
        try:
            found.append(Wanted(text, resolve_pipeline(text, registries)))
        except (ConfigError, PluginError) as error:
            complain(f"{text} is left out: {error}")
    return found


def attempt(all_of_them: Sequence[Wanted], work: Callable[[Wanted], T]) -> list[T | str]:
    """Do something with each; one that fails gives its error's text, and the others go on."""
    from textgen.errors import TextgenError

    results: list[T | str] = []
    for number, each in enumerate(all_of_them, start=1):
        complain(f"[{number}/{len(all_of_them)}] {each.name}")
        try:
            results.append(work(each))
        except (TextgenError, OSError, MemoryError, RuntimeError) as error:
            told = " ".join(str(error).split()) or type(error).__name__
            complain(f"{each.name} failed: {told}")
            results.append(told)
    return results


class Told(Protocol):
    """A row of a comparison."""

    @property
    def name(self) -> str:
        """As it was asked for."""

    @property
    def error(self) -> str | None:
        """Why it failed."""


def tell_failures(rows: Sequence[Told], *, as_json: bool) -> None:
    """Say under a table why rows failed.

    Raises:
        TextgenError: if one did.
    """
    from textgen.errors import TextgenError

    failed = [row for row in rows if row.error is not None]
    if not failed:
        return
    if not as_json:
        for row in failed:
            click.echo(f"{row.name} failed: {row.error}")
    raise TextgenError(f"{len(failed)} of {len(rows)} ways to decode failed.")


def figure(value: float, digits: int = 2) -> str:
    """A number for a table; a dash for one that there is not."""
    return f"{value:,.{digits}f}" if math.isfinite(value) else "-"


def title(loaded: LoadedModel, what: str) -> str:
    """Above a plot: the model without the path to it, and what was measured."""
    names = [Path(name).name or name for name in loaded.name.split(" + ")]
    return f"{' + '.join(names)}: {what}"
