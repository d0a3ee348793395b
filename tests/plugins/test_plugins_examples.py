"""The example in each plugin's documentation runs as it stands, on a bundled model."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest

from textgen.cli.failures import guarded
from textgen.decoding.chain import default_registries
from textgen.registry import Registry

SHIPPED = [
    (registry, entry.name)
    for registry in default_registries()
    for entry in registry.entries()
    if entry.origin.startswith("textgen ")
]


@pytest.mark.parametrize(
    ("registry", "name"), SHIPPED, ids=[f"{each.kind}-{name}" for each, name in SHIPPED]
)
def test_the_example_runs(
    registry: Registry[Any], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    documentation = registry.load(name).__doc__ or ""
    example = " ".join(documentation.partition("Example: ")[2].split())
    assert registry.kind == "filter" or name in example
    example = re.sub(r"checkpoints/\w+", "shakespeare", example)
    job = ("generate", "--model", "shakespeare", "--prompt", "KING", "--max-tokens", "12")
    code = guarded([*job, *shlex.split(example)])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert len(printed.out) > len("KING\n")
    # several texts have a line above each
    assert printed.out.removeprefix("--- prompt 1, sample 1 ---\n").startswith("KING")
