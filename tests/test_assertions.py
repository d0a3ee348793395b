"""A test whose assertions stand in a loop or a condition alone also asserts that they ran."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
NAMES = ("assert", "check", "require", "compare", "same", "expect")
"""What functions that check something are called after."""


def checks(node: ast.AST) -> bool:
    """Whether a statement is a check."""
    if isinstance(node, ast.Assert):
        return True
    if isinstance(node, ast.With):
        contexts = " ".join(ast.dump(item.context_expr) for item in node.items)
        return "'raises'" in contexts or "'warns'" in contexts
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return called(node.value).startswith(NAMES)
    return False


def called(call: ast.Call) -> str:
    """The name of a called function."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def has_items(node: ast.expr) -> bool:  # noqa: PLR0911 one kind of expression after the other
    """Whether what a loop runs over cannot be empty: literals, constants of the file, ``some``."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return bool(node.elts)
    if isinstance(node, ast.Dict | ast.Constant):
        return bool(node.keys if isinstance(node, ast.Dict) else node.value)
    if isinstance(node, ast.Name):
        return node.id.isupper()
    if not isinstance(node, ast.Call):
        return False
    if called(node) == "range":
        return all(isinstance(each, ast.Constant) for each in node.args)
    if called(node) in {"items", "values", "keys"} and isinstance(node.func, ast.Attribute):
        return has_items(node.func.value)
    if called(node) == "zip" and any(each.arg == "strict" for each in node.keywords):
        return any(map(has_items, node.args))
    known = {"enumerate", "zip", "product", "sorted", "reversed"}
    return called(node) == "some" or (called(node) in known and all(map(has_items, node.args)))


def found(body: Sequence[ast.AST], *, certain: bool = True) -> Iterator[bool]:
    """For each check below some statements whether it surely runs."""
    for node in body:
        if checks(node):
            yield certain
        runs = certain
        if isinstance(node, ast.For):
            runs = certain and has_items(node.iter)
        elif isinstance(node, ast.While | ast.If | ast.ExceptHandler):
            runs = False
        if isinstance(node, ast.For | ast.While | ast.If | ast.With | ast.Try | ast.ExceptHandler):
            parts = (getattr(node, name, []) for name in ("body", "orelse", "finalbody"))
            for part in parts:
                yield from found(part, certain=runs)
            yield from found(getattr(node, "handlers", []), certain=certain)


def uncertain(text: str) -> list[str]:
    """Names of a file's tests that have checks of which none surely runs."""
    tests = [
        (node.name, list(found(node.body)))
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    return [name for name, certain in tests if certain and not any(certain)]


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: path.name)
def test_assertions_run(path: Path) -> None:
    names = uncertain(path.read_text(encoding="utf-8"))
    assert not names, "assert that there is something to check, or loop over some(items)"


@pytest.mark.parametrize(
    ("body", "sure"),
    [
        ("for x in f(): assert x", False),
        ("for x in some(f()): assert x", True),
        ("for x in (1, 2): assert x", True),
        ("for x in range(3):\n        for y in f(x): assert y", False),
        ("if f(): assert 1", False),
        ("while f(): assert 1", False),
        ("assert f()\n    for x in f(): assert x", True),
        ("with raises(E): f()", True),
        ("try: f()\n    except E: assert 1", False),
        ("for a, b in zip(f(), XS, strict=True): assert a == b", True),
    ],
)
def test_what_may_not_run_is_found(body: str, sure: bool) -> None:
    assert (uncertain(f"def test_it():\n    {body}\n") == []) is sure
