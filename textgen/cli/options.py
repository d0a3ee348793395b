"""Options that several commands share.

Groups of options are *kept*: they are no parameters of the command's function, which asks for
them as one value, ``collected(Decoding)``.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from textgen.registry import Registry

Command = TypeVar("Command", bound=Callable[..., Any])
T = TypeVar("T")

_KEPT = "textgen.cli.kept"


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Store an option's value beside the command's own parameters."""
    context.meta.setdefault(_KEPT, {})[parameter.name] = value


grouped_option = functools.partial(click.option, expose_value=False, callback=_keep)
grouped_argument = functools.partial(click.argument, expose_value=False, callback=_keep)


def collected(cls: type[T]) -> T:
    """The kept options of the running command: a dataclass whose fields bear their names."""
    values = click.get_current_context().meta.get(_KEPT, {})
    names = [field.name for field in dataclasses.fields(cast("Any", cls))]
    return cls(**{name: values[name] for name in names})


def kept_value(name: str) -> Any:
    """The value of one kept option of the running command."""
    return click.get_current_context().meta[_KEPT][name]


def all_of(options: Iterable[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    """Several options as one decorator; the help shows them in the order given."""
    given = list(options)

    def decorate(command: Command) -> Command:
        for option in reversed(given):
            command = option(command)
        return command

    return decorate


def whole_number(
    name: str,
    default: int,
    help: str,  # noqa: A002  # click's own word
    *,
    least: int = 1,
) -> Callable[[Command], Command]:
    """An option for a whole number with its default shown."""
    kind = click.IntRange(min=least)
    return click.option(name, type=kind, default=default, show_default=True, metavar="N", help=help)


model_option = click.option(
    "--model", required=True, metavar="DIR|NAME", help="A model's folder, or a name of `models`."
)


def device_option(option: Callable[..., Any] = click.option) -> Callable[[Command], Command]:
    """Where a model computes; ``option`` may be ``grouped_option``."""
    made: Callable[[Command], Command] = option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Device to run on.",
    )
    return made


def device_options(
    option: Callable[..., Any] = click.option,
) -> Callable[[Command], Command]:
    """Where a model computes, and how exactly; ``option`` may be ``grouped_option``."""
    return all_of(
        [
            device_option(option),
            option(
                "--precision",
                type=click.Choice(["float32", "bfloat16", "int8"]),
                default="float32",
                show_default=True,
                help="Precision of the weights: fewer bits are faster and less exact. Without "
                "compiled kernels, or on a GPU, rounding makes texts of 16- and 8-bit models "
                "depend on their batch; -v reports it.",
            ),
        ]
    )


class Number(click.ParamType[float]):
    """A finite number: NaN compares false with every bound, so a range alone would let it through.

    Args:
        least: smallest that is allowed.
        most: largest that is allowed.
        least_allowed: whether ``least`` itself is.
    """

    name = "float"

    def __init__(
        self, least: float = -math.inf, most: float = math.inf, *, least_allowed: bool = True
    ) -> None:
        self.least, self.most, self.least_allowed = least, most, least_allowed

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number."""
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            self.fail(f"{value!r} is no number.", param, ctx)
        above = self.least < number or (self.least_allowed and self.least == number)
        if not (math.isfinite(number) and above and number <= self.most):
            self.fail(f"{value} is out of range: allowed is {self._allowed()}.", param, ctx)
        return number

    def _allowed(self) -> str:
        parts = ["a finite number"]
        if math.isfinite(self.least):
            parts.append(f"{'at least' if self.least_allowed else 'more than'} {self.least:g}")
        if math.isfinite(self.most):
            parts.append(f"at most {self.most:g}")
        return ", ".join(parts)


RANDOM = "random"
"""In the place of a seed: one is to be drawn."""


def drawn_seed() -> int:
    """A seed that nobody chose."""
    import secrets

    return secrets.randbelow(1 << 31)


class Seed(click.ParamType[int]):
    """A seed, or ``random`` for one that is drawn."""

    name = "seed"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number."""
        if value == RANDOM:
            return drawn_seed()
        try:
            seed = int(value)
        except (TypeError, ValueError):
            self.fail(f"{value!r} is no whole number and not 'random'.", param, ctx)
        if not 0 <= seed < 1 << 63:
            self.fail(f"{seed} is out of range: allowed is 0 to 2^63 − 1.", param, ctx)
        return seed


class PathOf(click.Path):
    """A path, as ``click.Path``; neither empty nor ``-``, which would be a file of that name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        if str(value) == "":
            self.fail("it is empty; a path is needed.", param, ctx)
        if str(value) == "-" and not self.allow_dash:
            self.fail(
                "a file is needed; /dev/stdin, /dev/stdout and /dev/stderr are the standard "
                "streams.",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


plugins_option = grouped_option(
    "--plugins",
    multiple=True,
    type=PathOf(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Also look for plugin files in DIR; repeatable.",
)


@dataclasses.dataclass(frozen=True)
class _Folders:
    plugins: tuple[Path, ...]


def plugin_registries() -> tuple[Registry[Any], Registry[Any]]:
    """The registries of strategies and of filters, with the folders that --plugins names."""
    return registries_in(plugin_folders())


def plugin_folders() -> tuple[Path, ...]:
    """The folders that --plugins names."""
    return collected(_Folders).plugins


def registries_in(folders: Sequence[Path]) -> tuple[Registry[Any], Registry[Any]]:
    """The registries of strategies and of filters, with these folders."""
    return (
        Registry("strategy", "textgen.strategies", folders),
        Registry("filter", "textgen.filters", folders),
    )
