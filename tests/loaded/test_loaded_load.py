"""textgen.load: the class by the kind, ensembles, and errors."""

from __future__ import annotations

from pathlib import Path

import pytest

import textgen
from small_models import save_translator
from textgen.task import find_task, task_names


def test_the_class_goes_by_the_kind() -> None:
    assert type(textgen.load("shakespeare")) is textgen.LoadedLanguageModel
    assert type(textgen.load("dates")) is textgen.LoadedTranslator
    assert type(textgen.load("dates", kind=textgen.LoadedTranslator)) is textgen.LoadedTranslator
    with pytest.raises(textgen.UsageError, match="dates is a translator, which Loaded"):
        textgen.load("dates", kind=textgen.LoadedLanguageModel)
    classes = {find_task(name).loaded_class for name in task_names()}
    loaded = (
        textgen.LoadedLanguageModel,
        textgen.LoadedTranslator,
        textgen.LoadedClassifier,
        textgen.LoadedTagger,
    )
    assert classes == set(loaded)


def test_what_is_loaded_is_a_loaded_model_for_all_functions() -> None:
    model = textgen.load("shakespeare", precision="bfloat16", device="cpu")
    assert isinstance(model, textgen.LoadedModel)
    assert repr(model) == (
        "LoadedLanguageModel('shakespeare', language-model, 1,221,509 parameters, bfloat16 on cpu)"
    )
    chain = textgen.resolve("greedy", [], textgen.default_registries())
    (found,) = textgen.generate(model, [textgen.Request("ROMEO:", max_tokens=3)], chain)
    assert found == model.generate("ROMEO:", decode="greedy", max_tokens=3)


def test_several_names_are_an_ensemble(tmp_path: Path) -> None:
    names = [save_translator(tmp_path / str(seed), seed=seed) for seed in (1, 2)]
    both = textgen.load(*names, kind=textgen.LoadedTranslator, average="log-probabilities")
    assert both.folders == tuple(names)
    chain = textgen.resolve("beam:width=5", [], textgen.default_registries())
    known = textgen.load_ensemble(list(map(str, names)), average="log-probabilities")
    (expected,) = textgen.translate(known, ["to be"], chain)
    assert both.translate("to be") == expected
    lm = textgen.load("shakespeare", "shakespeare", kind=textgen.LoadedLanguageModel)
    assert len(lm.generate("A", max_tokens=5).tokens) == 5


def test_wrong_names_are_told() -> None:
    with pytest.raises(textgen.UsageError, match="one argument each"):
        textgen.load(["shakespeare"])  # type: ignore[call-overload]
    with pytest.raises(textgen.UsageError, match="name one"):
        textgen.load()
    with pytest.raises(textgen.CheckpointError, match="There is no model 'shakespear'"):
        textgen.load("shakespear")
