"""A text where a list is meant is one text, or refused: never its characters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import textgen
from textgen.arguments import whole_number
from textgen.errors import UsageError
from textgen_decoders.allowed import Allowed
from textgen_decoders.banned import Banned
from textgen_decoders.constrained import Constrained
from textgen_decoders.dry import Dry

FOLDER = Path(__file__).parent / "models_of_version_1"


@pytest.fixture(scope="module")
def dates() -> textgen.LoadedModel:
    return textgen.load_model(str(FOLDER / "dates"), "cpu")


@pytest.fixture(scope="module")
def shakespeare() -> textgen.LoadedModel:
    return textgen.load_model(str(FOLDER / "shakespeare"), "cpu")


def chain(*filters: str) -> textgen.Chain:
    return textgen.resolve("greedy", filters, textgen.default_registries())


def test_one_text_is_a_list_of_one(dates: textgen.LoadedModel) -> None:
    translated = [each.text for each in textgen.translate(dates, "3 May 2021", chain())]
    assert translated == ["2021 05 03"]
    forced = textgen.translate(dates, "3 May 2021", chain(), prefixes="2022")
    assert next(iter(forced)).text.startswith("2022")
    assert textgen.Request("a", stop="the").stop == ("the",)  # type: ignore[arg-type]
    resolved = textgen.resolve("sample", "temperature:0.5", textgen.default_registries())
    assert resolved.description == ["temperature:t=0.5", "sample"]
    assert textgen.load_ensemble(str(FOLDER / "dates"), "cpu").kind == "translator"
    assert list(textgen.Texts("abc").documents()) == ["abc"]  # type: ignore[arg-type]
    config: Any = {"kind": "words"}
    words = textgen.train_tokenizer(textgen.data.tokenizers.TokenizerConfig(**config), "ab cd")
    assert words.encode("ab") == [5]


@pytest.mark.parametrize(
    ("make", "field"),
    [(Banned, "words"), (Allowed, "words"), (Constrained, "phrases"), (Dry, "breakers")],
)
def test_one_text_of_a_plugin_is_a_list_of_one(make: Callable[..., Any], field: str) -> None:
    assert getattr(make(**{field: "the"}), field) == ["the"]


HALF = "a \ud800"
REQUEST = textgen.Request("a", max_tokens=2)
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("prompt is no text, but bytes", {"prompt": b"a"}),
    ("prompt has half of a surrogate pair", {"prompt": HALF}),
    ("stop: expected a text or texts, not NoneType", {"stop": None}),
    ("stop: expected a text or texts, not bytes", {"stop": b"a"}),
    ("stop: number 1 is no text, but int", {"stop": [5]}),
    ("stop: number 1 has half of a surrogate pair", {"stop": HALF}),
    ("stop: an empty text would stop at once", {"stop": ""}),
    ("stop: an empty text would stop at once", {"stop": ["a", ""]}),
    ("samples: expected a whole number, not '3'", {"samples": "3"}),
    ("samples: expected a whole number, not 1.5", {"samples": 1.5}),
    ("samples: expected a whole number, not True", {"samples": True}),
    ("samples 0 is out of range", {"samples": 0}),
    ("The seed: expected a whole number, not 'random'", {"seed": "random"}),
    ("The seed: expected a whole number, not 1.5", {"seed": 1.5}),
    ("The seed -1 is out of range", {"seed": -1}),
    ("The seed: expected a whole number, not None", {"seed": None}),
    ("max_tokens -3 is out of range: allowed is 0 to", {"max_tokens": -3}),
    (r"max_tokens \d+ is out of range", {"max_tokens": 1 << 64}),
    ("max_tokens: expected a whole number, not None", {"max_tokens": None}),
    ("index: expected a whole number", {"index": "1"}),
]


@pytest.mark.parametrize(("message", "given"), WRONG)
def test_a_request_is_looked_at_where_it_is_made(message: str, given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=message):
        textgen.Request(**{"prompt": "a", **given})


@pytest.mark.parametrize(
    "given",
    [
        {"candidates": 1.5},
        {"batch_tokens": 0},
        {"window": "9"},
        {"max_source": -1},
        {"workers": 0},
        {"shortlist": True},
        {"seed": "random"},
        {"seed": 1 << 63},
    ],
)
def test_options_of_translations_are_whole_numbers_in_their_ranges(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"expected a whole number|is out of range"):
        textgen.TranslationOptions(**given)


def test_whole_numbers_of_any_kind_are_whole_numbers() -> None:
    assert whole_number(np.int64(7), "n") == 7
    assert textgen.Request("a", samples=np.int32(2)).samples == 2


def test_one_request_is_a_list_of_one(shakespeare: textgen.LoadedModel) -> None:
    alone = list(textgen.generate(shakespeare, REQUEST, chain()))
    assert alone == list(textgen.generate(shakespeare, [REQUEST], chain()))
    assert len(alone) == 1


REFUSED: list[tuple[str, Callable[[Any, Any], Any]]] = [
    ("Requests are a list", lambda lm, _: list(textgen.generate(lm, "text", chain()))),  # type: ignore[arg-type]
    ("Requests are a list", lambda lm, _: list(textgen.generate(lm, 3, chain()))),  # type: ignore[arg-type]
    ("Request 1 is no textgen", lambda lm, _: list(textgen.generate(lm, ["a"], chain()))),  # type: ignore[list-item]
    ("A chain is what", lambda lm, _: list(textgen.generate(lm, [REQUEST], "greedy"))),  # type: ignore[arg-type]
    ("A chain is what", lambda _, mt: list(textgen.translate(mt, "3 May", None))),  # type: ignore[arg-type]
    ("not str: textgen.open_text", lambda lm, _: textgen.perplexity(lm, "file.txt")),  # type: ignore[arg-type]
    ("not list: textgen.open_text", lambda lm, _: textgen.perplexity(lm, ["the cat"])),  # type: ignore[arg-type]
    ("lines: expected a text", lambda _, mt: textgen.translate(mt, b"3 May", chain())),  # type: ignore[arg-type]
    ("number 1 is no text, but None", lambda _, mt: list(textgen.translate(mt, [None], chain()))),  # type: ignore[list-item]
    ("number 1 is no text, but int", lambda _, mt: list(textgen.translate(mt, [5], chain()))),  # type: ignore[list-item]
    ("number 2 has half of", lambda _, mt: list(textgen.translate(mt, ["a", HALF], chain()))),
    (
        "prefixes: number 1 is no text",
        lambda _, mt: list(textgen.translate(mt, ["a"], chain(), prefixes=[None])),  # type: ignore[list-item]
    ),
    ("documents: number 1 has half", lambda *_: textgen.Texts([HALF])),
    ("documents: number 1 is no text", lambda *_: textgen.Texts([None])),  # type: ignore[list-item]
    ("documents: expected a text", lambda *_: textgen.Texts(b"ab")),  # type: ignore[arg-type]
    ("Pair 1: expected", lambda _, mt: list(textgen.align(mt, [None]))),  # type: ignore[list-item]
    ("Pair 1: expected", lambda *_: textgen.PairTexts([("a",)])),  # type: ignore[list-item]
    ("The target of pair 1 is no text", lambda *_: textgen.PairTexts([("a", 5)])),  # type: ignore[list-item]
    ("pairs is a text", lambda _, mt: list(textgen.align(mt, "text"))),  # type: ignore[arg-type]
    ("a pair is a text", lambda _, mt: list(textgen.align(mt, ("3 May", "05 03")))),  # type: ignore[arg-type]
    ("a pair is a text", lambda _, mt: list(textgen.score_given(mt, ("a", "b")))),  # type: ignore[arg-type]
    ("a pair is a text", lambda _, mt: textgen.learn_lexicon(mt, ("ab", "cd"))),  # type: ignore[arg-type]
    ("a pair is a text", lambda *_: textgen.PairTexts(("ab", "cd"))),  # type: ignore[arg-type]
    ("batch_size 0 is out", lambda lm, _: list(textgen.generate(lm, [], chain(), batch_size=0))),
    ("The number of results: expected", lambda *_: chain().results("3")),  # type: ignore[arg-type]
    ("hypothesis: number 1 is no text", lambda *_: textgen.score_translation([None], [["a"]])),  # type: ignore[list-item]
    ("hypothesis is a text", lambda *_: textgen.score_translation("a b", [["a b"]])),
    ("reference 1 is a text", lambda *_: textgen.score_translation(["a b"], ["a b"])),
]


@pytest.mark.parametrize(("message", "call"), REFUSED, ids=range(len(REFUSED)))
def test_a_text_that_can_be_no_list_is_refused(
    dates: textgen.LoadedModel,
    shakespeare: textgen.LoadedModel,
    message: str,
    call: Callable[[Any, Any], Any],
) -> None:
    with pytest.raises(UsageError, match=message):
        call(shakespeare, dates)
