"""--decode, --filter and their short forms, for all commands that decode."""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click
from annotated_types import Ge

from textgen.cli.failures import complain
from textgen.cli.options import (
    Number,
    all_of,
    collected,
    grouped_option,
    kept_value,
    plugin_registries,
    plugins_option,
)
from textgen.short_options import DEFAULT_GENERATING, HINTS, SHORT_FORMS, Decoding, flag, given

if TYPE_CHECKING:
    from textgen.decoding.chain import Chain, Registries

Command = TypeVar("Command", bound=Callable[..., Any])


def _short_option(name: str) -> Callable[[Command], Command]:
    """A short option as ``textgen.short_options`` has it."""
    form = SHORT_FORMS[name]
    value, *metadata = typing.get_args(HINTS[name])
    kind: click.ParamType[Any] = Number()
    if int in typing.get_args(value):
        least = next((each.ge for each in metadata if isinstance(each, Ge)), None)
        kind = click.IntRange(min=typing.cast("int | None", least))
    spec = f"{form.plugin}:{form.metavar}"
    meant = f"As --decode {spec}." if form.strategy else f"Short for --filter {spec}."
    return grouped_option(flag(name), type=kind, metavar=form.metavar, help=meant)


_options = all_of(
    [
        grouped_option(
            "--decode",
            metavar="SPEC",
            help="Strategy, or one filter to sample with: NAME or NAME:key=value,key=value.",
        ),
        grouped_option(
            "--filter",
            "filters",
            metavar="SPEC",
            multiple=True,
            help="Transform the probabilities before a token is chosen; repeatable, in this "
            "order. Short "
            "forms act in the order in which they stand here.",
        ),
        *map(_short_option, SHORT_FORMS),
        grouped_option(
            "--allow-unknown",
            is_flag=True,
            help="Allow the unknown token to be generated, as <unk> of a model of words.",
        ),
        plugins_option,
    ]
)


def decoding_options(command: Command) -> Command:
    """The options; ``[short keys]`` in the command's help becomes the short ones' names."""
    command.__doc__ = (command.__doc__ or "").replace("[short keys]", ", ".join(SHORT_FORMS))
    return _options(command)


@dataclass(frozen=True)
class _Options:
    """What the options of ``decoding_options`` say, the short ones aside."""

    decode: str | None
    filters: tuple[str, ...]
    allow_unknown: bool


def chosen_decoding() -> Decoding:
    """What the running command's options say about decoding."""
    own = collected(_Options)
    short = given({name: kept_value(name) for name in SHORT_FORMS})
    return Decoding(own.decode, own.filters, tuple(short.items()), own.allow_unknown)


def chain_of(decoding: Decoding, registries: Registries, default: str) -> Chain:
    """The strategy and filters that are named; see ``textgen.decoding.chain.resolve``."""
    from textgen.decoding.chain import resolve

    return resolve(
        decoding.decode,
        decoding.filters,
        registries,
        dict(decoding.short),
        default=default,
        allow_unknown=decoding.allow_unknown,
    )


def chosen_registries() -> Registries:
    """Where the running command looks plugins up."""
    from textgen.decoding.chain import Registries

    return Registries(*plugin_registries())


def chosen_chain(default: str = DEFAULT_GENERATING) -> Chain:
    """The strategy and filters that the running command's options name."""
    return chain_of(chosen_decoding(), chosen_registries(), default)


def say_how(chain: Chain, precision: str, device: str) -> None:
    """The resolved chain, the weights' precision and what multiplies them, on stderr."""
    from textgen.loading import resolve_device, resolve_precision
    from textgen.models.products import rows_are_independent
    from textgen.native import kernels

    found, place = kernels(), resolve_device(device)
    kind = "torch" if found is None or place.type != "cpu" else f"C, compiled for {found.kind}"
    if rows_are_independent(place, resolve_precision(precision)):
        rows = "a text never depends on its batch"
    else:
        size = "1e-7" if precision == "float32" else "4e-3: some texts will differ"
        rows = f"another batch may change the numbers by rounding ({size})"
    complain(f"decode: {chain}")
    complain(f"weights: {precision}; single steps: {kind}; {rows}")
