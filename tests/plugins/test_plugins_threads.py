"""Every registered plugin says the same in four threads at once as in one."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from plugin_specs import REGISTRIES, specs
from small_models import save_language_model, save_translator
from textgen.decoding.chain import resolve
from textgen.loading import LoadedModel, load_model
from textgen.testing import ToyTokenizer
from textgen.translation import MaxLength, TranslationOptions, translate
from textgen_decoders.regex import Regex
from textgen_decoders.token_automaton import TokenAutomaton

TEXT = "ab cd. a\nbad cab.\nbabc d\ncabbaa dd.\n"
LINES = TEXT.split("\n") * 4
TOGETHER = TranslationOptions(workers=4, batch_tokens=24, max_length=MaxLength(0, 7), seed=3)
ALONE = TranslationOptions(batch_tokens=24, max_length=MaxLength(0, 7), seed=3)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A translator, and the auxiliary_models that the specs name."""
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("model", "translator", "toy-translator")):
        save_translator(folder / name, kind="characters", texts=(TEXT, TEXT), seed=seed)
    save_language_model(folder / "toy", text=TEXT, unit="lines")
    return folder


@pytest.fixture
def loaded(models: Path, monkeypatch: pytest.MonkeyPatch) -> LoadedModel:
    monkeypatch.chdir(models)
    return load_model("model", "cpu")


def said(loaded: LoadedModel, decode: str, filters: list[str], options: TranslationOptions) -> list:  # type: ignore[type-arg]
    """All translations, by a chain of their own."""
    chain = resolve(decode, filters, REGISTRIES)
    assert chain.threads
    return [
        (each.index, each.text, each.candidates[0].tokens)
        for each in translate(loaded, LINES, chain, options)
    ]


@pytest.mark.parametrize("spec", specs("filter"))
def test_filters(loaded: LoadedModel, spec: str) -> None:
    expected = said(loaded, "sample", [spec], ALONE)
    assert said(loaded, "sample", [spec], TOGETHER) == expected


@pytest.mark.parametrize("spec", specs("strategy"))
def test_strategies(loaded: LoadedModel, spec: str) -> None:
    expected = said(loaded, spec, [], ALONE)
    assert said(loaded, spec, [], TOGETHER) == expected


def test_an_automaton_grows_by_one_thread_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are computed as they are needed, here by threads that begin at once."""
    whole, growing = TokenAutomaton._row, threading.Lock()

    def row(self: TokenAutomaton, members: int, context: int) -> NDArray[np.int32]:
        assert growing.acquire(blocking=False), "two threads at once"
        time.sleep(0.001)
        found = whole(self, members, context)
        growing.release()
        return found

    monkeypatch.setattr(TokenAutomaton, "_row", row)
    tokenizer = ToyTokenizer()
    walks = [random.Random(seed).choices(range(tokenizer.size), k=60) for seed in range(12)]

    def automaton() -> TokenAutomaton:
        return Regex("([abc]{1,9}[. ]){3,20}d{5}|[ab]{2,80}").setup_tokenizer(tokenizer).automaton

    def walk(shared: TokenAutomaton, tokens: list[int]) -> list[list[bool]]:
        state, seen = torch.tensor([shared.start]), []
        for token in tokens:
            seen.append(shared.possible(state)[0].tolist())
            state = shared.after(state, torch.tensor([token]))
        return seen

    expected = [walk(automaton(), tokens) for tokens in walks]
    shared, begin = automaton(), threading.Barrier(len(walks))

    def work(tokens: list[int]) -> list[list[bool]]:
        begin.wait(30)
        return walk(shared, tokens)

    with ThreadPoolExecutor(len(walks)) as pool:
        assert list(pool.map(work, walks)) == expected
