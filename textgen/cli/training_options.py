"""What all trainings share: recipe, budget, logs, and the events told while it runs."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.failures import complain
from textgen.cli.lazy import Several
from textgen.cli.options import Number, PathOf, Seed, all_of, grouped_option
from textgen.cli.output import print_json
from textgen.cli.ranks import ranks
from textgen.cli.threads import set_threads, threads_option
from textgen.errors import TextgenError, TrainingError

if TYPE_CHECKING:
    from textgen.loaded.history import TrainingHistory
    from textgen.progress import Figure, Listener
    from textgen.task import Metrics, Task
    from textgen.training.events import Event
    from textgen.training.group import ProcessGroup
    from textgen.training.initial import Initial

recipe_options = all_of(
    [
        grouped_option("--recipe", metavar="NAME|FILE", help="Recipe to start from."),
        grouped_option(
            "--set",
            "settings",
            cls=Several,
            multiple=True,
            metavar="KEY=VALUE...",
            help="Override keys of the recipe: model.hidden=512 training.batch=64.",
        ),
        grouped_option(
            "--minutes",
            type=Number(0, least_allowed=False),
            metavar="M",
            help="Stop after M minutes; the learning-rate schedule is fitted to that time.",
        ),
    ]
)

training_options = all_of(
    [
        grouped_option(
            "--out",
            required=True,
            type=PathOf(path_type=Path, file_okay=False),
            metavar="DIR",
            help="Folder for the model.",
        ),
        recipe_options,
        grouped_option(
            "--seed",
            type=Seed(),
            metavar="N|random",
            help="Random seed of weights, dropout and the order of batches.",
        ),
        grouped_option(
            "--init-from",
            "init_from",
            cls=Several,
            multiple=True,
            metavar="[PART=]MODEL...",
            help="Start from MODEL: its tokenizer and sizes replace those of the recipe, which "
            "still configures the training; decoder= and encoder= start these parts of a "
            "translator from a language model.",
        ),
        grouped_option("--resume", is_flag=True, help="Continue the training in --out."),
        grouped_option(
            "--overwrite", is_flag=True, help="Replace the model in --out at the first save."
        ),
        grouped_option(
            "--log",
            type=PathOf(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Write each event to FILE as a JSON line.",
        ),
        grouped_option(
            "--tensorboard",
            type=PathOf(path_type=Path, file_okay=False),
            metavar="DIR",
            help="Write training curves to DIR for TensorBoard.",
        ),
        threads_option,
    ]
)


@dataclass(frozen=True)
class Training:
    """What the options of ``training_options`` say."""

    out: Path
    recipe: str | None
    settings: tuple[str, ...]
    minutes: float | None
    seed: int | None
    init_from: tuple[str, ...]
    resume: bool
    overwrite: bool
    log: Path | None
    tensorboard: Path | None
    threads: int | None

    @contextlib.contextmanager
    def group(self) -> Iterator[ProcessGroup]:
        """The processes that train together; this one with its share of threads."""
        with ranks() as group:
            set_threads(self.threads)
            yield group

    def all_settings(self) -> list[str]:
        """--set, --minutes and --seed as settings of the recipe; the latter two win."""
        settings = list(self.settings)
        if self.minutes is not None:
            settings.append(f"training.minutes={self.minutes}")
        if self.seed is not None:
            settings.append(f"training.seed={self.seed}")
        return settings

    def initial(self, task: Task) -> tuple[Initial, ...]:
        """The models of --init-from."""
        from textgen.training.initial import load_initial

        return load_initial(task, self.init_from)

    def recipe_of(self, task: Task, group: ProcessGroup, initial: Sequence[Initial] = ()) -> Any:
        """The recipe that is named; a resumed training's own one where none is.

        All processes have what the first one reads.

        Raises:
            ConfigError: if there is none, it makes another kind, or the settings do not fit.
            CheckpointError: if the training to resume is of another kind.
        """
        from textgen.config import as_dict, structure

        data = group.first(lambda: as_dict(self._own_recipe(task, initial)))
        return structure(task.recipe_class, data)

    def _tell_renamed(self, settings: Sequence[str]) -> None:
        """Name the new names of keys whose old ones are given."""
        from textgen.config import parse_settings
        from textgen.recipes import read_recipe
        from textgen.renames import renamed

        given = [parse_settings(settings)]
        if self.recipe is not None:
            given.append(dict(read_recipe(self.recipe).data))
        for data in given:
            for note in renamed(data)[1]:
                complain(f"Note: {note}")

    def _own_recipe(self, task: Task, initial: Sequence[Initial]) -> Any:
        from textgen.checkpoint import CONFIG, read_config
        from textgen.config import structure
        from textgen.recipes import load_any_recipe, with_settings

        settings = self.all_settings()
        self._tell_renamed(settings)
        if initial:
            from textgen.training.initial import initial_recipe

            named = self.recipe and load_any_recipe(task.name, self.recipe)
            return initial_recipe(task, named, settings, initial)
        known = self.resume and (self.out / CONFIG).is_file()
        if not known or self.recipe is not None:
            return load_any_recipe(task.name, self.recipe or task.default_recipe, settings)
        saved = with_settings(read_config(self.out, task.name).config, settings)
        return structure(task.recipe_class, saved, where=f"the recipe in {self.out}")

    def run(self, events: Iterable[Event], figure: Figure, group: ProcessGroup) -> TrainingHistory:
        """Drive a training to its end; the first process tells its events on stderr and to logs."""
        from textgen.loaded.history import TrainingHistory

        summary = TrainingHistory()
        with contextlib.ExitStack() as stack:
            listeners: list[Listener] = [summary.listen]
            if group.leads:
                listeners += self._listeners(figure, stack)
            for event in events:
                for listener in listeners:
                    listener(event)
        return summary

    def _listeners(self, figure: Figure, stack: contextlib.ExitStack) -> Iterator[Listener]:
        from textgen.cli.logs import json_log, tensorboard_log
        from textgen.progress import training_progress

        if self.log is not None:
            yield stack.enter_context(json_log(self.log, append=self.resume))
        if self.tensorboard is not None:
            yield stack.enter_context(tensorboard_log(self.tensorboard))
        yield stack.enter_context(training_progress(figure))


def report(out: Path, summary: TrainingHistory, test: Metrics | None, *, as_json: bool) -> None:
    """Tell on stdout what a training came to, and its test if there was one."""
    if as_json:
        result: dict[str, Any] = {"model": str(out), **summary.as_dict()}
        if test is not None:
            result["test"] = test.as_dict()
        print_json(result)
        return
    click.echo(f"{out}: {summary}")
    if test is not None:
        click.echo(f"test: {test}")


@contextlib.contextmanager
def says_how_to_go_on(training: Training, group: ProcessGroup) -> Iterator[None]:
    """On Ctrl-C or SIGTERM, tell the command that resumes; what was trained is saved by then.

    Where --overwrite ends before its first save, tell that the older model is still there.
    """
    weights, state = (training.out / name for name in ("model.safetensors", "training.safetensors"))
    before = _version(weights), _version(state)
    try:
        yield
    except (KeyboardInterrupt, TextgenError) as stop:
        now = _version(weights), _version(state)
        if not group.leads:
            raise
        if now == before and before != (None, None):
            complain(f"Nothing was saved: {training.out} still holds the model from before.")
        elif isinstance(stop, TrainingError):
            kept = f"The last good weights are kept in {training.out}." if now[0] else ""
            complain(kept or "Nothing was saved.")
        elif isinstance(stop, KeyboardInterrupt) and now[1] is not None:
            _say_how_to_go_on(training.out, group)
        raise


def _version(path: Path) -> tuple[int, int] | None:
    """What a file is known by until it is replaced; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _without_initial(words: Sequence[str]) -> Iterator[str]:
    """A command line without --init-from and its values."""
    dropping = False
    for word in words:
        if word.startswith("-"):
            dropping = word.partition("=")[0] == "--init-from"
        if not dropping:
            yield word


def _say_how_to_go_on(out: Path, group: ProcessGroup) -> None:
    again = [word for word in sys.argv[1:] if word not in {"--overwrite", "--resume"}]
    command = shlex.join(["textgen", *_without_initial(again), "--resume"])
    if group.size > 1:
        command = f"torchrun ... -m -- {command}"
    complain(f"Saved in {out}. To go on:\n  {command}")
