"""Plugins that need other models get them by name, and only models that fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from small_models import save_language_model
from textgen.decoding import require_same_vocabulary
from textgen.decoding.chain import Chain
from textgen.errors import UsageError
from textgen.loading import load_model
from textgen.protocols import AuxiliaryModel, Load, Session
from textgen_decoders.greedy import Greedy


@dataclass(frozen=True)
class Needy:
    model: str
    found: Any = None

    def setup_models(self, load: Load) -> Needy:
        return replace(self, found=load(self.model))

    def __call__(self, session: Session) -> Any:
        return Greedy()(session)


def test_a_chain_loads_what_its_plugins_name(tmp_path: Path) -> None:
    folder = save_language_model(tmp_path / "one")
    loaded = load_model(str(folder))
    chain = Chain(Needy(str(folder)), (), [])
    strategy: Any = chain.setup(loaded.tokenizer, load_model).strategy
    auxiliary: AuxiliaryModel = strategy.found
    assert auxiliary.kind == "language-model"
    assert auxiliary.name == str(folder)
    assert auxiliary.source_tokenizer is None
    assert chain.setup(loaded.tokenizer).strategy == chain.strategy


def test_vocabularies_are_compared_token_by_token(tmp_path: Path) -> None:
    one = load_model(str(save_language_model(tmp_path / "one")))
    same = load_model(str(save_language_model(tmp_path / "same")))
    require_same_vocabulary(same, one.tokenizer, "fusion")
    text = "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind"
    fewer = load_model(str(save_language_model(tmp_path / "fewer", text=text)))
    with pytest.raises(UsageError, match=r"fusion: .*fewer must have the same vocabulary"):
        require_same_vocabulary(fewer, one.tokenizer, "fusion")
    swapped = "".join(dict(zip("abTo", "xyVo", strict=True)).get(c, c) for c in text)
    other = load_model(str(save_language_model(tmp_path / "other", text=swapped)))
    with pytest.raises(UsageError, match="same tokenizer options"):
        require_same_vocabulary(other, fewer.tokenizer, "fusion")
