"""Installed plugins that misbehave in every way: each error names plugin, package and version."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from small_models import save_language_model
from textgen.decoding import make_session
from textgen.decoding.chain import Registries, default_registries, resolve
from textgen.errors import PluginError
from textgen.protocols import Batch
from textgen.testing import TOY_SPECIAL, ToyTokenizer, toy_load, toy_model

CODE = """
from dataclasses import dataclass, replace
import torch
from textgen.decoding import search
from textgen.protocols import Hypotheses, Pick
from textgen_decoders.greedy import Greedy

missing_call = 3

def good_filter():
    return lambda scores, beam: scores

def raising_factory():
    raise LookupError("no factory")

def makes_nothing():
    return None

def narrow():
    return lambda scores, beam: scores[:, :, 1:]

def listing():
    return lambda scores, beam: scores.tolist()

def not_a_number():
    return lambda scores, beam: scores * float("nan")

def infinite():
    return lambda scores, beam: scores.abs() + float("inf")

@dataclass(frozen=True)
class Raising:
    def __call__(self, scores, beam):
        raise KeyError("lost")

@dataclass(frozen=True)
class Unbound:
    def setup_tokenizer(self, tokenizer):
        return tokenizer.no_such_method("x")
    def __call__(self, scores, beam):
        return scores

@dataclass(frozen=True)
class BindsToNothing:
    def setup_tokenizer(self, tokenizer):
        return None
    def __call__(self, scores, beam):
        return scores

@dataclass(frozen=True)
class Unequipped:
    def setup_models(self, load):
        return load("x").no_such_attribute
    def __call__(self, scores, beam):
        return scores

@dataclass(frozen=True)
class NoStart:
    def start(self, session):
        raise IndexError("no start")
    def __call__(self, scores, beam):
        return scores

@dataclass(frozen=True)
class Fragile:
    x: int = 3
    def __post_init__(self):
        raise RuntimeError("not today")
    def __call__(self, session):
        return Greedy()(session)

@dataclass(frozen=True)
class Silent:
    x: int = 3

def crashing():
    return lambda session: session.no_such_attribute

def nothing():
    return lambda session: None

def beyond():
    def strategy(session):
        found = Greedy()(session)
        return replace(found, tokens=found.tokens + 1000)
    return strategy

def scoreless():
    def strategy(session):
        found = Greedy()(session)
        return replace(found, scores=found.scores * float("nan"))
    return strategy

def flat():
    def strategy(session):
        found = Greedy()(session)
        return replace(found, lengths=found.lengths[:, 0])
    return strategy

@dataclass(frozen=True)
class PicksBeyond:
    def __call__(self, session):
        return search(session, lambda scores, beam: Pick(None, scores.argmax(2) + 1000))

@dataclass(frozen=True)
class PicksBadly:
    def __call__(self, session):
        return search(session, lambda scores, beam: Pick(None, scores))

@dataclass(frozen=True)
class PicksNothing:
    def __call__(self, session):
        return search(session, lambda scores, beam: beam.no_such_attribute)
