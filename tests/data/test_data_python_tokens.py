"""Lines of Python tagged by its own tokenizer."""

from __future__ import annotations

import itertools

from textgen.data.corpora import open_pair_corpus
from textgen.data.python_tokens import tagged_lines
from textgen.data.sentence_files import items


def test_lines_and_tags() -> None:
    code = 'def f(x):\n    return len(x) + 1.5  # why\n\ntext = """a\nb"""\ny = (1,\n  2)\n'
    assert list(tagged_lines(code)) == [
        (["def", "f", "(", "x", ")", ":"], ["KEYWORD", "NAME", "OP", "NAME", "OP", "OP"]),
        (
            ["return", "len", "(", "x", ")", "+", "1.5", "# why"],
            ["KEYWORD", "BUILTIN", "OP", "NAME", "OP", "OP", "NUMBER", "COMMENT"],
        ),
        (
            ["y", "=", "(", "1", ",", "2", ")"],
            ["NAME", "OP", "OP", "NUMBER", "OP", "NUMBER", "OP"],
        ),
    ]
    assert list(tagged_lines("x = 1\ny = (\n")) == [(["x", "=", "1"], ["NAME", "OP", "NUMBER"])]


def test_the_corpus_has_parts_and_a_share() -> None:
    splits = open_pair_corpus("python-tokens:share=0.02")
    assert splits.valid is not None
    assert splits.test is not None
    found = list(splits.valid.pairs())
    assert len(found) > 20
    assert found == list(splits.valid.pairs())
    assert all(len(items(words)) == len(items(tags)) > 1 for words, tags in found)
    more = open_pair_corpus("python-tokens:share=0.04").valid
    assert more is not None
    assert set(found) < set(more.pairs())
    first = itertools.islice(splits.train.pairs(), 20)
    assert sum(1 for _ in first) == 20
    assert splits.train.name == "python-tokens (train)"
