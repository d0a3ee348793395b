"""Numbers that no plugin can compute with are refused before anything is decoded; others work."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

import pytest
import torch

from fakes import SPECIAL, random_model
from textgen.data.tokenizers.characters import CharacterTokenizer
from textgen.decoding.chain import default_registries, resolve
from textgen.decoding.session import make_session
from textgen.errors import ConfigError, PluginError, TextgenError
from textgen.protocols import Batch
from textgen.registry import Spec

LETTERS = CharacterTokenizer("ab ", "none")
REGISTRIES = default_registries()
VALUES: list[Any] = [
    *(float("nan"), float("inf"), float("-inf"), 1e39, -1e39, 1e30, -1e30, 1e-45, -1, 0, 1, 10**30),
    *("", "nan", True, None, [], {}),
]
LISTS: dict[str, Any] = {
    "biases": [{"a": value} for value in (1e39, float("nan"), float("inf"), -1e38, 3e38, 0)],
}
SKIPPED = {"speculative", "shallow-fusion"}  # need another model


def fields(kind: str) -> list[tuple[str, str]]:
    registry: Any = getattr(REGISTRIES, kind)
    found = []
    for name in registry.names():
        factory = registry.load(name)
        if dataclasses.is_dataclass(factory) and name not in SKIPPED:
            found += [(name, field.name) for field in dataclasses.fields(factory) if field.init]
    return found


def decode(strategy: str, filters: list[Any]) -> None:
    """A few steps of a toy; filters are plugins."""
    chain = resolve(strategy, [], REGISTRIES)
    chain = dataclasses.replace(chain, filters=tuple(filters)).setup(LETTERS)
    session = make_session(
        random_model(LETTERS.size, seed=3), Batch(2), [[], [4]], special=SPECIAL, limits=4
    )
    found = chain.decode(session)
    assert not found.scores.isnan().any()


def required(registry: Any, name: str, given: str) -> dict[str, Any]:
    """Values for the other options that have no default."""
    usual = {"biases": {"a": 1.0}, "pattern": "a*", "text": "a", "words": ["a"], "phrases": ["a"]}
    factory = registry.load(name)
    return {
        field.name: usual[field.name]
        for field in dataclasses.fields(factory)
        if field.name in usual and field.name != given
    }


@pytest.mark.parametrize(("name", "field"), fields("filters"))
def test_filters(name: str, field: str) -> None:
    torch.manual_seed(0)
    worked = refused = 0
    for value in [*VALUES, *LISTS.get(field, [])]:
        options = {field: value, **required(REGISTRIES.filters, name, field)}
        try:
            plugin = REGISTRIES.filters.build(Spec(name, options))
        except ConfigError as error:
            refused += field in str(error)
            continue
        try:
            decode("sample", [plugin])
        except PluginError as error:  # says that the plugin is broken
            pytest.fail(f"{name}:{field}={value!r}: {error}")
        except TextgenError:
            refused += 1
        else:
            worked += 1
    assert refused > 0
    assert worked + refused == len(VALUES) + len(LISTS.get(field, []))


@pytest.mark.parametrize(
    ("name", "field"),
    [
        each
        for each in fields("strategies")
        if "int" not in str(typing.get_type_hints(REGISTRIES.strategies.load(each[0])).get(each[1]))
    ],
)
def test_strategies(name: str, field: str) -> None:
    torch.manual_seed(0)
    done = 0
    for value in VALUES:
        options = {field: value, **required(REGISTRIES.strategies, name, field)}
        done += 1
        try:
            REGISTRIES.strategies.build(Spec(name, options))
            decode(f"{name}:{field}={value}" if isinstance(value, float) else "greedy", [])
        except PluginError as error:
            pytest.fail(f"{name}:{field}={value!r}: {error}")
        except TextgenError:
            continue
    assert done == len(VALUES)


def test_a_bias_that_no_float32_holds_names_the_option() -> None:
    with pytest.raises(ConfigError, match=r"logit-bias: biases: 1e\+39 is out of range"):
        resolve("sample", ['logit-bias:{"e"=1e39}'], REGISTRIES)
