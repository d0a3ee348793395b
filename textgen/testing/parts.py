"""Checks for authors of cells, encoders and tasks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textgen.checkpoint import load_training_state
from textgen.loading import LoadedModel, load_model
from textgen.models.cells import Cell
from textgen.models.encoder import Encoded, Encoder
from textgen.task import Task
from textgen.testing.laws import LawBroken
from textgen.training.run import measure, train

Reference = Callable[[Cell, Tensor, "tuple[Tensor, ...]"], "tuple[Tensor, ...]"]
"""The cell's equations written out: the cell, x (N, I) and a state to the next state."""

ROWS, STEPS = 3, 5


def check_cell(cell: Cell, reference: Reference | None = None) -> None:
    """Hold a cell to what stacks, searches and trainings expect of it.

    The output is (N, H) and the first part of the state; a sequence is its steps; rows do not
    matter to each other, in any order; gradients are right; the equations are the reference's. All
    in float64.

    Args:
        cell: small, since gradients are checked by differences; is changed to float64.
        reference: the equations, one step at a time.

    Raises:
        LawBroken: for the first expectation that it does not meet.
    """
    cell.double().eval()
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(ROWS, STEPS, cell.input_size, generator=generator, dtype=torch.float64)
    layer = tuple(
        0.5 * torch.randn(ROWS, *shape, generator=generator, dtype=torch.float64)
        for shape in cell.state_shapes
    )
    recurrent = cell.weight_recurrent
    require = _Laws(f"the cell {type(cell).__name__}")
    require("shape", cell.state_shapes[0] == (cell.hidden_size,), "the first part is not (H,)")
    require("zeros", all(not part.any() for part in cell.zeros(2)), "it does not begin with zeros")
    outputs, last = cell.sequence(inputs, layer, recurrent)
    stepped, state = [], layer
    for step in inputs.unbind(1):
        new = cell.step(cell.project(step), state, recurrent)
        if reference is not None:
            _same(require, "equations", new, reference(cell, step, state))
        stepped.append(new[0])
        state = new
    _same(require, "sequence", (outputs, *last), (torch.stack(stepped, 1), *state))
    order = torch.tensor([2, 0, 0])
    moved = tuple(part[order] for part in layer)
    chosen, end = cell.sequence(inputs[order], moved, recurrent)
    _same(require, "rows", (chosen, *end), (outputs[order], *(part[order] for part in last)))
    _check_gradients(cell, inputs[:, :2], layer, require)


