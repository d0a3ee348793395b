"""Models compared: every combination of settings is trained with several seeds."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from textgen import atomic
from textgen.arguments import whole_number
from textgen.checkpoint import CONFIG, WEIGHTS, load_tensors, read_config
from textgen.config import Settings, as_dict, flattened
from textgen.data.documents import digest
from textgen.errors import CheckpointError, DataError, TrainingError, UsageError
from textgen.loaded.comparison import Comparison, Run, derived
from textgen.loaded.history import TrainingHistory
from textgen.loaded.training import READERS, Pairs, Recipe, Text, task_and_recipe
from textgen.loading import load_model
from textgen.log import logger
from textgen.progress import Listener, tell, training_progress
from textgen.recipes.variations import SEED, Combination, canonical, check_vary, combinations
from textgen.task import Task
from textgen.training import run
from textgen.training.events import Event, Step, Stopped, Validated

PLAN, RESULTS = "comparison.json", "results.json"
FORMAT = 1

Read: TypeAlias = Callable[[Any], tuple[Any, Any]]
"""Training and validation data for a recipe; the latter may be None."""


class Planned(NamedTuple):
    """One training to come."""

    combination: Combination
    seed: int
    recipe: Any


@dataclass(frozen=True)
class Plan:
    """All trainings of a comparison, with recipes that were checked.

    Attributes:
        task: the kind of model.
        varied: the keys that differ.
        trainings: the seeds of a combination next to each other.
    """

    task: Task
    varied: tuple[str, ...]
    trainings: tuple[Planned, ...]

    def shared(self) -> dict[str, Any]:
        """The settings that all trainings share, by dotted key."""
        return {
            key: value
            for key, value in flattened(as_dict(self.trainings[0].recipe)).items()
            if not any(f"{key}.".startswith(f"{varied}.") for varied in self.varied)
        }


def compare(
    recipe: str | Path | Recipe,
    data: Text | Pairs,
    *,
    vary: Mapping[str, Sequence[object]],
    out: str | Path,
    valid: Text | Pairs | None = None,
    settings: Mapping[str, object] | None = None,
    seeds: int = 3,
    progress: bool = True,
) -> Comparison:
    """Train every combination of some settings with several seeds, and compare the models.

    Each training is an ordinary model in ``out/COMBINATION/seed-N``. The same call after an
    interruption reads finished trainings back and goes on with the one that was interrupted, as if
    nothing had happened. Further values and seeds may be added.

    Args:
        recipe: as for ``textgen.train``.
        data: to learn, as for ``textgen.train``.
        vary: values by key, such as ``{"model.cell": ["rnn", "lstm"]}``.
        out: folder of the comparison.
        valid: by which the models are compared; None holds out a part of ``data``.
        settings: options of the recipe that all models share.
        seeds: trainings of each combination, with ``training.seed``, and 1, 2, … more.
        progress: show how far it is.

    Returns:
        A row for each combination, and all learning curves.

    Raises:
        UsageError: if ``out`` holds another comparison.
        ConfigError: if a key or value does not exist, or is both varied and set.
        DataError: if the data cannot be used, or there is nothing to validate on.
        CheckpointError: if files cannot be written, or those to go on from cannot be read.
    """
    plan = make_plan(lambda own: task_and_recipe(recipe, own), vary, settings or {}, seeds)
    read = READERS[plan.task.reads]

    def both(made: Any) -> tuple[Any, Any]:
        return read(data, made), None if valid is None else read(valid, made)

    return run_comparison(plan, both, Path(out), progress=progress)


def make_plan(
    make: Callable[[dict[str, Any]], tuple[Task, Any]],
    vary: Mapping[str, Sequence[Any]],
    settings: Settings,
    seeds: int,
) -> Plan:
    """The trainings of a comparison.

    Args:
        make: task and recipe with settings on top.
        vary: values by key.
        settings: of all models.
        seeds: trainings of each combination.

    Raises:
        ConfigError: with all that is wrong with the first combination that cannot be trained.
    """
    whole_number(seeds, "seeds", 1)
    shared = canonical(settings)
    varied = check_vary(vary, shared)
    trainings: list[Planned] = []
    for combination in combinations(varied):
        own = {**shared, **combination.settings}
        task, recipe = make(own)
        task.check(recipe)
        first = recipe.training.seed
        trainings += [
            Planned(combination, seed, make({**own, SEED: seed})[1])
            for seed in range(first, first + seeds)
        ]
    return Plan(task, tuple(varied), tuple(trainings))


def run_comparison(plan: Plan, read: Read, out: Path, *, progress: bool = True) -> Comparison:
    """Train what is not trained yet; see ``compare``.

    After each training ``results.json`` in ``out`` holds the comparison so far.

    Args:
        plan: of ``make_plan``.
        read: gives the data for a recipe.
        out: folder of the comparison.
        progress: show how far it is on stderr.

    Raises:
        UsageError: this and the rest are as for ``compare``.
    """
    _open_folder(plan, read(plan.trainings[0].recipe), out)
    runs: list[Run] = []
    for number, planned in enumerate(plan.trainings, start=1):
        name = f"{planned.combination.name}, seed {planned.seed}"
        heading = f"{number} of {len(plan.trainings)}: {name}"
        runs.append(_train(plan.task, planned, read, out, heading if progress else None))
        comparison = _compared(plan, runs)
        text = json.dumps(comparison.as_dict(), ensure_ascii=False)
        atomic.write_text(out / RESULTS, f"{text}\n")
    return comparison


def _open_folder(plan: Plan, data: tuple[Any, Any], out: Path) -> None:
    """Make the folder of the comparison, or see that it is of this one.

    Raises:
        UsageError: if it holds something else, or a comparison with other settings or data.
    """
    train, valid = data
    if valid is None and not plan.trainings[0].recipe.data.valid_share:
        raise DataError("Models are compared by validation data: data.valid_share is 0.")
    now = {
        "format": FORMAT,
        "task": plan.task.name,
        "varied": sorted(plan.varied),
        "recipe": plan.shared(),
        "data": {"train": _digest(train), "valid": None if valid is None else _digest(valid)},
    }
    now = json.loads(json.dumps(now))
    path = out / PLAN
    if path.is_file():
        differing = _differing(_read_json(path), now)
        if differing:
            raise UsageError(
                f"{out}: holds another comparison: {'; '.join(differing)}. Choose another folder, "
                "or give the same settings."
            )
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: holds no comparison, but other files. Choose an empty folder.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be made: {error.strerror}.") from None
    atomic.write_text(path, json.dumps(now, indent=2, ensure_ascii=False) + "\n")


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two comparisons; settings by name, data by digest."""
    old, new = flattened(before), flattened(now)
    return [
        f"{key.removeprefix('recipe.')} was {old.get(key)} and is {new.get(key)}"
        if not key.startswith("data.")
        else f"the {'training' if key == 'data.train' else 'validation'} data are other ones"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def _read_json(path: Path) -> dict[str, Any]:
    """A file that a comparison wrote.

    Raises:
        CheckpointError: if it is damaged.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        data = None
    if not isinstance(data, dict):
        raise CheckpointError(f"{path}: is damaged. Remove it with the trainings beside it.")
    return data


def _digest(source: Any) -> str:
    """Of all texts of a source."""
    if hasattr(source, "pieces"):
        return digest(piece.text for piece in source.pieces())
    return digest(side for pair in source.pairs() for side in pair)


class _Recorder:
    """The history of a training in a file beside its folder, written at each validation.

    A training that goes on from its last save repeats the steps after it; they are recorded once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.history, self.error = TrainingHistory(), ""
        if path.is_file():
            self._restore(_read_json(path))

    def _restore(self, data: Mapping[str, Any]) -> None:
        self.history.steps = [Step(**each) for each in data["steps"]]
        self.history.validations = [Validated(**each) for each in data["validations"]]
        self.history.step, self.history.reason = data["step"], data["stopped"]
        self.error = data["error"]

    def listen(self, event: Event) -> None:
        """Take in an event."""
        history = self.history
        if isinstance(event, Step | Validated):
            history.validations = [each for each in history.validations if each.step < event.step]
            last = event.step if isinstance(event, Step) else event.step + 1
            history.steps = [each for each in history.steps if each.step < last]
        history.listen(event)
        if isinstance(event, Validated | Stopped):
            self.save()

    def save(self) -> None:
        """Write the file."""
        history = self.history
        data = {
            "step": history.step,
            "stopped": "" if history.reason == "interrupted" else history.reason,
            "error": self.error,
            "steps": [dataclasses.asdict(each) for each in history.steps],
            "validations": [dataclasses.asdict(each) for each in history.validations],
        }
        atomic.write_text(self.path, json.dumps(data) + "\n")


def _train(task: Task, planned: Planned, read: Read, out: Path, heading: str | None) -> Run:
    """One training, begun, resumed or read back."""
    folder = out / planned.combination.folder / f"seed-{planned.seed}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    recorder = _Recorder(folder.with_name(f"{folder.name}.json"))
    whole = recorder.history.reason and (folder / WEIGHTS).is_file()
    if not whole and not recorder.error:
        if heading is not None:
            tell(heading)
        train, valid = read(planned.recipe)
        resume = _is_begun(folder)
        events = run.train(task, planned.recipe, train, valid, folder, resume=resume)
        try:
            with _shown(task, planned.recipe, heading) as show:
                for event in events:
                    recorder.listen(event)
                    show(event)
        except TrainingError as error:
            recorder.error = str(error)
            logger.warning("%s: %s", folder, error)
        except KeyboardInterrupt as stop:
            stop.add_note(f"Saved in {out}: the same call goes on from there.")
            raise
        finally:
            recorder.save()
    return _result(planned, folder, recorder)


@contextlib.contextmanager
def _shown(task: Task, recipe: Any, heading: str | None) -> Iterator[Listener]:
    """Progress, where a heading says that it is wanted."""
    if heading is None:
        yield lambda _: None
        return
    with training_progress(task.display(recipe)) as show:
        yield show


def _is_begun(folder: Path) -> bool:
    """Whether there is a training to resume; an interrupted save is completed first."""
    if not folder.is_dir():
        return False
    with contextlib.suppress(CheckpointError):
        read_config(folder)
    return (folder / CONFIG).is_file()


def _result(planned: Planned, folder: Path, recorder: _Recorder) -> Run:
    """What came of a training, by its history and the weights that were kept."""
    combination, history = planned.combination, recorder.history
    metrics: dict[str, float] = {}
    parameters = None
    if (folder / WEIGHTS).is_file():
        facts = load_tensors(folder / WEIGHTS)[1]
        loaded = load_model(str(folder), device="cpu")
        parameters = sum(each.numel() for each in loaded.model.parameters())
        history.best_step, history.metrics = facts["step"], dict(facts["metrics"])
        metrics = dict(history.metrics)
        kind = getattr(planned.recipe.tokenizer, "kind", "")
        if "loss" in metrics and "labels" not in loaded.vocabularies:
            metrics |= derived(kind, metrics["loss"])
    return Run(
        combination=combination.name,
        settings=combination.settings,
        seed=planned.seed,
        folder=str(folder),
        parameters=parameters,
        history=history,
        metrics=metrics,
        error=recorder.error,
    )


def _compared(plan: Plan, runs: Sequence[Run]) -> Comparison:
    """The comparison of the trainings so far."""
    criterion, notes = "loss", []
    for each in runs:
        if (Path(each.folder) / CONFIG).is_file():
            criterion = read_config(Path(each.folder)).facts.get("criterion", "loss")
    tokens_differ = any(
        key.startswith(("tokenizer", "source_tokenizer", "data.joint")) for key in plan.varied
    )
    if tokens_differ and criterion == "loss":
        comparable = all("bits_per_character" in each.metrics for each in runs if not each.error)
        criterion = "bits_per_character" if comparable else ""
        notes.append("the tokens differ: losses per token do not compare.")
    units = [step.unit for each in runs for step in each.history.steps[:1]]
    return Comparison(
        task=plan.task.name,
        criterion=criterion,
        unit=units[0] if units else "token",
        runs=tuple(runs),
        notes=tuple(notes),
    )
