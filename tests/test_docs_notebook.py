"""The notebook of docs/ runs from its first cell to its last, and shows what it promises."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).resolve().parents[1] / "docs" / "facade.ipynb"


def shown(code: str, names: dict[str, Any]) -> str:
    """Run a cell; what a notebook would show of its last expression."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(PATH), "exec"), names)  # noqa: S102 - it is ours
    if not isinstance(last, ast.Expr):
        return ""
    value = eval(compile(ast.Expression(last.value), str(PATH), "eval"), names)  # noqa: S307
    html = getattr(value, "_repr_html_", None)
    return "" if value is None else html() if html is not None else repr(value)


def test_the_notebook_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cells = json.loads(PATH.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(each["source"]) for each in cells if each["cell_type"] == "code"]
    names: dict[str, Any] = {}
    outputs = [shown(source, names) for source in sources]
    assert outputs[0].startswith("LoadedLanguageModel('shakespeare'")
    for part in ("rgba(214,72,61", "rgba(68,119,170", "<polyline", "2021 05 03"):
        assert any(part in output for output in outputs), part
    printed = capsys.readouterr().out
    assert "both set the filter temperature" in printed
    assert "exact 100.00%" in printed
