"""Click, bent in three places: lazy groups, options with several values, examples in the help."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, cast

import click

from textgen.errors import nearest


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for.

    Args:
        name: of the group.
        commands: name -> module that holds the command as ``command``, or a group.
        help: shown by -h.
        epilog: the examples.
        context_settings: as click's.
    """

    def __init__(
        self,
        name: str,
        commands: Mapping[str, str | click.Command],
        *,
        help: str,  # noqa: A002  # click's own word
        epilog: str,
        context_settings: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(name, help=help, epilog=epilog, context_settings=context_settings)
        self._lazy = dict(commands)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order they were given."""
        del ctx
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        del ctx
        found = self._lazy.get(cmd_name)
        if isinstance(found, str):
            return cast("click.Command", importlib.import_module(found).command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name, or say which there are."""
        if args and args[0] not in self._lazy and not args[0].startswith("-"):
            hint = nearest(args[0], self._lazy)
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


class Several(click.Option):
    """An option that takes one value or more: ``--train a.txt b.txt`` or ``--train a --train b``.

    Only for commands of class ``SeveralCommand``.
    """


class SeveralCommand(click.Command):
    """A command some of whose options are ``Several``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each further value, then let click parse."""
        names = {
            name
            for parameter in self.get_params(ctx)
            if isinstance(parameter, Several)
            for name in parameter.opts
        }
        return super().parse_args(ctx, _repeated(args, names))


def _repeated(arguments: list[str], names: set[str]) -> list[str]:
    """``--train a b`` becomes ``--train a --train b``, up to the next option or ``--``."""
    expanded: list[str] = []
    current, values = "", 0
    for position, argument in enumerate(arguments):
        if argument == "--":
            return expanded + arguments[position:]
        if argument.startswith("-") and argument != "-":
            name = argument.partition("=")[0]
            current = name if name in names else ""
            values = int("=" in argument)
        elif current:
            if values:
                expanded.append(current)
            values += 1
        expanded.append(argument)
    return expanded


def examples(*commands: str) -> str:
    """The end of a command's help: lines to copy; each is run by a test."""
    return "\n".join(["\b", "Examples:", *(f"  {command}" for command in commands)])
