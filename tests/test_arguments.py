"""A text where a list is meant is one text, or refused: never its characters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import textgen
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


REFUSED: list[tuple[str, Callable[[Any, Any], Any]]] = [
    ("Requests are a list", lambda lm, _: list(textgen.generate(lm, "text", chain()))),
    ("the text is a text", lambda lm, _: textgen.perplexity(lm, "file.txt")),
    ("pairs is a text", lambda _, mt: list(textgen.align(mt, "text"))),  # type: ignore[arg-type]
    ("a pair is a text", lambda _, mt: list(textgen.align(mt, ("3 May", "05 03")))),  # type: ignore[arg-type]
    ("a pair is a text", lambda _, mt: list(textgen.score_given(mt, ("a", "b")))),  # type: ignore[arg-type]
    ("a pair is a text", lambda _, mt: textgen.learn_lexicon(mt, ("ab", "cd"))),  # type: ignore[arg-type]
    ("a pair is a text", lambda *_: textgen.PairTexts(("ab", "cd"))),  # type: ignore[arg-type]
    ("hypothesis is a text", lambda *_: textgen.score_translation("a b", [["a b"]])),
    ("reference 1 is a text", lambda *_: textgen.score_translation(["a b"], ["a b"])),
]


@pytest.mark.parametrize(("message", "call"), REFUSED, ids=[each[0] for each in REFUSED])
def test_a_text_that_can_be_no_list_is_refused(
    dates: textgen.LoadedModel,
    shakespeare: textgen.LoadedModel,
    message: str,
    call: Callable[[Any, Any], Any],
) -> None:
    with pytest.raises(UsageError, match=message):
        call(shakespeare, dates)
