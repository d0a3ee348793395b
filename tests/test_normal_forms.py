"""Text in one Unicode form meets a model of another one: both are compared in the model's own."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest

from textgen.config import structure
from textgen.data.documents import Texts
from textgen.data.parallel import PairTexts
from textgen.data.tokenizers import TokenizerConfig, train_tokenizer
from textgen.decoding.chain import default_registries, resolve
from textgen.evaluation.report import translate_and_score
from textgen.evaluation.text_warnings import text_warnings
from textgen.inference import Request, generate
from textgen.loading import LoadedModel, load_model
from textgen.recipes.recipe import LanguageModelRecipe, TranslatorRecipe
from textgen.tasks.language_model import train_language_model
from textgen.tasks.pairs import _Validation
from textgen.translation import TranslationOptions
from textgen_decoders.banned import Banned
from textgen_decoders.constrained import Constrained
from textgen_decoders.dry import Dry
from textgen_decoders.logit_bias import LogitBias
from textgen_decoders.prefix import Prefix
from textgen_decoders.regex import Regex

COMPOSED = "déjà vu à Zürich, ça va très bien là-bas"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)
TOKENIZER = train_tokenizer(TokenizerConfig(), [COMPOSED])
SETTINGS = {"steps": 1, "batch": 2, "bptt_length": 8, "precision": "float32", "device": "cpu"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    out = tmp_path_factory.mktemp("model")
    data = {"model": {"hidden": 4}, "training": SETTINGS}
    recipe = structure(LanguageModelRecipe, data)
    assert list(train_language_model(recipe, Texts([f"{COMPOSED}\n" * 9]), None, out))
    return load_model(str(out), "cpu")


def forced(model: LoadedModel, text: str, **options: Any) -> str:
    """What a model generates that a filter makes write a text; a prefix is no place for a stop."""
    kind = "regex:pattern" if options else "prefix:text"
    filters = [f'{kind}="{text}"']
    chain = resolve("greedy", filters, default_registries())
    (found,) = generate(model, [Request("", max_tokens=len(text) + 3, **options)], chain)
    return found.text


def test_prompts_stops_and_what_is_generated(model: LoadedModel) -> None:
    assert forced(model, DECOMPOSED).startswith(COMPOSED)
    stop = unicodedata.normalize("NFD", "ürich")
    assert forced(model, COMPOSED, stop=(stop,)) == "déjà vu à Z"
    assert forced(model, COMPOSED, stop=stop) == "déjà vu à Z"  # one text, not its characters


@pytest.mark.parametrize(
    "make",
    [
        lambda text: Banned([text]),
        lambda text: Constrained([text]),
        Prefix,
        lambda text: LogitBias({text: 1.0}),
        lambda text: Dry(breakers=[text]),
    ],
)
@pytest.mark.parametrize("word", ["é", "ü"])
def test_plugins_that_name_texts(make: Any, word: str) -> None:
    other = unicodedata.normalize("NFD", word)
    assert other != word
    left, right = (make(each).setup_tokenizer(TOKENIZER) for each in (word, other))
    for plugin in (left, right):
        vars(plugin).pop("options", None)  # as they were given
    assert vars(left) == vars(right)


def test_regular_expressions() -> None:
    plugins = [
        Regex(each).setup_tokenizer(TOKENIZER)
        for each in ("dé+", unicodedata.normalize("NFD", "dé+"))
    ]
    start = plugins[0].automaton.start
    possible = [each.automaton.possible(start_of(each)) for each in plugins]
    assert start == plugins[1].automaton.start
    assert possible[0].equal(possible[1])


def start_of(plugin: Any) -> Any:
    import torch

    state = torch.tensor([[plugin.automaton.start]])
    return plugin.automaton.after(state, torch.tensor([TOKENIZER.encode("d")]))


class Found:
    """A translation."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.candidates = [type("Candidate", (), {"log_prob": -1.0, "tokens": (1,)})]


def said(monkeypatch: pytest.MonkeyPatch, texts: list[str]) -> None:
    def translate(*_: Any, **__: Any) -> Any:
        return (Found(text) for text in texts)

    monkeypatch.setattr("textgen.translation.translate", translate)
    monkeypatch.setattr("textgen.evaluation.report.translate", translate)


def test_references_of_an_evaluation(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    said(monkeypatch, [COMPOSED])
    chain = resolve("greedy", [], default_registries())
    report = translate_and_score(model, ["x"], [[DECOMPOSED]], chain, TranslationOptions())
    assert report.exact == 1.0
    assert report.scores.scores["bleu"].score == pytest.approx(100)


def test_references_of_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    said(monkeypatch, [COMPOSED])
    data = {"model": {"hidden": 8, "embedding": 4}, "validation": {"bleu_pairs": 1}}
    recipe = structure(TranslatorRecipe, {**data, "training": {"steps": 1}})
    tokenizers = {"source": TOKENIZER, "target": TOKENIZER}
    texts = PairTexts([(COMPOSED, DECOMPOSED)])
    validation = _Validation(recipe, tokenizers, texts, {"target_ratio": 1.0})
    assert validation._bleu(None) == pytest.approx(100)  # type: ignore[arg-type]


def test_texts_of_two_forms_are_told_where_no_model_knows_its_own() -> None:
    (warning,) = text_warnings("mine", [DECOMPOSED] * 3, [("theirs", [COMPOSED] * 3)])
    assert "decomposed (not in Unicode's form NFC) by mine in 3 of its lines" in warning
    assert not text_warnings("mine", [COMPOSED] * 3, [("theirs", [COMPOSED] * 3)])
    assert not text_warnings("mine", [DECOMPOSED] * 3, [("theirs", [DECOMPOSED] * 3)])
