"""README's Python section runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"
SECTION = README.read_text(encoding="utf-8").split("## From Python\n")[1].split("\n## ")[0]
BLOCKS = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)


def test_the_blocks_that_need_no_files_run(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for block in (BLOCKS[0], BLOCKS[4]):
        exec(compile(block, str(README), "exec"), names)  # noqa: S102 - it is ours
    said = capsys.readouterr().out
    assert "2021 05 03" in said
    assert said.count("2024 03 05") == 2
