"""Trainings that begin with weights of other models: fine-tuning, and parts of a translator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from textgen.checkpoint import weights_of
from textgen.config import as_dict, structure
from textgen.data.tokenizers import TextTokenizer
from textgen.data.tokenizers.extending import can_grow, extended
from textgen.errors import ConfigError, UsageError, nearest
from textgen.loading import LoadedModel, load_model
from textgen.recipes import load_any_recipe, with_settings
from textgen.task import Task

_SHOWN = 5
"""Tensors that did not fit are named, so many of them."""


@dataclass(frozen=True)
class Initial:
    """A model that a training takes weights from.

    Attributes:
        model: with its vocabularies.
        part: of the new model, a name of ``Task.parts``; empty for all of it.
    """

    model: LoadedModel
    part: str = ""

    def __str__(self) -> str:
        return f"{self.part}={self.model.name}" if self.part else self.model.name


def load_initial(task: Task, names: Sequence[str]) -> tuple[Initial, ...]:
    """Models to begin with.

    Args:
        task: of the new model.
        names: MODEL, a folder or a name, or PART=MODEL.

    Raises:
        UsageError: if there is no such part, one is given twice, or a model is of a kind that the
            new model has no part for.
        CheckpointError: if a model is missing or damaged.
    """
    found: dict[str, Initial] = {}
    for name in names:
        part, equals, folder = name.partition("=")
        if not equals or Path(name).is_dir():
            part, folder = "", name
        elif part not in task.parts:
            hint = nearest(part, task.parts)
            raise UsageError(f"--init-from {name}: a {task.name} has no part {part!r}.{hint}")
        if part in found or (found and "" in {part, *found}):
            raise UsageError("--init-from: give one model, or one for each part.")
        found[part] = Initial(load_model(folder, device="cpu"), part)
        _require_kind(task, found[part])
    return tuple(found.values())


def _require_kind(task: Task, initial: Initial) -> None:
    kind = initial.model.kind
    wanted = task.parts[initial.part].kind if initial.part else task.name
    if kind == wanted:
        return
    parts = [name for name, part in task.parts.items() if part.kind == kind]
    hint = "".join(f" Or a part: --init-from {part}={initial.model.name}." for part in parts)
    raise UsageError(
        f"--init-from: {initial.model.name} is a {kind}, but a {wanted} is needed.{hint}"
    )


def initial_recipe(
    task: Task,
    recipe: Any | None,
    settings: Sequence[str] | Mapping[str, object],
    initial: Sequence[Initial],
) -> Any:
    """The recipe of a training that begins with other models, so that their weights fit.

    Sizes and tokenizers are those of the models; settings win.

    Args:
        task: of the new model.
        recipe: to begin with; None is that of the model, or the task's default.
        settings: on top.
        initial: what is begun with.

    Raises:
        ConfigError: with all that is wrong.
    """
    whole = next((each for each in initial if not each.part), None)
    if whole is None:
        made = recipe or load_any_recipe(task.name, task.default_recipe)
    else:
        made = task.adapt(recipe, whole.model.recipe) if recipe else whole.model.recipe
    for each in initial:
        if each.part:
            made = task.parts[each.part].adapt(made, each.model.recipe)
    data = with_settings(as_dict(made), settings)
    changed = structure(task.recipe_class, data, where="--init-from")
    changed.training.require_bound()
    return changed


def initial_vocabularies(
    task: Task, recipe: Any, train: Any, initial: Sequence[Initial]
) -> Mapping[str, TextTokenizer]:
    """Vocabularies of the models that are begun with, grown by new tokens, and learnt ones.

    Args:
        task: of the new model.
        recipe: of it.
        train: the training data.
        initial: what is begun with.
    """
    taken = dict(_taken(task, initial))
    sides = task.vocabularies(recipe)
    if sides.keys() <= taken.keys() and not any(map(can_grow, taken.values())):
        return taken
    learnt = task.learn(recipe, train)
    grown = {
        side: extended(taken[side], learnt[side]) if side in taken else learnt[side]
        for side in sides
    }
    # sides that share a file share an object
    return {side: grown[next(s for s in sides if sides[s] == sides[side])] for side in sides}


def _taken(task: Task, initial: Sequence[Initial]) -> Iterator[tuple[str, TextTokenizer]]:
    for each in initial:
        if each.part:
            part = task.parts[each.part]
            yield part.side, each.model.vocabularies[part.their_side]
        else:
            yield from each.model.vocabularies.items()


def take_over(task: Task, model: nn.Module, initial: Sequence[Initial]) -> Iterator[str]:
    """Fill a new model with the weights that fit; rows of new tokens become the mean of the others.

    Args:
        task: of the model.
        model: new.
        initial: what is begun with.

    Yields:
        What was taken and what was not, a sentence for each.

    Raises:
        ConfigError: if nothing fits.
    """
    for each in initial:
        theirs = weights_of(each.model.model)
        if each.part:
            rename = task.parts[each.part].rename
            theirs = {new: value for name, value in theirs.items() if (new := rename(name))}
        yield _fill(model, theirs, each)


def _fill(model: nn.Module, theirs: Mapping[str, Tensor], initial: Initial) -> str:
    """Copy what fits; tell it."""
    own = weights_of(model)
    taken, new_rows, refused = 0, 0, []
    with torch.no_grad():
        for name, value in theirs.items():
            place = own.get(name)
            if place is None:
                refused.append(f"{name} (there is none here)")
                continue
            rows = len(value) if value.dim() else 0
            grows = place.dim() > 0 and place.shape[1:] == value.shape[1:] and len(place) > rows > 0
            if place.shape == value.shape:
                place.copy_(value)
            elif grows and len(place) in _sizes(model) and rows in _sizes(initial.model.model):
                place[:rows] = value
                place[rows:] = value.mean(0)
                new_rows = max(new_rows, len(place) - rows)
            else:
                refused.append(f"{name} ({_shape(value)} there, {_shape(place)} here)")
                continue
            taken += value.numel()
    if not taken:
        raise ConfigError([f"--init-from {initial}: no weights fit: {_listed(refused)}."])
    share = taken / sum(value.numel() for value in own.values())
    parts = [f"{initial}: {taken:,} weights are taken over, {share:.1%} of those of the new model"]
    if new_rows:
        parts.append(f"{new_rows:,} new tokens begin as the mean of the others")
    if refused:
        parts.append(f"not taken: {_listed(refused)}")
    return "; ".join(parts) + "."


def _sizes(model: Any) -> set[int]:
    """Sizes of a model's vocabularies."""
    names = ("vocabulary_size", "source_size", "label_count")
    return {int(getattr(model, name)) for name in names if hasattr(model, name)}


def _shape(tensor: Tensor) -> str:
    return " × ".join(map(str, tensor.shape)) or "a number"


def _listed(items: Sequence[str]) -> str:
    others = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + others


def describe_initial(initial: Sequence[Initial]) -> list[dict[str, Any]]:
    """What config.json records of the models that were begun with."""
    return [
        {"model": each.model.name, "part": each.part, "train": each.model.facts.get("train")}
        for each in initial
    ]
