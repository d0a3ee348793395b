"""Every registered plugin keeps the laws, whoever wrote it."""

from __future__ import annotations

import dataclasses

import pytest

from textgen.config import describe
from textgen.decoding.chain import default_registries
from textgen.testing import check_filter, check_strategy
from textgen.testing.lines import KINDS as KINDS_OF_MODELS
from textgen.testing.lines import Kind

REGISTRIES = default_registries()

# What a plugin is asked for with, for those that need options and those worth several tries.
# A plugin that is not named here is asked for by its name alone. The toy vocabulary has the letters
# a, b, c, d, "ab", a space, a full stop and a line end; any name of a companion will do, and one
# with "translator" in it is a translator.
FILTERS: dict[str, tuple[str, ...]] = {
    "allowed": ('allowed:["a","bc"]', 'allowed:["#5"]'),
    "banned": ('banned:["ca","b"]',),
    "dry": ("dry:m=2,allowed=1",),
    "epsilon": ("epsilon:0.1",),
    "eta": ("eta:0.3",),
    "frequency-penalty": ("frequency-penalty:0.7",),
    "logit-bias": ('logit-bias:{"a"=1.5,"#9"=-2}',),
    "min-p": ("min-p:0.3",),
    "minimum-length": ("minimum-length:3",),
    "mirostat": ("mirostat", "mirostat:tau=1.5,eta=0.5"),
    "nucleus": ("nucleus:0.6", "nucleus:0"),
    "no-repeat-ngram": ("no-repeat-ngram:1", "no-repeat-ngram:2"),
    "prefix": ('prefix:"ab"',),
    "presence-penalty": ("presence-penalty:0.7",),
    "regex": ("regex:[ab]+c?", "regex:pattern=a{2}[^a]*"),
    "repetition-penalty": ("repetition-penalty:1.4",),
    "temperature": ("temperature:0.7", "temperature:0"),
    "top-k": ("top-k:2",),
    "top-n-sigma": ("top-n-sigma:0.7",),
    "typical": ("typical:0.4",),
    "xtc": ("xtc:q=0.5,t=0.1",),
}
STRATEGIES: dict[str, tuple[str, ...]] = {
    "best-of": (
        "best-of:n=6,n_best=2",
        "best-of:n=4,candidates=beam,model=toy-translator",
        "best-of:n=4,lm=toy",
        "best-of:n=4,channel=toy-translator,lm=toy",
        "best-of:n=5,candidates=beam",
        "best-of:n=4,model=toy-translator,channel=toy-translator,lm=toy,alpha=0.3",
    ),
    "beam": (
        "beam:width=1",
        "beam:width=3,length=gnmt,alpha=0.6",
        "beam:width=3,length=none,n_best=2,stop=first",
        "beam:width=3,stop=patience,patience=2",
    ),
    "constrained": (
        'constrained:["a"],width=4',
        'constrained:["ab","c"],width=6,n_best=3',
        'constrained:["#5","#4","#5"],width=1',
        'constrained:["ab"],width=6,stop=first',
    ),
    "contrastive": ("contrastive:k=3,alpha=0.5",),
    "diverse-beam": ("diverse-beam",),
    "mbr": (
        "mbr:n=6",
        "mbr:n=5,utility=bleu",
        "mbr:n=4,candidates=beam,width=3,utility=bleu",
    ),
    "shallow-fusion": ("shallow-fusion:lm=toy,weight=0.3,width=3",),
    "speculative": ("speculative:draft=toy", "speculative:draft=translator,tokens=3"),
}

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


def specs(kind: str, given: dict[str, tuple[str, ...]]) -> list[str]:
    registry = REGISTRIES.filters if kind == "filter" else REGISTRIES.strategies
    names = {entry.name for entry in registry.entries()}
    return [spec for name in sorted(names) for spec in given.get(name, (name,))]


def test_plugins_that_need_options_have_some_here() -> None:
    for registry, given in ((REGISTRIES.filters, FILTERS), (REGISTRIES.strategies, STRATEGIES)):
        for name in registry.names():
            factory = registry.load(name)
            assert dataclasses.is_dataclass(factory)
            needed = [option.path for option in describe(factory) if option.default == "(needed)"]
            assert not needed or name in given, f"add {name} with {needed} to the table above"


@pytest.mark.parametrize("spec", specs("filter", FILTERS))
def test_every_filter_keeps_the_laws(spec: str) -> None:
    check_filter(REGISTRIES.filters.build(spec))


@pytest.mark.parametrize("spec", specs("strategy", STRATEGIES))
def test_every_strategy_keeps_the_laws(spec: str) -> None:
    strategy = REGISTRIES.strategies.build(spec)
    random = RANDOM.get(spec, RANDOM.get(spec.partition(":")[0]))
    check_strategy(strategy, random=random, kinds=KINDS.get(spec, KINDS_OF_MODELS))
