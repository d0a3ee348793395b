"""Every registered plugin keeps the laws, whoever wrote it."""

from __future__ import annotations

import dataclasses

import pytest

from checks import some
from plugin_specs import FILTERS, REGISTRIES, STRATEGIES, specs
from textgen.config import describe
from textgen.testing import check_filter, check_strategy
from textgen.testing.lines import KINDS as KINDS_OF_MODELS
from textgen.testing.lines import Kind

# Whether a strategy draws lots, by its name or as it is asked for: other seeds must then give other
# results, and else the same.
RANDOM = {
    "beam": False,
    "best-of": True,
    "best-of:n=4,candidates=beam,model=toy-translator": False,
    "best-of:n=5,candidates=beam": False,
    "constrained": False,
    "contrastive": False,
    "diverse-beam": False,
    "greedy": False,
    "mbr": True,
    "sample": True,
    "shallow-fusion": False,
    "speculative": True,
    "stochastic-beam": True,
}

# Those that work with one kind of model only, and must refuse the other in one line.
KINDS: dict[str, tuple[Kind, ...]] = {
    "best-of:n=4,candidates=beam,model=toy-translator": ("translator",),
    "best-of:n=4,channel=toy-translator,lm=toy": ("translator",),
    "best-of:n=4,model=toy-translator,channel=toy-translator,lm=toy,alpha=0.3": ("translator",),
}


def test_plugins_that_need_options_have_some_here() -> None:
    for registry, given in ((REGISTRIES.filters, FILTERS), (REGISTRIES.strategies, STRATEGIES)):
        for name in some(registry.names()):
            factory = registry.load(name)
            assert dataclasses.is_dataclass(factory)
            needed = [option.path for option in describe(factory) if option.default == "(needed)"]
            assert not needed or name in given, f"add {name} with {needed} to the table above"


@pytest.mark.parametrize("spec", specs("filter"))
def test_every_filter_keeps_the_laws(spec: str) -> None:
    check_filter(REGISTRIES.filters.build(spec))


@pytest.mark.parametrize("spec", specs("strategy"))
def test_every_strategy_keeps_the_laws(spec: str) -> None:
    strategy = REGISTRIES.strategies.build(spec)
    random = RANDOM.get(spec, RANDOM.get(spec.partition(":")[0]))
    check_strategy(strategy, random=random, kinds=KINDS.get(spec, KINDS_OF_MODELS))
