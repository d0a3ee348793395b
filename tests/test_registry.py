"""Specs and registries: entry points and dropped files, found without importing them."""

import importlib.metadata
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from annotated_types import Ge
from hypothesis import given
from hypothesis import strategies as st

from textgen.errors import ConfigError, PluginError
from textgen.registry import FOLDERS_VARIABLE, Registry, Spec, parse_spec, plugin_folders

GROUP = "textgen.test_group"


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("greedy", Spec("greedy", {})),
        (" greedy ", Spec("greedy", {})),
        ("greedy:", Spec("greedy", {})),
        ("beam:width=5,length=gnmt", Spec("beam", {"width": 5, "length": "gnmt"})),
        ("beam: width = 5 , alpha = 0.6 ", Spec("beam", {"width": 5, "alpha": 0.6})),
        ("beam:length-penalty=2", Spec("beam", {"length_penalty": 2})),
        ("temperature:0.8", Spec("temperature", {}, (0.8,))),
        ("x:1,two,k=3", Spec("x", {"k": 3}, (1, "two"))),
        ("x:none,a=none", Spec("x", {"a": None}, (None,))),
        ("stop:a\\,b", Spec("stop", {}, ("a,b",))),
        ("stop:text=don't,k=2", Spec("stop", {"text": "don't", "k": 2})),
        ("stop:text='a,b',k=2", Spec("stop", {"text": "a,b", "k": 2})),
        ('stop:"a,b"', Spec("stop", {}, ("a,b",))),
        ("x:words=[1,2],k=3", Spec("x", {"words": [1, 2], "k": 3})),
        ("x:words=[['a','b,c'],[]],k=3", Spec("x", {"words": [["a", "b,c"], []], "k": 3})),
        ("x:map={a=1,b=2},k=3", Spec("x", {"map": {"a": 1, "b": 2}, "k": 3})),
        ("x:text=],k=3", Spec("x", {"text": "]", "k": 3})),
        ("x:text=a[b,k=3", Spec("x", {"text": "a[b", "k": 3})),
        ("x:a:b", Spec("x", {}, ("a:b",))),
        ("x:path=C\\\\d", Spec("x", {"path": "C\\d"})),
        ("x:\\d+\\[\\,", Spec("x", {}, ("\\d+\\[,",))),
        ('x:["\\n","\\""]', Spec("x", {}, (["\n", '"'],))),
        ("x:a='\\w{1,2}'", Spec("x", {"a": "\\w{1,2}"})),
        ("x:\\'a", Spec("x", {}, ("'a",))),
        ("x:,,k=3,", Spec("x", {"k": 3})),
        ("x:2=3", Spec("x", {}, ("2=3",))),
    ],
)
def test_specs(text: str, spec: Spec) -> None:
    assert parse_spec(text) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "expected NAME"), (":k=3", "expected NAME"), ("x:k=1,k=2", "k is given twice")],
)
def test_wrong_specs(text: str, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        parse_spec(text)


@given(st.text())
def test_any_text_is_a_spec_or_a_clear_error(text: str) -> None:
    try:
        told = str(parse_spec(text))
    except PluginError as error:
        told = str(error)
        assert repr(text) in told
    assert told


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,5}", fullmatch=True).filter(str.isidentifier),
        st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_specs_are_written_as_they_are_read(options: dict[str, Any]) -> None:
    spec = Spec("x", options)
    assert parse_spec(str(spec)) == spec


@dataclass(frozen=True)
class Shipped:
    """Made by an entry point of this file."""

    width: Annotated[int, Ge(1), "how wide"] = 4
    alpha: float = 0.5

    def __call__(self) -> str:
        return f"shipped {self.width} {self.alpha}"


@dataclass(frozen=True)
class Silent:
    """Cannot be called: breaks every contract."""


broken_attribute = 3


class FakeDistribution:
    name, version = "somebody", "1.2"


class FakePoint:
    def __init__(self, name: str, value: str, dist: object = FakeDistribution) -> None:
        self.name, self.value, self.dist = name, value, dist


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> list[FakePoint]:
    """Entry points of the test group, beside none of any other."""
    found = [FakePoint("shipped", f"{__name__}:Shipped")]

    def entry_points(*, group: str) -> list[FakePoint]:
        return found if group == GROUP else []

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    return found


@pytest.fixture
def registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, points: list[FakePoint]
) -> Iterator[Registry[Any]]:
    assert points
    monkeypatch.delenv(FOLDERS_VARIABLE, raising=False)
    before = set(sys.modules)
    yield Registry("strategy", GROUP, [tmp_path])
    for name in set(sys.modules) - before:
        del sys.modules[name]


