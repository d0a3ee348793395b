"""The models that travel with the package: there, whole, and able."""

from __future__ import annotations

import itertools
from pathlib import Path

import torch

from textgen.checkpoint import TRAINING, known_models
from textgen.data.corpora import card
from textgen.data.opening import open_text
from textgen.decoding.chain import default_registries, resolve
from textgen.evaluation.perplexity import perplexity
from textgen.inference import Request, generate
from textgen.loading import load_model
from textgen.translation import translate

SPOKEN = "HAMLET:\nGood morrow, my lord, and what is the news with you?\n"


def test_shakespeare_prefers_its_own_kind_of_text(tmp_path: Path) -> None:
    loaded = load_model("shakespeare", "cpu")
    figures = []
    for name, text in (("spoken", SPOKEN), ("reversed", SPOKEN[::-1])):
        (tmp_path / name).write_text(text, encoding="utf-8")
        figures.append(perplexity(loaded, open_text(tmp_path / name)).nats_per_character)
    assert figures[0] < 2.0
    assert figures[1] > 3.0


def test_shakespeare_goes_on_with_words() -> None:
    loaded = load_model("shakespeare", "cpu")
    chain = resolve("greedy", [], default_registries())
    (found,) = generate(loaded, [Request("KING RICHARD", max_tokens=60)], chain)
    assert " the " in found.text


def test_dates_are_translated() -> None:
    loaded = load_model("dates", "cpu")
    chain = resolve("beam:width=3", [], default_registries())
    typed = ["March 5, 2024", "the 21st of November 1987", ""]
    texts = [each.text for each in translate(loaded, typed, chain)]
    assert texts == ["2024 03 05", "1987 11 21", ""]


def test_forced_beginnings_are_kept_and_do_not_run_away() -> None:
    loaded = load_model("dates", "cpu")
    typed = ["3 May 2021"] * 5
    beginnings = ["3 May", "2021\N{NON-BREAKING HYPHEN}05", "2021", "2021 05 03", "1987 1"]
    for spec in ("beam:width=5", "beam:coverage=0.3", "greedy"):
        chain = resolve(spec, [], default_registries())
        found = list(translate(loaded, typed, chain, prefixes=beginnings))
        for beginning, each in zip(beginnings, found, strict=True):
            assert each.text.startswith(beginning)
            assert len(each.text) <= len(beginning) + len("2021 05 03")
        assert [each.text for each in found[2:4]] == ["2021 05 03"] * 2


def test_right_beginnings_help_a_weak_model() -> None:
    loaded = load_model("dates", "cpu")
    loaded.model.train()
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in loaded.model.parameters():
            weights.add_(torch.randn(weights.shape, generator=noise) * 0.12)
    loaded.model.eval().for_decoding("float32")
    pairs = list(itertools.islice(card("dates").open_pairs().valid.pairs(), 60))
    wanted = [pair.target.replace("-", " ") for pair in pairs]
    chain = resolve("beam:width=5", [], default_registries())
    exact = []
    for share in (0.0, 0.5, 0.8):
        beginnings = [text[: int(len(text) * share)] for text in wanted]
        found = translate(loaded, [pair.source for pair in pairs], chain, prefixes=beginnings)
        texts = [each.text for each in found]
        assert all(len(text) <= 16 for text in texts), "none runs away"
        exact.append(sum(one == other for one, other in zip(texts, wanted, strict=True)))
    assert exact[0] < exact[1] < exact[2]
    assert exact[0] < 50


def test_what_is_bundled_is_small_and_has_no_training_state() -> None:
    bundled = [folder for folder in known_models() if folder.parent.name == "bundled"]
    assert [folder.name for folder in bundled] == ["dates", "shakespeare"]
    for folder in bundled:
        assert not (folder / TRAINING).exists()
        assert sum(file.stat().st_size for file in folder.iterdir()) < 5_000_000
