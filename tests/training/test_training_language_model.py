"""From a text to a model folder: what is written, refused, resumed and told."""

import errno
import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from textgen import checkpoint
from textgen.checkpoint import (
    CONFIG,
    TRAINING,
    WEIGHTS,
    load_tensors,
    load_training_state,
    load_weights,
    read_config,
)
from textgen.config import structure
from textgen.data.documents import Texts
from textgen.data.tokenizers import load_tokenizer
from textgen.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    Terminated,
    TrainingError,
    UsageError,
)
from textgen.models.language_model import LanguageModel
from textgen.protocols import Batch
from textgen.recipes.recipe import LANGUAGE_MODEL, LanguageModelRecipe
from textgen.tasks.language_model import train_language_model
from textgen.training.events import Event, Improved, Note, Snapshot, Step, Stopped, Validated

WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "and", "runs"]
TEXT = "".join(WORDS[(i * i + i // 3) % 11] + ("\n" if i % 6 == 5 else " ") for i in range(900))


def recipe(**changes: Any) -> LanguageModelRecipe:
    data: dict[str, Any] = {
        "model": {"hidden": 8, "layers": 1},
        "training": {
            "steps": 12,
            "batch": 4,
            "bptt_length": 10,
            "validate_every": 5,
            "learning_rate": 0.02,
            "precision": "float32",
            "device": "cpu",
        },
    }
    for path, value in changes.items():
        section, name = path.split("__")
        data.setdefault(section, {})[name] = value
    return structure(LanguageModelRecipe, data)


def train(out: Path, made: LanguageModelRecipe | None = None, **options: Any) -> list[Event]:
    return list(
        train_language_model(
            made or recipe(), Texts([TEXT]), options.pop("valid", None), out, **options
        )
    )


def exact_loss(out: Path, made: LanguageModelRecipe, text: str) -> float:
    """Nats per token of a saved model, one token after the other, in float64."""
    tokenizer = load_tokenizer(out)
    model = LanguageModel(made.model, tokenizer.size).eval()
    load_weights(out, model)
    model = model.double()
    tokens = tokenizer.encode(text)
    state, total, last = model.begin(Batch(1)), 0.0, tokenizer.special.bos
    with torch.no_grad():
        for token in tokens:
            logits, state = model(torch.tensor([[last]]), state)
            total -= float(logits[0, 0].log_softmax(0)[token])
            last = token
    return total / len(tokens)


def test_folder_holds_all_that_is_needed(tmp_path: Path) -> None:
    made = recipe(training__ema_decay=0.8)
    events = train(tmp_path, made)
    assert not [event for event in events if isinstance(event, Snapshot)]
    assert events[-1] == Stopped(12, "steps")
    assert {path.name for path in tmp_path.iterdir()} == {
        CONFIG,
        WEIGHTS,
        TRAINING,
        "tokenizer.json",
    }
    saved = read_config(tmp_path, LANGUAGE_MODEL)
    assert structure(LanguageModelRecipe, saved.config) == made
    _, facts = load_tensors(tmp_path / WEIGHTS)
    best = [event for event in events if isinstance(event, Improved)][-1]
    tokenizers = {"text": load_tokenizer(tmp_path).fingerprint()}
    assert facts == {
        "step": best.step,
        "metrics": {"loss": best.value},
        "tokenizers": tokenizers,
    }
    assert saved.facts["train"]["name"] == "text (first 90%)"
    assert saved.facts["valid"] | {"digest": ""} == {
        "name": "text (last 10%)",
        "digest": "",
        "held_out": True,
    }
    # the held-out text is the last tenth, and the saved weights are those that were validated
    held_out = TEXT[int(len(TEXT) * 0.9) :]
    assert best.value == pytest.approx(exact_loss(tmp_path, made, held_out), rel=1e-4)


def test_best_weights_are_kept_when_later_ones_are_worse(tmp_path: Path) -> None:
    made = recipe(training__learning_rate=30.0, training__max_grad_norm=0.0, training__steps=11)
    events = train(tmp_path, made)
    best = [event for event in events if isinstance(event, Improved)][-1]
    last = [event for event in events if isinstance(event, Validated)][-1]
    _, facts = load_tensors(tmp_path / WEIGHTS)
    assert facts["step"] == best.step
    if last.step != best.step:
        assert last.metrics["loss"] >= best.value


def test_tokenizer_never_sees_the_held_out_text(tmp_path: Path) -> None:
    text = TEXT[:2700] + "Ж" * 300
    list(train_language_model(recipe(), Texts([text]), None, tmp_path))
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.encode("Ж") == [tokenizer.special.unknown]


def test_validation_text_may_be_given_or_left_out(tmp_path: Path) -> None:
    valid = "the dog runs over the fox " * 30
    made = recipe()
    events = train(tmp_path / "given", made, valid=Texts([valid]))
    best = [event for event in events if isinstance(event, Improved)][-1]
    assert best.value == pytest.approx(exact_loss(tmp_path / "given", made, valid), rel=1e-4)
    none = train(tmp_path / "none", recipe(data__valid_share=0.0))
    assert not [event for event in none if isinstance(event, Validated | Improved)]
    _, facts = load_tensors(tmp_path / "none" / WEIGHTS)
    assert facts["step"] == 12
    weights, _ = load_tensors(tmp_path / "none" / WEIGHTS)
    state, _ = load_training_state(tmp_path / "none")
    assert all(torch.equal(value, state[f"weights/{name}"]) for name, value in weights.items())


def test_words_report_bits_per_character(tmp_path: Path) -> None:
    events = train(tmp_path, recipe(tokenizer__kind="words"))
    metrics = [event for event in events if isinstance(event, Validated)][-1].metrics
    held_out = TEXT[int(len(TEXT) * 0.9) :]
    tokens = len(load_tokenizer(tmp_path).encode(held_out))
    expected = metrics["loss"] * tokens / math.log(2) / len(held_out)
    assert metrics["bits_per_character"] == pytest.approx(expected)


def test_lines_are_sentences(tmp_path: Path) -> None:
    made = recipe(data__unit="lines", training__batch=300, training__steps=4)
    events = train(tmp_path, made)
    assert events[-1] == Stopped(4, "steps")
    state, _ = load_training_state(tmp_path)
    assert not [name for name in state if name.startswith("carried")]


def test_folder_in_use_is_refused(tmp_path: Path) -> None:
    train(tmp_path)
    before = (tmp_path / WEIGHTS).read_bytes()
    with pytest.raises(UsageError, match=r"holds a model already .*another folder"):
        train(tmp_path)
    with pytest.raises(UsageError, match="exclude each other"):
        train(tmp_path, resume=True, overwrite=True)
    assert (tmp_path / WEIGHTS).read_bytes() == before
    train(tmp_path, recipe(training__seed=3), overwrite=True)
    assert (tmp_path / WEIGHTS).read_bytes() != before
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file; a folder is needed"):
        train(tmp_path / "file")


def test_nothing_to_resume_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no training to resume"):
        train(tmp_path, resume=True)


def test_resume_refuses_another_recipe_or_text(tmp_path: Path) -> None:
    train(tmp_path)
    other = recipe(model__hidden=9, training__bptt_length=11, training__max_grad_norm=2.0)
    with pytest.raises(UsageError) as caught:
        train(tmp_path, other, resume=True)
    assert "model.hidden was 8 and is 9; training.bptt_length was 10 and is 11." in str(
        caught.value
    )
    with pytest.raises(CheckpointError, match="the training text has changed"):
        list(train_language_model(recipe(), Texts([TEXT + "x"]), None, tmp_path, resume=True))
    (tmp_path / TRAINING).write_bytes((tmp_path / TRAINING).read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=rf"{TRAINING}: is cut off"):
        train(tmp_path, resume=True)


def test_more_steps_may_be_added(tmp_path: Path) -> None:
    train(tmp_path)
    events = train(tmp_path, recipe(training__steps=15), resume=True)
    assert events[-1] == Stopped(15, "steps")
    assert read_config(tmp_path).config["training"]["steps"] == 15


def test_training_killed_before_its_first_save_begins_anew(tmp_path: Path) -> None:
    train(tmp_path / "whole")
    train(tmp_path / "early")
    for name in (WEIGHTS, TRAINING):
        (tmp_path / "early" / name).unlink()
    train(tmp_path / "early", resume=True)
    same = [(tmp_path / name / WEIGHTS).read_bytes() for name in ("whole", "early")]
    assert same[0] == same[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_resume_ends_alike(tmp_path: Path, number: signal.Signals) -> None:
    made = recipe(training__log_every=1)
    train(tmp_path / "whole", made)
    seen: list[Event] = []

    def interrupted() -> None:
        events = train_language_model(made, Texts([TEXT]), None, tmp_path / "part")
        for event in events:
            seen.append(event)
            if isinstance(event, Step) and event.step == 3:
                os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else Terminated):
        interrupted()
    assert seen[-1] == Stopped(3, "interrupted")
    _, facts = load_tensors(tmp_path / "part" / WEIGHTS)  # usable though never validated
    assert facts["step"] == 3
    train(tmp_path / "part", made, resume=True)
    same = [(tmp_path / name / WEIGHTS).read_bytes() for name in ("whole", "part")]
    assert same[0] == same[1]


def test_exploding_training_keeps_what_was_saved(tmp_path: Path) -> None:
    train(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != CONFIG}
    made = recipe(training__steps=20, training__learning_rate=3e38, training__schedule="constant")
    with pytest.raises(TrainingError, match="no longer finite"):
        train(tmp_path, made, resume=True)
    assert before == {name: (tmp_path / name).read_bytes() for name in before}


def test_full_disk_keeps_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tmp_path)
    before = (tmp_path / WEIGHTS).read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        train(tmp_path, recipe(training__steps=20), resume=True)
    assert (tmp_path / WEIGHTS).read_bytes() == before
    json.loads((tmp_path / CONFIG).read_text())


def test_same_seed_same_model_other_seed_other_model(tmp_path: Path) -> None:
    folders = {"a": 0, "b": 0, "c": 1}
    for name, seed in folders.items():
        train(tmp_path / name, recipe(training__seed=seed, model__dropout=0.2))
    a, b, c = ((tmp_path / name / WEIGHTS).read_bytes() for name in folders)
    assert a == b
    assert a != c


def test_wrong_requests_are_told_before_any_text_is_read(tmp_path: Path) -> None:
    class Unread(Texts):
        def pieces(self) -> Any:
            raise AssertionError

    def ask(made: LanguageModelRecipe) -> None:
        train_language_model(made, Unread([""]), None, tmp_path / "out")

    with pytest.raises(ConfigError, match="no stopping criterion"):
        ask(recipe(training__steps=None))
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="no CUDA device"):
            ask(recipe(training__device="cuda"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "a"])
def test_text_that_is_too_short_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError):
        list(train_language_model(recipe(), Texts([text]), None, tmp_path))
    assert not list(tmp_path.iterdir())


def test_vocabulary_of_one_token_trains(tmp_path: Path) -> None:
    list(train_language_model(recipe(), Texts(["a" * 300]), None, tmp_path))
    assert (tmp_path / WEIGHTS).exists()


def test_few_tokens_an_update_are_told(tmp_path: Path) -> None:
    lines = recipe(data__unit="lines", training__batch=32, training__steps=2)
    notes = [event.text for event in train(tmp_path / "a", lines) if isinstance(event, Note)]
    assert len(notes) == 1
    assert "32 tokens only" in notes[0]
    enough = recipe(data__unit="lines", training__batch=300, training__steps=2)
    assert not [event for event in train(tmp_path / "b", enough) if isinstance(event, Note)]


def test_a_validation_text_that_is_not_told_whole_is_marked(tmp_path: Path) -> None:
    made = recipe(tokenizer__kind="words", tokenizer__size=12, training__steps=2)
    notes = [event.text for event in train(tmp_path, made) if isinstance(event, Note)]
    assert len(notes) == 1
    assert "of its tokens are unknown" in notes[0]
    assert "do not compare" in notes[0]
