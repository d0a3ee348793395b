"""Perplexity against a token-by-token computation in float64."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from small_models import TEXT, save_language_model
from textgen.data.documents import Texts
from textgen.errors import DataError
from textgen.evaluation import perplexity as module
from textgen.evaluation.perplexity import perplexity
from textgen.loading import LoadedModel, load_model
from textgen.protocols import Batch


def nll_of(loaded: LoadedModel, tokens: list[int]) -> float:
    """Step by step, from bos, in float64."""
    model = loaded.model.double()
    state, total = model.begin(Batch(1)), 0.0
    with torch.no_grad():
        for before, token in zip([loaded.tokenizer.special.bos, *tokens], tokens, strict=False):
            logits, state = model(torch.tensor([[before]]), state)
            total -= float(logits[0, 0].log_softmax(-1)[token])
    model.float()
    return total


@pytest.mark.parametrize("window", [7, 1024])
def test_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int) -> None:
    monkeypatch.setattr(module, "WINDOW", window)
    loaded = load_model(str(save_language_model(tmp_path / "m")))
    text = "To be, to be.\nÅ?"
    found = perplexity(loaded, Texts([text]))
    expected = nll_of(loaded, loaded.tokenizer.encode(text))
    assert found.nll == pytest.approx(expected, rel=1e-5)
    assert (found.tokens, found.characters, found.bytes) == (16, 16, 17)
    assert (found.words, found.unknown) == (5, 2)
    assert found.perplexity == pytest.approx(math.exp(expected / 16), rel=1e-5)
    assert found.bits_per_byte == pytest.approx(expected / math.log(2) / 17, rel=1e-5)
    assert not found.comparable


def test_documents_are_divided_by_eos(tmp_path: Path) -> None:
    loaded = load_model(str(save_language_model(tmp_path / "m")))
    found = perplexity(loaded, Texts(["To be", "to"]))
    tokens = [*loaded.tokenizer.encode("To be"), loaded.tokenizer.special.eos]
    expected = nll_of(loaded, [*tokens, *loaded.tokenizer.encode("to")])
    assert found.nll == pytest.approx(expected, rel=1e-5)
    assert found.tokens == 8
    assert found.comparable


def test_lines_begin_afresh_and_end_with_eos(tmp_path: Path) -> None:
    loaded = load_model(str(save_language_model(tmp_path / "m", unit="lines")))
    found = perplexity(loaded, Texts(["To be\n\nor not\nto"]))
    eos = loaded.tokenizer.special.eos
    lines = [[*loaded.tokenizer.encode(line), eos] for line in ("To be", "or not", "to")]
    assert found.nll == pytest.approx(sum(nll_of(loaded, line) for line in lines), rel=1e-5)
    assert found.tokens == 16
    assert found.characters == 16  # each line with its end


def test_words_are_counted_in_the_original_text(tmp_path: Path) -> None:
    folder = save_language_model(tmp_path / "m", kind="words", minimum_count=2)
    loaded = load_model(str(folder))
    found = perplexity(loaded, Texts([TEXT]))
    assert found.words == len(TEXT.split())
    assert found.unknown > 0
    assert found.word_perplexity == pytest.approx(math.exp(found.nll / found.words))
    data = found.as_dict()
    wanted = {"nll", "tokens", "words", "characters", "bytes", "unknown", "perplexity"}
    wanted |= {"word_perplexity", "nats_per_character", "bits_per_character", "bits_per_byte"}
    assert wanted <= data.keys()
    assert data["unknown_share"] == found.unknown / found.tokens


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    loaded = load_model(str(save_language_model(tmp_path / "m")))
    seen: list[tuple[int, int]] = []
    perplexity(loaded, Texts([TEXT]), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(TEXT), len(TEXT))


def test_an_empty_text(tmp_path: Path) -> None:
    loaded = load_model(str(save_language_model(tmp_path / "m")))
    with pytest.raises(DataError, match="no text"):
        perplexity(loaded, Texts([""]))
