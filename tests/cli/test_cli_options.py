"""The types of options, and what every option of a kind refuses."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from textgen.cli.app import textgen
from textgen.cli.failures import guarded
from textgen.cli.options import Number


def options(command: click.Command) -> Iterator[click.Parameter]:
    """The parameters of a command and of all commands below it."""
    context = click.Context(command)
    yield from command.get_params(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from options(found)


def takes_fractions(option: click.Parameter) -> bool:
    try:
        return isinstance(option.type.convert("0.5", option, None), float)
    except click.UsageError:
        return False


def test_every_option_for_a_fraction_refuses_what_is_not_finite() -> None:
    found = [each for each in options(textgen) if takes_fractions(each)]
    assert {"threshold", "temperature", "top_p", "minutes"} <= {each.name for each in found}
    for option in found:
        for value in ("nan", "-nan", "inf", "-inf", "1e999", float("nan")):
            with pytest.raises(click.BadParameter, match="allowed is a finite number"):
                option.type.convert(value, option, None)


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (Number(), ["-3", "0", "1e9", 2], ["x", "", "1e400"]),
        (Number(0, 1), ["0", "1", "0.25"], ["-0.01", "1.01"]),
        (Number(0, least_allowed=False), ["1e-9", "7"], ["0", "-0.0", "-1"]),
    ],
)
def test_a_number_has_bounds(kind: Number, right: list[str], wrong: list[str]) -> None:
    assert [kind.convert(each, None, None) for each in right] == [float(each) for each in right]
    assert wrong
    for each in wrong:
        with pytest.raises(click.BadParameter):
            kind.convert(each, None, None)


def test_a_refusal_tells_the_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["evaluate", "alignment", "--model", "none", "--threshold", "nan"]
    assert guarded(line) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "nan is out of range: allowed is a finite number, at least 0, at most 1." in said
