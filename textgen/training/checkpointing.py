"""What every training does with its folder: check it, save into it, go on from it."""

from __future__ import annotations

import dataclasses
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch
from torch import nn

from textgen.checkpoint import (
    CONFIG,
    TRAINING,
    WEIGHTS,
    commit_model,
    load_training_state,
    load_weights,
    read_config,
    recover_model,
    save_training_state,
    save_weights,
)
from textgen.config import as_dict, flattened
from textgen.errors import CheckpointError, UsageError
from textgen.staging import staged
from textgen.task import Task
from textgen.training.events import Event, Improved, Snapshot, Stopped, Validated
from textgen.training.group import ProcessGroup
from textgen.training.kept import Kept
from textgen.training.state import TrainingState

T = TypeVar("T")

FIXED = ("batch", "accumulate", "bptt_length", "reset_probability", "seed", "optimiser")
"""Training options without which a position in the data or the moments mean nothing."""


def check_folder(
    folder: Path, task: Task, config: Mapping[str, Any], *, resume: bool, overwrite: bool
) -> None:
    """Check that a training may use a folder; a model in it is not touched.

    Args:
        folder: for the model.
        task: of the model.
        config: the recipe as plain data.
        resume: go on with the training that is in the folder.
        overwrite: replace the model that is in the folder.

    Raises:
        UsageError: if there is a model and neither is said, or a resumed recipe differs.
        CheckpointError: if there is nothing to resume.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; a folder is needed for the model.")
    if folder.is_symlink() and not folder.exists():
        raise UsageError(f"{folder}: is a link that leads nowhere.")
    if resume and overwrite:
        raise UsageError("Resume and overwrite exclude each other: keep the model or replace it.")
    recover_model(folder)
    if resume:
        if not (folder / CONFIG).is_file():
            raise CheckpointError(
                f"{folder}: there is no training to resume: none was begun, or it ended before its "
                "first save. Start it without resume."
            )
        # options that came later had their usual values
        usual = as_dict(task.recipe_class())
        before = {**flattened(usual), **flattened(read_config(folder, task.name).config)}
        _require_same(folder, before, config)
        return
    present = [name for name in (CONFIG, WEIGHTS, TRAINING) if (folder / name).exists()]
    if present and not overwrite:
        raise UsageError(
            f"{folder}: holds a model already ({', '.join(present)}). "
            "Resume it, overwrite it, or choose another folder."
        )


def broadcast_files(
    group: ProcessGroup,
    make: Callable[[], T],
    save: Callable[[T, Path], None],
    load: Callable[[Path], T],
) -> T:
    """What the first process of a group makes, in all of them, by way of its files.

    Args:
        group: of processes.
        make: called in the first one only.
        save: writes files into an empty folder.
        load: reads them.
    """
    if group.size == 1:
        return make()
    made = [make()] if group.leads else []

    def written() -> dict[str, str]:
        save(made[0], folder)
        return {path.name: b64encode(path.read_bytes()).decode() for path in folder.iterdir()}

    with TemporaryDirectory() as name:
        folder = Path(name)
        files = group.first(written)
        if made:
            return made[0]
        for file, content in files.items():
            (folder / file).write_bytes(b64decode(content))
        return load(folder)


def broadcast_state(
    folder: Path, data: Mapping[str, Any], group: ProcessGroup, *, resume: bool
) -> TrainingState | None:
    """What ``saved_state`` finds in the first process, in all of them; None without ``resume``.

    Raises:
        UsageError: if a process was given other data than the first one.
    """
    group.require_same("training text", data)
    found = saved_state(folder, data) if resume and group.leads else None
    facts = group.first(lambda: None if found is None else found.facts())
    if facts is None:
        return None
    return TrainingState.restore(group.shared(found.tensors if found else {}), facts)


def saved_state(folder: Path, data: Mapping[str, Any]) -> TrainingState | None:
    """The state to go on from; None if the training ended before its first save.

    Args:
        folder: of the training.
        data: facts about the training data, which must be those that were saved.

    Raises:
        CheckpointError: if the state is damaged, or of other data.
    """
    if not (folder / TRAINING).is_file():
        return None
    tensors, facts = load_training_state(folder)
    _require_same_data(folder / TRAINING, facts.get("data"), data)
    return TrainingState.restore(tensors, facts.get("counters", {}))


def _require_same_data(path: Path, before: object, now: Mapping[str, Any]) -> None:
    """The text that a training goes on with is the one that it began with.

    Raises:
        CheckpointError: if it is not; names what differs.
    """
    old = before if isinstance(before, dict) else {}
    known = [name for name in now if name in old]  # older versions knew less
    differing = [name for name in known if old[name] != now[name]]
    if known and not differing:
        return
    counts = [name for name in differing if "digest" not in name]
    parts = [f"{name.replace('_', ' ')}: {old[name]} before, {now[name]} now" for name in counts]
    if not counts:
        sides = (name.removesuffix("digest").strip("_") or "text" for name in differing)
        parts = [f"it has as much as before, but the {side} is another one" for side in sides]
    raise CheckpointError(
        f"{path}: the training text has changed ({'; '.join(parts)}). A training goes on with the "
        "text that it began with; another one makes another model: choose another folder."
    )


def judged_anew(
    state: TrainingState | None,
    folder: Path,
    model: nn.Module,
    validate: Callable[[nn.Module], Mapping[str, float]] | None,
    valid: Mapping[str, Any] | None,
    *,
    criterion: str,
    group: ProcessGroup,
) -> tuple[TrainingState | None, str | None]:
    """Judge the best weights so far on the validation text, where that is another one than before.

    Args:
        state: to go on from.
        folder: of the training.
        model: any of its weights; holds others afterwards.
        validate: as for ``fit``.
        valid: what is known of the validation text now.
        criterion: as for ``fit``.
        group: of processes.

    Returns:
        The state, its best value that of the text now, and what people should know.
    """
    if state is None or state.counters.best is None or validate is None or valid is None:
        return state, None

    def value() -> float | None:
        before = read_config(folder).facts.get("valid") or {}
        if before.get("digest") in {None, valid["digest"]}:
            return None
        device = next(model.parameters()).device
        load_weights(folder, model)
        model.eval()
        with torch.random.fork_rng(_cuda(model)), torch.no_grad():
            metrics = validate(model)
        model.to(device).train()
        found = metrics[criterion.removeprefix("-")]
        return -found if criterion.startswith("-") else found

    best = group.first(value)
    if best is None:
        return state, None
    counters = dataclasses.replace(state.counters, best=best, stale=0, bad=0)
    told = abs(best) if criterion.startswith("-") else best
    name = criterion.removeprefix("-")
    return dataclasses.replace(state, counters=counters), (
        f"The validation text is another one than before ({valid['name']}): the best weights so "
        f"far were judged on it, {name} {told:.4f}, and validations are counted anew."
    )


def _cuda(model: nn.Module) -> list[int]:
    """The GPU whose random numbers a validation may use, if it does."""
    return [torch.cuda.current_device()] if next(model.parameters()).is_cuda else []


def saving(
    events: Iterator[Event],
    folder: Path | None,
    model: nn.Module,
    data: Mapping[str, Any],
    *,
    describe: Callable[[Path], object],
    kept: Kept | None = None,
    resume: bool = False,
) -> Iterator[Event]:
    """Save what the events of ``fit`` ask for, and pass the events on.

    The best weights go to ``model.safetensors``; before the first validation these are the
    latest. Snapshots are saved and not passed on. Until the first snapshot the folder's files stay
    as they are; then they are replaced as one: by those of the new model, its training's state
    among them, or with ``resume`` by those that have changed.

    Args:
        events: of ``fit``.
        folder: of the model; None saves nothing.
        model: that is trained.
        data: facts about the training data, saved with each snapshot; the ``tokenizers`` among
            them, fingerprints by side, with the weights too.
        describe: writes all files of the model but weights and training state into a folder.
        kept: keeps further models.
        resume: the training in the folder goes on.

    Raises:
        KeyboardInterrupt: after all is saved, if the training was interrupted.
        CheckpointError: if something cannot be written.
    """
    if folder is None:
        yield from _passed_on(events)
        return
    with staged(folder) as place:
        describe(place)
        saver = _Saver(folder, place, model, data, kept, resume=resume)
        yield from _passed_on(saver.saved(events))


def _passed_on(events: Iterator[Event]) -> Iterator[Event]:
    """The events that are for the caller."""
    for event in events:
        if isinstance(event, Snapshot):
            continue
        yield event
        if isinstance(event, Stopped) and event.reason == "interrupted":
            raise KeyboardInterrupt


class _Saver:
    """Saves weights and states: the first ones beside what is in the folder.

    Args:
        folder: of the model.
        place: where the first save goes.
        model: that is trained.
        data: facts about the training data.
        kept: keeps further models.
        resume: the training in the folder goes on.
    """

    def __init__(
        self,
        folder: Path,
        place: Path,
        model: nn.Module,
        data: Mapping[str, Any],
        kept: Kept | None,
        *,
        resume: bool,
    ) -> None:
        self.folder, self.place, self.model, self.data = folder, place, model, data
        self.kept, self.resume = kept, resume
        self.metrics: Mapping[str, float] = {}

    def saved(self, events: Iterator[Event]) -> Iterator[Event]:
        """All events, after what they ask for is saved."""
        waiting: list[Event] = []
        for event in events:
            waiting.append(event)
            if isinstance(event, Validated):
                self.metrics = event.metrics
                if self.kept is not None:
                    self.kept.add(self.place, self.model, self._facts(event.step))
            if isinstance(event, Improved | Snapshot):
                self._save(event)
            if isinstance(event, Snapshot):
                self._put_in_place()
            elif isinstance(event, Improved) and self.place != self.folder and not self.resume:
                continue  # until the snapshot that follows is saved, nothing is in place
            yield from waiting
            waiting.clear()

    def _save(self, event: Improved | Snapshot) -> None:
        """Save what an event asks for."""
        if isinstance(event, Improved):
            save_weights(self.place, self.model, self._facts(event.step))
            return
        if event.state.counters.best is None:  # never validated: averaged where that is asked for
            averages = event.state.part("average")
            save_weights(self.place, self.model, self._facts(event.step), instead=averages)
        facts = {"counters": event.state.facts(), "data": self.data}
        save_training_state(self.place, event.state.tensors, facts)

    def _facts(self, step: int) -> dict[str, Any]:
        """What is saved with weights."""
        known = {"tokenizers": self.data["tokenizers"]} if "tokenizers" in self.data else {}
        return {"step": step, "metrics": dict(self.metrics), **known}

    def _put_in_place(self) -> None:
        """After the first save, replace the files of the folder."""
        if self.place != self.folder:
            commit_model(self.folder, keep=self.resume)
            self.place = self.folder


def _require_same(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to resume with another model, tokenizer, data or order of batches."""
    old, new = (json.loads(json.dumps(flattened(each))) for each in (before, now))
    differing = [
        f"{name} was {old.get(name)} and is {new.get(name)}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
        and (not name.startswith("training.") or name.removeprefix("training.") in FIXED)
    ]
    if differing:
        raise UsageError(
            f"{folder}: cannot be resumed with another recipe: {'; '.join(differing)}."
        )
