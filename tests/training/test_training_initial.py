"""Trainings that begin with weights of other models: what is taken, what grows, what is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import textgen
from textgen.checkpoint import read_config, weights_of
from textgen.config import structure
from textgen.data.documents import Texts
from textgen.data.parallel import PairTexts
from textgen.data.tokenizers import TokenizerConfig, train_tokenizer
from textgen.data.tokenizers.extending import extended
from textgen.errors import CheckpointError, ConfigError, UsageError
from textgen.loading import load_model
from textgen.task import find_task
from textgen.training.events import Event, Note
from textgen.training.initial import initial_recipe, load_initial, take_over
from textgen.training.run import train

TEXT = Texts(["the cat sat on the mat, the dog too. " * 8])
PAIRS = PairTexts([(f"{n} cats sat", f"{n} dogs sat on mats") for n in range(20)])
LM, MT = find_task("language-model"), find_task("translator")
TINY = {
    "training": {
        "steps": 1,
        "batch": 40,
        "bptt_length": 8,
        "learning_rate": 1e-12,
        "precision": "float32",
        "device": "cpu",
    }
}


def language_model(out: Path, text: Texts = TEXT, **options: Any) -> list[Event]:
    model = {"hidden": 6, "layers": 1, "embedding": 4, **options.pop("model", {})}
    data = {**TINY, "model": model, "tokenizer": options.pop("tokenizer", {})}
    return list(train(LM, structure(LM.recipe_class, data), text, None, out, **options))


def go_on_from(task: Any, data: Any, out: Path, *names: str, **settings: object) -> list[Event]:
    initial = load_initial(task, names)
    recipe = initial_recipe(task, structure(task.recipe_class, TINY), settings, initial)
    return list(train(task, recipe, data, None, out, initial=initial))


def weights(folder: Path) -> dict[str, Tensor]:
    return weights_of(load_model(str(folder), device="cpu").model)


def taken(events: list[Event]) -> list[str]:
    return [each.text for each in events if isinstance(each, Note) and "taken over" in each.text]


def note(events: list[Event]) -> str:
    (found,) = taken(events)
    return found


def test_the_same_text_takes_over_everything(tmp_path: Path) -> None:
    language_model(tmp_path / "a")
    events = go_on_from(LM, TEXT, tmp_path / "b", str(tmp_path / "a"))
    old, new = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert old.keys() == new.keys()
    for name, value in old.items():
        torch.testing.assert_close(new[name], value)
    assert "100.0% of those of the new model." in note(events)
    facts = read_config(tmp_path / "b").facts["init_from"]
    assert [(each["model"], each["part"]) for each in facts] == [(str(tmp_path / "a"), "")]
    assert facts[0]["train"]["digest"] == read_config(tmp_path / "a").facts["train"]["digest"]


@pytest.mark.parametrize("kind", ["characters", "words"])
def test_new_tokens_begin_as_the_mean_of_the_others(kind: str, tmp_path: Path) -> None:
    language_model(tmp_path / "a", tokenizer={"kind": kind})
    other = Texts(["the cat ßat on 7 mäts " * 20])
    events = go_on_from(LM, other, tmp_path / "b", str(tmp_path / "a"))
    first, second = (load_model(str(tmp_path / name), device="cpu") for name in "ab")
    sizes = first.tokenizer.size, second.tokenizer.size
    assert sizes[1] > sizes[0]
    assert f"{sizes[1] - sizes[0]} new tokens begin as the mean of the others" in note(events)
    for token in range(sizes[0]):
        assert second.tokenizer.piece(token) == first.tokenizer.piece(token)
    for name in ("embedding.weight", "projection.weight", "projection.bias"):
        old, new = weights(tmp_path / "a")[name], weights(tmp_path / "b")[name]
        torch.testing.assert_close(new[: sizes[0]], old)
        torch.testing.assert_close(new[sizes[0] :], old.mean(0).expand_as(new[sizes[0] :]))
    assert second.recipe.tokenizer.kind == kind


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    language_model(tmp_path / "a")
    events = go_on_from(
        LM, TEXT, tmp_path / "b", str(tmp_path / "a"), **{"model.hidden": 5, "model.layers": 2}
    )
    told = note(events)
    assert "not taken: stack.cells.0.weight_input (24 × 4 there, 20 × 4 here)" in told
    torch.testing.assert_close(
        weights(tmp_path / "b")["embedding.weight"], weights(tmp_path / "a")["embedding.weight"]
    )
    with pytest.raises(ConfigError, match=r"no weights fit: embedding.weight"):
        list(take_over(LM, torch.nn.Linear(2, 3), load_initial(LM, [str(tmp_path / "a")])))


def test_a_translator_takes_its_parts_from_language_models(tmp_path: Path) -> None:
    language_model(tmp_path / "source", Texts(["9 cats sat 1 2 3 4 5 6 7 8 0 " * 9]))
    language_model(tmp_path / "target", Texts(["1 dogs sat on mats, 2 " * 9]), model={"tied": True})
    names = (f"decoder={tmp_path / 'target'}", f"encoder={tmp_path / 'source'}")
    events = go_on_from(MT, PAIRS, tmp_path / "mt", *names)
    assert [each.partition("=")[0] for each in taken(events)] == ["decoder", "encoder"]
    found, loaded = weights(tmp_path / "mt"), load_model(str(tmp_path / "mt"), device="cpu")
    source, target = weights(tmp_path / "source"), weights(tmp_path / "target")
    size = len(target["embedding.weight"])
    pairs = {
        "stack.cells.0.weight_input": target["stack.cells.0.weight_input"],
        "stack.cells.0.weight_recurrent": target["stack.cells.0.weight_recurrent"],
        "narrow.weight": target["narrow.weight"],
        "encoder.cells.0.0.weight_input": source["stack.cells.0.weight_input"],
    }
    for name, value in pairs.items():
        torch.testing.assert_close(found[name], value)
    torch.testing.assert_close(found["target_embedding.weight"][:size], target["embedding.weight"])
    assert loaded.recipe.data.joint is False
    assert loaded.tokenizer.encode("dog") == load_model(str(tmp_path / "target")).tokenizer.encode(
        "dog"
    )


def test_wrong_beginnings_get_a_sentence(tmp_path: Path) -> None:
    language_model(tmp_path / "lm")
    name = str(tmp_path / "lm")
    with pytest.raises(UsageError, match=r"a translator is needed. Or a part: .* decoder="):
        load_initial(MT, [name])
    with pytest.raises(UsageError, match=r"no part 'head'. Allowed: decoder, encoder"):
        load_initial(MT, [f"head={name}"])
    with pytest.raises(UsageError, match="dates is a translator, but a language-model is needed"):
        load_initial(LM, ["dates"])
    with pytest.raises(UsageError, match="one for each part"):
        load_initial(LM, [name, name])
    with pytest.raises(CheckpointError, match="no model 'nowhere'"):
        load_initial(MT, ["decoder=nowhere"])
    with pytest.raises(UsageError, match="give one of them"):
        language_model(tmp_path / "lm", resume=True, initial=load_initial(LM, [name]))


def test_a_training_that_goes_on_keeps_where_it_began(tmp_path: Path) -> None:
    language_model(tmp_path / "a")
    go_on_from(LM, TEXT, tmp_path / "b", str(tmp_path / "a"))
    begun = read_config(tmp_path / "b").facts["init_from"]
    recipe = load_model(str(tmp_path / "b")).recipe
    longer = replace(recipe, training=replace(recipe.training, steps=3))
    list(train(LM, longer, TEXT, None, tmp_path / "b", resume=True))
    assert read_config(tmp_path / "b").facts["init_from"] == begun


def test_from_python(tmp_path: Path) -> None:
    settings = {"training.steps": 2, "training.minutes": None, "training.device": "cpu"}
    lm = textgen.train(
        "char-small",
        TEXT,
        out=tmp_path / "new",
        init_from="shakespeare",
        settings=settings,
        progress=False,
    )
    assert sum(value.numel() for value in weights(tmp_path / "new").values()) == 1_221_509
    assert lm.generate("The", max_tokens=3).text


def test_tokenizers_of_one_piece_stay_as_they_are() -> None:
    text = ["the cat sat on the mat " * 9]
    raw = train_tokenizer(TokenizerConfig(kind="bytes"), text)
    assert extended(raw, raw) is raw
