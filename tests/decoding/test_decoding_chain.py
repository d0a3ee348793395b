"""Names and flags to a chain of plugins."""

from __future__ import annotations

import pytest

from textgen.decoding.chain import default_registries, resolve
from textgen.errors import ConfigError, PluginError, UsageError
from textgen_decoders.nucleus import Nucleus
from textgen_decoders.temperature import Temperature
from textgen_decoders.top_k import TopK

REGISTRIES = default_registries()


def chain(
    decode: str | None = None, *filters: str, default: str = "sample", **short: float
) -> list[str]:
    return resolve(decode, filters, REGISTRIES, short, default=default).description


def test_a_strategy_and_filters_in_the_order_given() -> None:
    built = resolve("sample", ["top-k:40", "temperature:t=0.8", "top-p:p=0.9"], REGISTRIES)
    assert built.filters == (TopK(40), Temperature(0.8), Nucleus(0.9))
    assert built.description == ["top-k:k=40", "temperature:t=0.8", "top-p:p=0.9", "sample"]


def test_a_filter_named_as_strategy_means_sampling_with_it_first() -> None:
    assert chain("nucleus:p=0.9") == ["nucleus:p=0.9", "sample"]
    assert chain("top_k:k=3", "temperature:2") == ["top-k:k=3", "temperature:t=2.0", "sample"]


def test_flags_build_the_documented_order() -> None:
    wanted = ["temperature:t=0.8", "top-k:k=40", "nucleus:p=0.95", "sample"]
    assert chain(top_p=0.95, top_k=40, temperature=0.8) == wanted
    assert chain("sample", top_p=0.95, top_k=40, temperature=0.8) == wanted
    assert chain(None, "top-p:0.95", temperature=0.8, top_k=40) == [
        "temperature:t=0.8", "top-k:k=40", "top-p:p=0.95", "sample",
    ]  # fmt: skip
    assert chain(temperature=0, top_k=0) == ["temperature:t=0.0", "sample"]
    assert chain("temperature:0.5", top_k=3) == ["temperature:t=0.5", "top-k:k=3", "sample"]
    assert chain("top-k:3", temperature=0.5) == ["temperature:t=0.5", "top-k:k=3", "sample"]


def test_beam_and_defaults() -> None:
    assert chain(beam=4)[0].startswith("beam:width=4,length=")
    assert chain(default="greedy") == ["greedy"]
    assert chain(None, "top-k:2", default="greedy") == ["top-k:k=2", "sample"]
    assert chain("greedy", temperature=0.5) == ["temperature:t=0.5", "greedy"]
    with pytest.raises(UsageError, match="two strategies"):
        chain("greedy", beam=2)


def test_a_description_can_be_asked_for_again() -> None:
    first = chain("beam:width=3,n_best=2", "top-k:7")
    assert chain(first[-1], *first[:-1]) == first


def test_wrong_names_and_values() -> None:
    with pytest.raises(PluginError, match="Did you mean 'greedy'"):
        chain("gredy")
    with pytest.raises(PluginError, match="Did you mean 'nucleus'"):
        chain("nuclues")
    with pytest.raises(PluginError, match="Did you mean 'top-k'"):
        chain("sample", "topk")
    with pytest.raises(ConfigError, match=r"top-k: k: .*greater than or equal to 1, got -1"):
        chain("top-k:k=-1")
    with pytest.raises(ConfigError, match="beam: width"):
        chain(beam=-2)
