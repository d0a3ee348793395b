"""What a type checker sees of the public names: mypy reads this file, a test runs it.

``# type: ignore`` marks what is to be an error: mypy tells where one is superfluous.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import assert_type

from torch import Tensor

import textgen
from textgen.loaded import AnyModel
from textgen.protocols import Beam
from textgen.training.events import Event


def loading(folder: Path) -> None:
    """A class for each kind; bundled names are known, others may say what they are."""
    assert_type(textgen.load("shakespeare"), textgen.LoadedLanguageModel)
    assert_type(textgen.load("dates", precision="bfloat16"), textgen.LoadedTranslator)
    assert_type(textgen.load(folder, kind=textgen.LoadedTranslator), textgen.LoadedTranslator)
    assert_type(textgen.load(folder, folder), AnyModel)


def generating(lm: textgen.LoadedLanguageModel) -> None:
    """A text or texts, samples or none: four forms."""
    assert_type(lm.generate("A", max_tokens=1), textgen.Generation)
    assert_type(lm.generate(["A"], max_tokens=1, beam=2), list[textgen.Generation])
    assert_type(lm.generate("A", samples=2, max_tokens=1, top_k=3), list[textgen.Generation])
    assert_type(lm.generate(iter(["A"]), samples=1, max_tokens=1), list[list[textgen.Generation]])
    assert_type(lm.stream("A", max_tokens=1), Generator[str, None, textgen.Generation])
    assert_type(lm.perplexity(textgen.Texts(["A"])), textgen.Perplexity)
    assert_type(lm.evaluate(textgen.Texts(["A"])), textgen.Perplexity)
    assert_type(lm.history, textgen.TrainingHistory)


def filtering(lm: textgen.LoadedLanguageModel) -> None:
    """SPECs and functions, one or several."""

    def same(log_probs: Tensor, beam: Beam) -> Tensor:
        del beam
        return log_probs

    lm.generate("A", filters=same, max_tokens=1)
    lm.generate("A", filters=["top-k:2", same], max_tokens=1)


def translating(mt: textgen.LoadedTranslator) -> None:
    """A line or lines."""
    assert_type(mt.translate("3 May 2021"), textgen.Translation)
    assert_type(mt.translate(("a", "b"), n_best=2, temperature=0.5), list[textgen.Translation])
    assert_type(mt.evaluate(["a"], ["b"]), textgen.TranslationReport)
    assert_type(mt.translate("a").candidates[0], textgen.Candidate)


def training_a_classifier(table: Path, out: Path) -> None:
    """Bundled names of recipes are known; a recipe is too."""
    settings = {"training.steps": 1, "training.epochs": None, "model.hidden": 4}
    found = textgen.train("classifier-small", table, out=out, settings=settings, progress=False)
    assert_type(found, textgen.LoadedClassifier)
    assert_type(found.predict("a"), textgen.Prediction)
    assert_type(found.predict(["a"], threshold=0.3), list[textgen.Prediction])
    assert_type(found.evaluate(["a"], ["x"]), textgen.ClassificationReport)
    assert_type(found.labels, tuple[str, ...])
    assert_type(found.recipe, textgen.ClassifierRecipe)


def configurations(lm: textgen.LoadedLanguageModel, mt: textgen.LoadedTranslator) -> None:
    """Each kind knows its recipe."""
    assert_type(lm.recipe, textgen.LanguageModelRecipe)
    assert_type(mt.recipe, textgen.TranslatorRecipe)


def training(text: Path, pairs: tuple[Path, Path], out: Path) -> None:
    """A text makes a language model, pairs a translator."""
    bound = {"training.steps": 1}
    lm = textgen.train("char-small", text, out=out / "a", settings=bound, progress=False)
    assert_type(lm, textgen.LoadedLanguageModel)
    mt = textgen.train("translator-small", pairs, out=out / "b", settings=bound, progress=False)
    assert_type(mt, textgen.LoadedTranslator)
    events = textgen.training_events("char-small", text, out=out / "c", settings=bound)
    assert_type(events, Iterator[Event])


def mistakes(lm: textgen.LoadedLanguageModel, mt: textgen.LoadedTranslator) -> None:
    """What a type checker refuses; never run."""
    lm.generate("A", temprature=0.5)  # type: ignore[call-overload]
    lm.generate("A", top_k=0.5)  # type: ignore[call-overload]
    lm.generate([1])  # type: ignore[list-item]
    lm.stream("A", samples=3)  # type: ignore[call-arg]
    lm.translate("A")  # type: ignore[attr-defined]
    mt.translate("A", samples=3)  # type: ignore[call-overload]
    textgen.load("dates", precision="int4")  # type: ignore[call-overload]
    textgen.load("novel").generate("A")  # type: ignore[union-attr]
