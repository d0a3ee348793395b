"""public_types.py, which mypy reads, runs as well."""

from __future__ import annotations

from pathlib import Path

import public_types

import textgen
from small_models import TEXT


def test_the_calls_that_type_checkers_accept_work(tmp_path: Path) -> None:
    text, other = tmp_path / "a.txt", tmp_path / "b.txt"
    text.write_text(TEXT * 9, encoding="utf-8")
    other.write_text(TEXT.upper() * 9, encoding="utf-8")
    lm, mt = textgen.load("shakespeare"), textgen.load("dates")
    public_types.generating(lm)
    public_types.filtering(lm)
    public_types.translating(mt)
    public_types.configurations(lm, mt)
    public_types.loading(mt.folder)
    public_types.training(text, (text, other), tmp_path)
    table = tmp_path / "labelled.csv"
    rows = "".join(f"text {number},{'xy'[number % 2]}\n" for number in range(20))
    table.write_text(f"text,label\n{rows}", encoding="utf-8")
    public_types.training_a_classifier(table, tmp_path / "classifier")