"""

FILTERS = {
    "good": ("hostile:good_filter", ""),
    "absent": ("hostile_absent:thing", "cannot be loaded: ModuleNotFoundError"),
    "unreadable": ("hostile_syntax:thing", "cannot be loaded: SyntaxError"),
    "leaving": ("hostile_exit:thing", "cannot be loaded: SystemExit: 3"),
    "nameless": ("hostile:nobody", "cannot be loaded: AttributeError"),
    "number": ("hostile:missing_call", "is no factory"),
    "lookup": ("hostile:raising_factory", "its factory raised LookupError: no factory"),
    "none": ("hostile:makes_nothing", "what it makes cannot be called"),
    "narrow": ("hostile:narrow", "of shape (2, 1, 11), expected float32 of shape (2, 1, 12)"),
    "listing": ("hostile:listing", "it returned list, not a tensor"),
    "nan": ("hostile:not_a_number", "it returned NaN or +∞"),
    "infinite": ("hostile:infinite", "it returned NaN or +∞"),
    "raising": ("hostile:Raising", "it raised KeyError: 'lost'"),
    "unbound": ("hostile:Unbound", "its setup_tokenizer raised AttributeError"),
    "bound-to-nothing": (
        "hostile:BindsToNothing",
        "its setup_tokenizer gave NoneType, not a plugin",
    ),
    "unequipped": ("hostile:Unequipped", "its setup_models raised AttributeError"),
    "no-start": ("hostile:NoStart", "its start raised IndexError: no start"),
}
STRATEGIES = {
    "fragile": ("hostile:Fragile", "its factory raised RuntimeError: not today"),
    "silent": ("hostile:Silent", "what it makes cannot be called"),
    "crashing": ("hostile:crashing", "it raised AttributeError"),
    "nothing": ("hostile:nothing", "it returned NoneType, not Hypotheses"),
    "beyond": ("hostile:beyond", "allowed is 0 to 11"),
    "scoreless": ("hostile:scoreless", "a score is NaN"),
    "flat": ("hostile:flat", "its lengths have shape (2,), expected (2, 1)"),
    "picks-beyond": ("hostile:PicksBeyond", "it picked tokens from 10"),
    "picks-badly": ("hostile:PicksBadly", "expected int64 (B, K')"),
    "picks-nothing": ("hostile:PicksNothing", "its pick raised AttributeError"),
}


def entry_points(group: str, plugins: dict[str, tuple[str, str]]) -> str:
    lines = [f"{name} = {target}" for name, (target, _) in plugins.items()]
    return "\n".join([f"[{group}]", *lines, ""])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip would have installed."""
    site = tmp_path_factory.mktemp("site")
    (site / "hostile.py").write_text(CODE, encoding="utf-8")
    (site / "hostile_syntax.py").write_text("def thing(:\n", encoding="utf-8")
    (site / "hostile_exit.py").write_text("import sys\nsys.exit(3)\n", encoding="utf-8")
    info = site / "hostile-6.6.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 6.6\n")
    text = entry_points("textgen.filters", FILTERS) + entry_points("textgen.strategies", STRATEGIES)
    (info / "entry_points.txt").write_text(text)
    return site


@pytest.fixture
def registries(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registries]:
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    yield default_registries()
    for name in [name for name in sys.modules if name.startswith("hostile")]:
        del sys.modules[name]


def use(registries: Registries, decode: str) -> None:
    chain = resolve(decode, (), registries).setup(ToyTokenizer(), toy_load)
    model = toy_model(vocabulary=ToyTokenizer.size)
    chain.decode(make_session(model, Batch(2), [[], []], special=TOY_SPECIAL, limits=3))


@pytest.mark.parametrize("name", [name for name in (*FILTERS, *STRATEGIES) if name != "good"])
def test_the_error_names_the_plugin_its_package_and_what_was_wrong(
    registries: Registries, name: str
) -> None:
    _, what = {**FILTERS, **STRATEGIES}[name]
    with pytest.raises(PluginError) as caught:
        use(registries, name)
    message = str(caught.value)
    assert name in message.partition(" of hostile")[0], message
    assert "of hostile 6.6" in message
    assert what in message


def test_they_harm_nobody_else(registries: Registries) -> None:
    assert set(FILTERS) <= set(registries.filters.names())
    for name in ("greedy", "beam", "good", "top-k:3"):
        use(registries, name)


def test_the_command_line_tells_it_in_one_message(folder: Path, tmp_path: Path) -> None:
    model = save_language_model(tmp_path / "model")
    command = [sys.executable, "-m", "textgen", "generate", "--model", str(model)]
    for arguments, code in ((["--filter", "nan"], 2), (["--filter", "good"], 0)):
        done = subprocess.run(
            [*command, "--prompt", "To", "--max-tokens", "5", *arguments],
            env=os.environ | {"PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        if code:
            assert done.stderr.startswith("Error: The filter 'nan' (")
            assert "of hostile 6.6, breaks its contract: it returned NaN" in done.stderr
            assert done.stderr.count("\n") == 1