def _check_gradients(cell: Cell, inputs: Tensor, layer: tuple[Tensor, ...], require: _Laws) -> None:
    """Gradients of inputs, state and recurrent weights by differences."""

    def run(given: Tensor, recurrent: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        outputs, last = cell.sequence(given, state, recurrent)
        return outputs, *last

    arguments = [each.detach().requires_grad_() for each in (inputs, cell.weight_recurrent, *layer)]
    right = torch.autograd.gradcheck(run, tuple(arguments), raise_exception=False)
    require("gradients", right, "they are not those of the outputs")


def check_encoder(encoder: Encoder, input_size: int) -> None:
    """Hold an encoder to what translators and classifiers expect of it.

    Sizes and lengths are right, padding does not matter, nor do other rows, and gradients reach the
    inputs. In float64.

    Args:
        encoder: an ``nn.Module``; is changed to float64, in evaluation mode.
        input_size: I.

    Raises:
        LawBroken: for the first expectation that it does not meet.
    """
    module: Any = encoder
    module.double().eval()
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(3, 7, input_size, generator=generator, dtype=torch.float64)
    lengths = torch.tensor([7, 4, 1])
    require = _Laws(f"the encoder {type(encoder).__name__}")
    inputs.requires_grad_()
    found = encoder(inputs, lengths)
    width = found.states.shape[1]
    require("size", found.states.shape == (3, width, encoder.size), "states are not (B, S', M)")
    require("size", found.summary.shape == (3, encoder.size), "the summary is not (B, M)")
    sound = bool(((found.lengths >= 1) & (found.lengths <= width)).all())
    require("lengths", sound, "a length is not in [1, S']")
    short = getattr(encoder, "shortens", False) or found.lengths.equal(lengths)
    require("lengths", short, "it shortens, and has no attribute shortens that is true")
    (gradient,) = torch.autograd.grad(found.summary.sum(), inputs)
    real = torch.arange(7) < lengths.unsqueeze(1)
    reached = bool(gradient[real].abs().sum(1).gt(0).all()) or bool(gradient.any())
    require("gradients", reached, "none reach the inputs")
    with torch.no_grad():
        other = torch.where(real.unsqueeze(2), inputs, torch.full_like(inputs, 9.0))
        _same_rows(require, "padding", encoder(other, lengths), found)
        for row in range(3):
            alone = encoder(inputs[row : row + 1, : int(lengths[row])], lengths[row : row + 1])
            one = Encoded(*(part[row : row + 1] for part in found))
            _same_rows(require, "other rows", alone, one)


def check_task(task: Task, recipe: Any, data: Any, folder: Path) -> LoadedModel:
    """Train a model for two steps, interrupted and not; save, load and measure it.

    Args:
        task: a row of the table, registered under its name.
        recipe: of its class; its training is cut to two steps.
        data: to train on, as the task reads them, and to measure by.
        folder: empty; models are left there.

    Returns:
        The model.

    Raises:
        LawBroken: if what is loaded is not what was trained, a training that goes on makes other
            weights than one that was not interrupted, a batch's rows change what is measured, or
            two measurements differ.
    """
    require = _Laws(f"the task {task.name}")
    _train(task, recipe, data, folder / "straight", 2)
    _train(task, recipe, data, folder / "resumed", 1)
    _train(task, recipe, data, folder / "resumed", 2, resume=True)
    states = [load_training_state(folder / name)[0] for name in ("straight", "resumed")]
    same = states[0].keys() == states[1].keys()
    same = same and all(states[0][name].equal(states[1][name]) for name in states[0])
    require("resume", same, "a training that was interrupted ends with other weights")
    loaded = load_model(str(folder / "straight"), device="cpu")
    require("loading", loaded.kind == task.name, f"a {loaded.kind} was loaded")
    _require_rows(task, loaded, data, require)
    first, second = (
        {name: value for name, value in metrics.items() if "second" not in name}
        for metrics in (measure(task, loaded, data).as_dict() for _ in range(2))
    )
    require("measuring", first == second, f"first {first}, then {second}")
    return loaded


def _require_rows(task: Task, loaded: LoadedModel, data: Any, require: _Laws) -> None:
    """The loss of a batch is the sum of its parts'."""
    prepared = task.prepare(loaded.recipe, loaded.vocabularies, data, None)
    batch = next(iter(prepared.batches.iterate(0)))
    loaded.model.eval()
    with torch.no_grad():
        parts = [batch.rows(slice(part, None, 2)) for part in range(2)]
        losses = [
            prepared.objective.loss(loaded.model, each.to(loaded.device), None)
            for each in (batch, *parts)
            if each.count
        ]
    whole, *others = (float(loss.total) for loss in losses)
    near = abs(whole - sum(others)) <= 1e-3 * max(1.0, abs(whole))
    require("rows", near, f"the loss of a batch is {whole}, that of its parts {others}")


def _train(
    task: Task, recipe: Any, data: Any, out: Path, steps: int, *, resume: bool = False
) -> None:
    training = dataclasses.replace(
        recipe.training,
        steps=steps,
        epochs=None,
        minutes=None,
        schedule="constant",
        warmup=0.0,
        precision="float32",
        device="cpu",
    )
    for _ in train(
        task, dataclasses.replace(recipe, training=training), data, None, out, resume=resume
    ):
        pass


class _Laws:
    """Raises ``LawBroken`` for what is not so."""

    def __init__(self, part: str) -> None:
        self.part = part

    def __call__(self, law: str, kept: bool, evidence: str) -> None:
        if not kept:
            raise LawBroken(self.part, law, "see textgen.testing.parts", evidence)


def _same(require: _Laws, law: str, found: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> None:
    """Tensors are alike."""
    require(law, len(found) == len(wanted), f"{len(found)} tensors, not {len(wanted)}")
    for index, (one, other) in enumerate(zip(found, wanted, strict=True)):
        require(law, one.shape == other.shape, f"part {index} is {tuple(one.shape)}")
        difference = float((one - other).detach().abs().max())
        require(law, difference < 1e-9, f"part {index} differs by {difference:g}")


def _same_rows(require: _Laws, law: str, found: Encoded, wanted: Encoded) -> None:
    """Encoded sources are alike up to each row's length."""
    require(law, found.lengths.equal(wanted.lengths), f"lengths {found.lengths.tolist()}")
    pairs: Iterator[tuple[Tensor, Tensor]] = (
        (found.states[row, :length], wanted.states[row, :length])
        for row, length in enumerate(found.lengths.tolist())
    )
    for one, other in [(found.summary, wanted.summary), *pairs]:
        _same(require, law, (one,), (other,))