def drop(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    return path


def test_plugins_are_listed_with_their_origin_and_not_imported(
    registry: Registry[Any], tmp_path: Path
) -> None:
    path = drop(tmp_path, "my_own", "raise SystemExit('imported')\ndef strategy(): ...\n")
    drop(tmp_path, "a_filter", "def filter(): ...\n")
    drop(tmp_path, "helper", "def nothing(): ...\n")
    names = [(entry.name, entry.origin) for entry in registry.entries()]
    assert names == [("my-own", str(path)), ("shipped", "somebody 1.2")]
    assert registry.names() == ["my-own", "shipped"]
    with pytest.raises(PluginError, match="SystemExit: imported"):
        registry.build("my-own")


@pytest.mark.parametrize(
    "text",
    [
        "def strategy(): return lambda: 'made'\n",
        "strategy = lambda: lambda: 'made'\n",
        "strategy: object = lambda: lambda: 'made'\n",
        "from functools import partial as strategy\n",
        "class strategy:\n    def __call__(self): return 'made'\n",
        (
            "from dataclasses import dataclass\n@dataclass\nclass strategy:\n"
            "    k: int = 3\n    def __call__(self): return 'made'\n"
        ),
    ],
)
def test_dropped_files(registry: Registry[Any], tmp_path: Path, text: str) -> None:
    drop(tmp_path, "my_own", text)
    assert registry.entry("my_own").name == "my-own"
    if "partial" not in text:
        assert registry.build("my-own")() == "made"


def test_entry_points_with_options(registry: Registry[Any]) -> None:
    assert registry.build("shipped")() == "shipped 4 0.5"
    assert registry.build("shipped:width=2")() == "shipped 2 0.5"
    assert registry.build("shipped:2,alpha=1")() == "shipped 2 1.0"
    assert registry.build(Spec("shipped", {"alpha": 2}, (7,)))() == "shipped 7 2.0"


def test_wrong_options_are_told_all_at_once(registry: Registry[Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        registry.build("shipped:width=0,alpha=x,widht=3")
    text = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 3
    assert text.count("strategy shipped: ") == 3
    assert "greater than or equal to 1, got 0" in text
    assert "Did you mean 'width'?" in text
    with pytest.raises(ConfigError, match="3 is one value too many"):
        registry.build("shipped:1,2,3")
    with pytest.raises(ConfigError, match="width is given twice"):
        registry.build("shipped:1,width=2")


def test_unknown_names_get_the_nearest(registry: Registry[Any]) -> None:
    with pytest.raises(PluginError, match=r"no strategy 'shiped'\. Did you mean 'shipped'\?"):
        registry.build("shiped")


def test_names_may_be_written_either_way(registry: Registry[Any], points: list[FakePoint]) -> None:
    points.append(FakePoint("with_line", f"{__name__}:Shipped"))
    assert registry.build("with_line")() == registry.build("with-line")() == "shipped 4 0.5"


def test_two_of_one_name_name_both_origins(registry: Registry[Any], tmp_path: Path) -> None:
    path = drop(tmp_path, "shipped", "def strategy(): ...\n")
    assert registry.names() == ["shipped"]
    with pytest.raises(PluginError, match="defined twice") as caught:
        registry.build("shipped")
    assert str(path) in str(caught.value)
    assert "somebody 1.2" in str(caught.value)


def test_the_same_plugin_found_twice_is_one(
    registry: Registry[Any], points: list[FakePoint]
) -> None:
    points.append(FakePoint("shipped", f"{__name__}:Shipped"))
    assert registry.build("shipped")() == "shipped 4 0.5"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def strategy(:\n", "SyntaxError"),
        ("import no_such_module\ndef strategy(): ...\n", "No module named 'no_such_module'"),
        ("def strategy(): ...\n1 / 0\n", "ZeroDivisionError"),
        ("import sys\ndef strategy(): ...\nsys.exit(3)\n", "SystemExit: 3"),
        ("strategy: object\n", "has no attribute 'strategy'"),
    ],
)
def test_a_broken_file_harms_only_whoever_asks_for_it(
    registry: Registry[Any], tmp_path: Path, text: str, message: str
) -> None:
    path = drop(tmp_path, "broken", text)
    assert registry.build("shipped")() == "shipped 4 0.5"
    for _ in range(2):
        with pytest.raises(PluginError, match=message) as caught:
            registry.build("broken")
        assert f"'broken' of {path} cannot be loaded" in str(caught.value)


def test_broken_entry_points_name_their_package(
    registry: Registry[Any], points: list[FakePoint]
) -> None:
    points.append(FakePoint("gone", "no_such_module_at_all:thing"))
    points.append(FakePoint("lost", f"{__name__}:nothing_here", dist=None))
    points.append(FakePoint("number", f"{__name__}:broken_attribute"))
    points.append(FakePoint("silent", f"{__name__}:Silent"))
    with pytest.raises(PluginError, match=r"'gone' of somebody 1\.2 cannot be loaded"):
        registry.build("gone")
    with pytest.raises(PluginError, match=f"'lost' of {__name__}:nothing_here cannot be"):
        registry.build("lost")
    with pytest.raises(PluginError, match=r"number of somebody .*is no factory"):
        registry.build("number")
    with pytest.raises(PluginError, match=r"silent of somebody .*breaks its contract"):
        registry.build("silent")


def test_factories_that_refuse_are_told(registry: Registry[Any], tmp_path: Path) -> None:
    drop(
        tmp_path,
        "picky",
        "def strategy(k=1):\n    if k < 0: raise ValueError('k is negative')\n    return print\n",
    )
    assert registry.build("picky:k=3") is print
    with pytest.raises(ConfigError, match=r"picky .*k is negative"):
        registry.build("picky:k=-1")
    with pytest.raises(ConfigError, match=r"picky .*unexpected keyword argument 'j'"):
        registry.build("picky:j=1")


def test_folders_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, points: list[FakePoint]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        drop(folder, folder.name, "def strategy(): return print\n")
    monkeypatch.setenv(FOLDERS_VARIABLE, f"{first}:{tmp_path / 'missing'}::{second}")
    monkeypatch.chdir(second)
    assert points
    assert Registry[Any]("strategy", GROUP).names() == ["first", "second", "shipped"]
    folders = plugin_folders([Path(), second, tmp_path / "missing"])
    assert [folder for folder in folders if tmp_path in folder.parents] == [first, second]


def test_the_current_folder_is_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, points: list[FakePoint]
) -> None:
    drop(tmp_path, "evil", "def strategy(): return print\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(FOLDERS_VARIABLE, raising=False)
    assert points
    assert Registry[Any]("strategy", GROUP).names() == ["shipped"]
