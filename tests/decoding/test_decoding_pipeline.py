"""Chains written as one text."""

import pytest

from textgen.decoding.chain import Registries, default_registries
from textgen.decoding.pipeline import resolve_pipeline, split_pipeline
from textgen.errors import ConfigError, PluginError, UsageError

PLUGINS = default_registries()


def shown(text: str, registries: Registries = PLUGINS) -> str:
    return " | ".join(resolve_pipeline(text, registries).description)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("greedy", ["greedy"]),
        (" sample | temperature:0.8|top-k:40 ", ["sample", "temperature:0.8|top-k:40"]),
        ("sample|top-k:40", ["sample", "top-k:40"]),
        ("sample |top-k:40| nucleus", ["sample", "top-k:40", "nucleus"]),
        ("matching:a|b | greedy", ["matching:a|b", "greedy"]),
        ('banned:words=["a | b", "]"] | greedy', ['banned:words=["a | b", "]"]', "greedy"]),
        (r"banned:words=a \| b | greedy", [r"banned:words=a \| b", "greedy"]),
        ("x:don't | greedy", ["x:don't", "greedy"]),
    ],
)
def test_bars_separate_parts_and_not_what_is_inside_a_value(text: str, parts: list[str]) -> None:
    assert split_pipeline(text) == parts


@pytest.mark.parametrize("text", ["", " ", "|", "greedy |", "| greedy", "top-k | | greedy"])
def test_an_empty_part_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected NAME"):
        split_pipeline(text)


PARTS = ["temperature:t=0.8", "top-k:k=40", "nucleus:p=0.9", 'banned:words=["a | b","c"]']


@pytest.mark.parametrize("place", [0, 2, 4])
def test_the_strategy_may_stand_anywhere_and_filters_keep_their_order(place: int) -> None:
    text = " | ".join([*PARTS[:place], "greedy", *PARTS[place:]])
    assert shown(text) == " | ".join([*PARTS, "greedy"])
    assert shown(shown(text)) == shown(text)


def test_filters_alone_are_sampled_with() -> None:
    assert shown("temperature:0.8 | top-k:40") == "temperature:t=0.8 | top-k:k=40 | sample"


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("greedy | beam", UsageError, "greedy and beam are two strategies"),
        ("top-k | greddy", PluginError, "Did you mean 'greedy'"),
        ("nukleus", PluginError, "Did you mean 'nucleus'"),
        ("top-k:k=-1 | greedy", ConfigError, "top-k"),
        ("temperature:0.8|top-k:40", ConfigError, "temperature"),
    ],
)
def test_what_is_wrong_is_told(text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        resolve_pipeline(text, PLUGINS)
