"""The names of the package itself: complete, lazy, and each where it says."""

import ast
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import textgen


@pytest.mark.parametrize("name", textgen.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    value = getattr(textgen, name)
    assert value is getattr(sys.modules[textgen._HOME[name]], name)
    assert getattr(value, "__module__", "textgen").startswith("textgen")


def test_public_names_are_listed_once_and_in_order() -> None:
    assert textgen.__all__ == sorted(set(textgen.__all__))
    assert set(textgen.__all__) == set(textgen._HOME)
    assert set(textgen.__all__) <= set(dir(textgen))


def test_type_checkers_see_the_same_names_from_the_same_homes() -> None:
    tree = ast.parse(Path(textgen.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == textgen._HOME


def test_importing_the_package_imports_nothing_else() -> None:
    script = (
        "import sys; before = set(sys.modules); import textgen; "
        "print('\\n'.join(n for n in set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded - set(sys.stdlib_module_names) - {"textgen"}


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'transformer'"):
        textgen.transformer  # noqa: B018


def test_the_version_is_the_installed_one() -> None:
    assert textgen.__version__ == importlib.metadata.version("textgen")
