"""How large the code is: lines, files, functions, and files that import each other in a circle.

    python -m benchmarks.size [FOLDER] [--json]

FOLDER is a checkout, by default this one. Lines are all lines of Python, blank ones and docstrings
included. Imports inside functions count; those for type checkers alone do not.
"""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

PARTS = ("textgen", "plugins")


@dataclass(frozen=True)
class Size:
    """What a checkout's package and plugins come to.

    Attributes:
        files: Python files.
        lines: of them.
        functions: methods included.
        p90: lines of a function that nine of ten do not exceed.
        longest: lines of the longest function.
        circles: groups of files that import each other, by name.
    """

    files: int
    lines: int
    functions: int
    p90: int
    longest: int
    circles: list[list[str]]


def measure(checkout: Path) -> Size:
    """Read all files."""
    paths = sorted(path for part in PARTS for path in (checkout / part).rglob("*.py"))
    texts = {path: path.read_text(encoding="utf-8") for path in paths}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    lengths = sorted(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    names = {_module(path, checkout): path for path in paths}
    graph = {
        name: {found for found in map(_known(names), _imports(trees[path])) if found} - {name}
        for name, path in names.items()
    }
    return Size(
        files=len(paths),
        lines=sum(text.count("\n") for text in texts.values()),
        functions=len(lengths),
        p90=lengths[int(0.9 * (len(lengths) - 1))],
        longest=lengths[-1],
        circles=[sorted(group) for group in _circles(graph) if len(group) > 1],
    )


def _module(path: Path, checkout: Path) -> str:
    parts = path.relative_to(checkout).with_suffix("").parts
    return ".".join(part for part in parts if part not in {"__init__", "plugins"})


def _known(names: dict[str, Path]) -> Callable[[str], str | None]:
    """Gives the module that an imported name lies in."""

    def find(name: str) -> str | None:
        if name in names:
            return name
        parent = name.rpartition(".")[0]
        return parent if parent in names else None

    return find


def _imports(tree: ast.Module) -> Iterator[str]:
    """Dotted names that a file imports when it runs."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        waiting.extend(ast.iter_child_nodes(node))


def _circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Groups of names that reach each other (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            place = stack.index(name)
            found.append(set(stack[place:]))
            del stack[place:]

    for name in graph:
        if name not in index:
            visit(name)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the size of a checkout."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    size = measure(chosen.folder)
    if chosen.json:
        print(json.dumps(asdict(size)))
        return
    print(f"{size.files} files, {size.lines:,} lines")
    print(
        f"{size.functions:,} functions, nine of ten up to {size.p90} lines, {size.longest} at most"
    )
    print(f"{len(size.circles)} circles of files")
    for group in size.circles:
        print("  " + " ↔ ".join(group))


if __name__ == "__main__":
    main()
