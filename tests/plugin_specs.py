"""What tests ask registered plugins for, whoever wrote them."""

from __future__ import annotations

from typing import Any, Literal

from textgen.decoding.chain import default_registries
from textgen.registry import Registry

REGISTRIES = default_registries()

# What a plugin is asked for with, for those that need options and those worth several tries.
# A plugin that is not named here is asked for by its name alone. The toy vocabulary has the letters
# a, b, c, d, "ab", a space, a full stop and a line end; any name of an auxiliary will do, and one
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


def specs(kind: Literal["filter", "strategy"]) -> list[str]:
    """With what each registered plugin of a kind is tried."""
    registry: Registry[Any] = REGISTRIES.filters if kind == "filter" else REGISTRIES.strategies
    given = FILTERS if kind == "filter" else STRATEGIES
    names = {entry.name for entry in registry.entries()}
    return [spec for name in sorted(names) for spec in given.get(name, (name,))]
