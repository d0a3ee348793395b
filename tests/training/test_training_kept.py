"""Models of earlier validations: which are kept, and that they are whole models."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faults import Killed, injected
from textgen.checkpoint import KEPT, load_tensors, recover_model
from textgen.config import structure
from textgen.data.documents import Texts
from textgen.errors import TextgenError
from textgen.loading import load_model
from textgen.recipes.recipe import LanguageModelRecipe
from textgen.tasks.language_model import train_language_model
from textgen.training.events import Event, Validated

TEXT = Texts(["the cat sat on a mat and the dog ran off with it " * 4])


def train(out: Path, *, steps: int = 8, keep: int = 2, **options: Any) -> list[Event]:
    training = {
        "steps": steps,
        "batch": 2,
        "bptt_length": 5,
        "validate_every": 1,
        "learning_rate": options.pop("learning_rate", 0.05),
        "schedule": "constant",
        "warmup": 0.0,
        "keep": keep,
        "precision": "float32",
        "device": "cpu",
    }
    model = {"hidden": options.pop("hidden", 4), "layers": 1}
    recipe = structure(LanguageModelRecipe, {"model": model, "training": training})
    return list(train_language_model(recipe, TEXT, None, out, **options))


def kept(out: Path) -> set[int]:
    return {int(path.name) for path in (out / KEPT).iterdir()}


def expected(events: list[Event], count: int) -> set[int]:
    losses = {each.step: each.metrics["loss"] for each in events if isinstance(each, Validated)}
    best = sorted(losses, key=lambda step: losses[step])[:count]
    return {*best, *sorted(losses)[-count:]}


@pytest.mark.parametrize("rate", [0.05, 3.0])
def test_the_best_and_the_last_are_kept(tmp_path: Path, rate: float) -> None:
    events = train(tmp_path / "out", learning_rate=rate)
    assert kept(tmp_path / "out") == expected(events, 2)
    losses = {each.step: each.metrics["loss"] for each in events if isinstance(each, Validated)}
    for step in kept(tmp_path / "out"):
        folder = tmp_path / "out" / KEPT / str(step)
        _, facts = load_tensors(folder / "model.safetensors")
        assert facts["metrics"]["loss"] == losses[step]
        assert load_model(str(folder)).kind == "language-model"
        assert not (folder / "training.safetensors").exists()


def test_a_resumed_training_keeps_those_of_the_whole(tmp_path: Path) -> None:
    straight = train(tmp_path / "straight")
    train(tmp_path / "resumed", steps=5)
    train(tmp_path / "resumed", resume=True)
    assert kept(tmp_path / "resumed") == kept(tmp_path / "straight") == expected(straight, 2)


def test_another_training_keeps_none_of_the_model_before(tmp_path: Path) -> None:
    train(tmp_path, steps=9)
    assert 9 in kept(tmp_path)
    train(tmp_path, steps=3, overwrite=True, hidden=3)
    assert kept(tmp_path) <= {1, 2, 3}
    train(tmp_path, steps=3, overwrite=True, keep=0)
    assert not (tmp_path / KEPT).exists()


def faults(kill: bool) -> Iterator[int]:
    return itertools.count(0, 5 if kill else 7)


@pytest.mark.parametrize("kill", [False, True], ids=["fail", "kill"])
def test_whatever_fails_what_is_kept_is_whole(tmp_path: Path, kill: bool) -> None:
    out, count = tmp_path / "out", 0
    for at in faults(kill):
        with injected(at, kill=kill) as found, contextlib.suppress(Killed, TextgenError):
            train(out, steps=3, keep=1, overwrite=True)
        if not found.hit:
            break
        count += 1
        recover_model(out)
        places = [out, *(out / KEPT).glob("[0-9]*")] if (out / "config.json").is_file() else []
        for place in places:
            load_model(str(place))
    assert count > 10
