"""The size of a checkout, printed."""

import json
from pathlib import Path

import pytest

from benchmarks.size import main


def test_the_size_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "textgen").mkdir()
    for name, other in (("a", "b"), ("b", "a")):
        text = f"import textgen.{other}\n\n\ndef f():\n    return 1\n"
        (tmp_path / "textgen" / f"{name}.py").write_text(text, encoding="utf-8")
    main([str(tmp_path)])
    assert capsys.readouterr().out.splitlines() == [
        "2 files, 10 lines",
        "2 functions, nine of ten up to 2 lines, 2 at most",
        "1 circles of files",
        "  textgen.a ↔ textgen.b",
    ]
    main([str(tmp_path), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (told["p90"], told["circles"]) == (2, [["textgen.a", "textgen.b"]])
