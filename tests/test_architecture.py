"""The direction of the imports, read from the source: a breach fails here."""

import ast
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.size import measure

ROOT = Path(__file__).resolve().parent.parent
PARTS = [
    "errors",
    "log",
    "shortfall",
    "notebooks",
    "native",
    "protocols",
    "rows",
    "arguments",
    "atomic",
    "config",
    "renames",
    "workers",
    "staging",
    "registry",
    "short_options",
    "checkpoint",
    "components",
    "data",
    "decoding",
    "models",
    "task",
    "recipes",
    "loading",
    "inference",
    "classification",
    "evidence",
    "tagging",
    "translation",
    "evaluation",
    "training",
    "progress",
    "tasks",
    "loaded",
    "testing",
    "cli",
    "__main__",
]
"""From the lowest to the highest: each imports from those before it alone."""
LEVELS = {name: level for level, name in enumerate(PARTS)}
HEAVY = {
    "babel",
    "datasets",
    "matplotlib",
    "num2words",
    "pandas",
    "PIL",
    "pyarrow",
    "pydantic",
    "sacrebleu",
    "sentencepiece",
    "tensorboard",
}
MODULES = sorted((ROOT / "textgen").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins" / "textgen_decoders").rglob("*.py"))


def is_typing_block(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def statements(tree: ast.Module, *, late: bool) -> Iterator[ast.AST]:
    """All statements that run; with ``late`` those inside functions too."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if is_typing_block(node):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not late:
            continue
        yield node
        waiting.extend(ast.iter_child_nodes(node))


def imports(path: Path, *, late: bool) -> set[str]:
    """Dotted names that a file imports; ``from a import b`` counts as ``a.b``."""
    found: set[str] = set()
    for node in statements(ast.parse(path.read_text(encoding="utf-8")), late=late):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def part(path: Path) -> str:
    """The top-level part of textgen that a file belongs to."""
    first = path.relative_to(ROOT / "textgen").parts[0]
    return first.removesuffix(".py")


def own_parts(names: set[str]) -> set[str]:
    """The parts of textgen among imported names."""
    parts = {name.split(".")[1] for name in names if name.startswith("textgen.")}
    return parts & LEVELS.keys()


def test_every_part_of_the_package_has_a_level() -> None:
    assert {part(path) for path in MODULES} <= LEVELS.keys() | {"__init__", "_bundled"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downwards(path: Path) -> None:
    own = part(path)
    if own == "__init__":
        return  # public names, all lazy: tested in test_public_names.py
    used = own_parts(imports(path, late=True)) - {own}
    upwards = {name for name in used if LEVELS[name] > LEVELS[own]}
    assert not upwards, f"{own} must not import {upwards}"
    pair = {"decoding", "models"}
    assert own not in pair or not used & pair, "decoding and models do not know each other"


def test_no_part_imports_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        if (own := part(path)) != "__init__":
            graph.setdefault(own, set()).update(own_parts(imports(path, late=True)) - {own})
    order = list(graphlib.TopologicalSorter(graph).static_order())  # CycleError names a circle
    assert order.index("errors") < order.index("models") < order.index("cli")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_third_parties_stay_in_their_place(path: Path) -> None:
    everywhere = {name.partition(".")[0] for name in imports(path, late=True)}
    at_import = {name.partition(".")[0] for name in imports(path, late=False)}
    assert "textgen_decoders" not in everywhere
    assert not at_import & HEAVY, "heavy packages are imported inside functions"
    allowed = {"cli": {"click", "rich"}, "progress": {"rich"}}.get(part(path), set())
    assert not everywhere & {"click", "rich"} - allowed, "only cli imports click"
    if part(path) in {"cli", "__init__", "protocols", "errors", "config", "registry"}:
        assert not at_import & {"torch", "numpy", "rich"}


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.name)
def test_shipped_plugins_use_what_any_plugin_may(path: Path) -> None:
    names = {name for name in imports(path, late=True) if name.startswith("textgen.")}
    assert own_parts(names) <= {"protocols", "decoding", "errors"}


WRITES = re.compile(r"\.write_(?:bytes|text)\(|open\([^)]*[\"'][wx]b?[\"']|savefig\(path")
WRITERS = {
    "atomic.py": "the module for it",
    "data/mapped.py": "into a new folder, which is renamed",
    "training/checkpointing.py": "into a temporary folder",
}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_written_atomically(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("atomic.write_", "")
    found = [line for line in text.splitlines() if WRITES.search(line)]
    assert str(path.relative_to(ROOT / "textgen")) in WRITERS or not found, "use textgen.atomic"


def test_the_reader_of_imports_sees_a_breach(tmp_path: Path) -> None:
    file = tmp_path / "breach.py"
    file.write_text(
        "from typing import TYPE_CHECKING\n"
        "import textgen.cli.app\n"
        "if TYPE_CHECKING:\n    import numpy\n"
        "def late() -> None:\n    from textgen import models\n"
    )
    assert imports(file, late=True) == {
        "typing.TYPE_CHECKING",
        "textgen.cli.app",
        "textgen.models",
    }
    assert "textgen.models" not in imports(file, late=False)
    for line in ('path.open("w", encoding="utf-8")', "path.write_bytes(data)", 'open(path, "wb")'):
        assert WRITES.search(line)
    assert not WRITES.search('path.open("rb")')
    assert own_parts(imports(file, late=True)) == {"cli", "models"}


def test_no_files_import_each_other_in_a_circle() -> None:
    assert measure(ROOT).circles == []


def test_circles_are_found(tmp_path: Path) -> None:
    (tmp_path / "textgen").mkdir()
    (tmp_path / "plugins").mkdir()
    files = {"a": "from textgen.b import x", "b": "def f():\n    from textgen import c", "c": ""}
    for name, text in files.items():
        (tmp_path / "textgen" / f"{name}.py").write_text(f"{text}\n", encoding="utf-8")
    assert measure(tmp_path).circles == []
    (tmp_path / "textgen" / "c.py").write_text("import textgen.a\n", encoding="utf-8")
    found = measure(tmp_path)
    assert found.circles == [["textgen.a", "textgen.b", "textgen.c"]]
    assert (found.files, found.lines, found.functions, found.longest) == (3, 4, 1, 2)
