"""A whole training of any task: from data to a model in a folder."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from textgen.checkpoint import KEPT, read_config, save_config
from textgen.config import as_dict
from textgen.errors import DataError, UsageError
from textgen.loading import LoadedModel
from textgen.task import (
    Metrics,
    Prepared,
    Task,
    fingerprints,
    load_vocabularies,
    save_vocabularies,
)
from textgen.training.checkpointing import (
    broadcast_files,
    broadcast_state,
    check_folder,
    judged_anew,
    saving,
)
from textgen.training.events import Event, Note
from textgen.training.fit import fit
from textgen.training.group import ProcessGroup
from textgen.training.initial import (
    Initial,
    describe_initial,
    initial_vocabularies,
    take_over,
)
from textgen.training.interrupts import Interrupts
from textgen.training.kept import Kept
from textgen.training.precision import MixedPrecision


def train(
    task: Task,
    recipe: Any,
    train: Any,
    valid: Any | None,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    initial: Sequence[Initial] = (),
    group: ProcessGroup | None = None,
) -> Iterator[Event]:
    """Train a model and save it.

    Seeds torch's generators. Vocabularies are learnt from the training part alone.

    Args:
        task: what kind of model.
        recipe: of the task's class.
        train: data as the task reads it; also the validation's, where that is None.
        valid: None holds out ``recipe.data.valid_share`` of ``train``.
        out: folder for the model, made if it is missing.
        resume: go on where the training in ``out`` was interrupted; of the recipe, only options
            of training may differ from then (budget, rates, habits).
        overwrite: replace a model that is in ``out``, by the first weights that are saved; until
            then it stays as it is.
        initial: models whose weights the new one begins with, of ``load_initial``; ``recipe`` is
            then that of ``initial_recipe``.
        group: of the processes that train together; the first one alone uses ``out``. None is
            this process alone.

    Returns:
        Events as they happen; iterating makes the training go on. Ctrl-C saves after the current
        step and is raised again.

    Raises:
        UsageError: if ``out`` holds a model and neither resume nor overwrite is given.
        ConfigError: if options contradict each other, or the model does not fit the vocabulary.
        DataError: if the data cannot be used.
        CheckpointError: if files cannot be written, or those to resume from cannot be read.
        TrainingError: if the loss is no longer finite, or another process of the group has ended;
            what was saved before is kept.
    """
    recipe.training.require_bound()
    task.check(recipe)
    group = group or ProcessGroup()
    if group.leads:
        check_folder(out, task, as_dict(recipe), resume=resume, overwrite=overwrite)
    MixedPrecision(recipe.training)  # no data are read for a device that is not there
    if resume and initial:
        raise UsageError(
            "--init-from begins a training; --resume goes on with one: give one of them."
        )
    place = _Place(out, group, resume, tuple(initial))
    return _train(task, recipe, train, valid, place)


class _Place(NamedTuple):
    """Where a training saves, and which process this is."""

    out: Path
    group: ProcessGroup
    resume: bool
    initial: tuple[Initial, ...]


def _train(task: Task, recipe: Any, train: Any, valid: Any, place: _Place) -> Iterator[Event]:
    out, group, resume, initial = place
    held_out = valid is None and recipe.data.valid_share > 0
    if held_out:
        train, valid = task.hold_out(recipe, train)
    files = task.vocabularies(recipe)
    vocabularies = broadcast_files(
        group,
        lambda: (
            load_vocabularies(files, out)
            if resume
            else initial_vocabularies(task, recipe, train, initial)
        ),
        functools.partial(save_vocabularies, files),
        functools.partial(load_vocabularies, files),
    )
    with group.in_turn():
        data = task.prepare(recipe, vocabularies, train, valid)
    torch.manual_seed(recipe.training.seed)
    model = task.build(recipe, vocabularies)
    data.initialise(model)
    yield from map(Note, data.notes)
    yield from map(Note, take_over(task, model, initial))
    facts = {**data.facts, "tokenizers": fingerprints(vocabularies)}
    described = {
        **facts,
        "vocabularies": files,
        "criterion": data.criterion,
        **_begun(place),
    }
    origin = _origin(data, train, valid, held_out=held_out)
    state, note = judged_anew(
        broadcast_state(out, facts, group, resume=resume),
        out,
        model,
        data.validate,
        origin["valid"],
        criterion=data.criterion,
        group=group,
    )
    if note is not None:
        yield Note(note)

    def describe(staged: Path) -> None:
        if not resume or KEPT in staged.parts:
            save_vocabularies(files, vocabularies, staged)
        save_config(staged, task.name, as_dict(recipe), {**described, **origin})

    with Interrupts() as interrupts:
        events = fit(
            model,
            data.batches,
            data.validate,
            recipe.training,
            objective=data.objective,
            state=state,
            criterion=data.criterion,
            interrupted=interrupts.noted,
            group=group,
        )
        folder = out if group.leads else None
        kept = None
        if folder is not None and recipe.training.keep:
            kept = Kept(folder, recipe.training.keep, data.criterion, describe, resume=resume)
        yield from saving(events, folder, model, facts, describe=describe, kept=kept, resume=resume)


def _begun(place: _Place) -> Mapping[str, Any]:
    """What config.json records of the models that were begun with; a resumed training keeps it."""
    before = read_config(place.out).facts if place.resume and place.group.leads else {}
    begun = before.get("init_from") or describe_initial(place.initial)
    return {"init_from": begun} if begun else {}


def _origin(data: Prepared, train: Any, valid: Any, *, held_out: bool) -> Mapping[str, Any]:
    """Where the data come from: names and digests of both parts."""
    digests = {name: value for name, value in data.facts.items() if name.endswith("digest")}
    origin: dict[str, Any] = {"train": {"name": train.name, **digests}, "valid": None}
    if valid is not None:
        origin["valid"] = {"name": valid.name, "digest": data.valid_digest, "held_out": held_out}
    return origin


@dataclass(frozen=True)
class Measured:
    """Metrics of a test, by name."""

    metrics: Mapping[str, float]

    def as_dict(self) -> dict[str, float]:
        """Plain data by name."""
        return dict(self.metrics)

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())


def measure(task: Task, loaded: LoadedModel, test: Any) -> Metrics:
    """Metrics of a model on test data, as its task has them.

    Raises:
        DataError: if the data cannot be used.
    """
    if task.measure is not None:
        return task.measure(loaded, test)
    data = task.prepare(loaded.recipe, loaded.vocabularies, test, test)
    if data.validate is None:
        raise DataError(f"There is nothing to measure a {task.name} by.")
    return Measured(data.validate(loaded.model))
