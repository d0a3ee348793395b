"""``textgen train TASK``: one command for each row of the table of tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from textgen.cli.failures import complain
from textgen.cli.labelled import TrainingLabelled, training_labelled
from textgen.cli.lazy import SeveralCommand, examples
from textgen.cli.options import collected, kept_value
from textgen.cli.output import json_option
from textgen.cli.pairs import TrainingPairs, training_pairs
from textgen.cli.tagged import TrainingTagged, training_tagged
from textgen.cli.texts import TrainingTexts, training_texts
from textgen.cli.training_options import Training, report, says_how_to_go_on, training_options
from textgen.components import TASKS
from textgen.errors import TextgenError, nearest
from textgen.task import Task, find_task, task_names

if TYPE_CHECKING:
    from pathlib import Path

    from textgen.task import Metrics


class Splits(NamedTuple):
    """Data of a training; ``valid`` is None where a part of ``train`` is to be held out."""

    train: Any
    valid: Any
    test: Any


class TrainGroup(click.Group):
    """The commands of the tasks, each made when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The words of the tasks."""
        del ctx
        return [find_task(name).command for name in task_names()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a task, by its word or by the task's name."""
        del ctx
        if cmd_name in TASKS.names():
            return make_command(find_task(cmd_name))
        for name in task_names():
            task = find_task(name)
            if task.command == cmd_name:
                return make_command(task)
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name, or say which there are."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            hint = nearest(args[0], self.list_commands(ctx))
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


command = TrainGroup(
    "train",
    help="Train a model on your own text.",
    epilog=examples(
        "textgen train lm --corpus python-reference --minutes 1 --out checkpoints/py",
        "textgen train translator --corpus dates --recipe dates-small --out checkpoints/dates",
    ),
)


def make_command(task: Task) -> click.Command:
    """The command that trains a model of a task."""
    options, read = READERS[task.reads]

    def run(*, as_json: bool) -> None:
        _run(task, read, as_json=as_json)

    decorated = options(training_options(json_option(run)))
    return click.command(
        task.command,
        cls=SeveralCommand,
        epilog=examples(*task.examples),
        help=f"{task.about}\n\n{_HELP}",
    )(decorated)


_HELP = (
    "A recipe configures vocabulary, model and training; --set overrides any key of it. "
    "`textgen recipes NAME` lists all keys. Ctrl-C saves the training state; --resume continues "
    "from it with bit-identical results."
)


def _run(task: Task, read: Callable[[Any], Splits], *, as_json: bool) -> None:
    from textgen.training.run import train

    training = collected(Training)
    training = replace(training, settings=(*training.settings, *tag_column(task)))
    with training.group() as group:
        initial = training.initial(task)
        recipe = training.recipe_of(task, group, initial)
        data = read(recipe)
        if group.leads:
            _warn(task, data)
        events = train(
            task,
            recipe,
            data.train,
            data.valid,
            training.out,
            resume=training.resume,
            overwrite=training.overwrite,
            initial=initial,
            group=group,
        )
        with says_how_to_go_on(training, group):
            summary = training.run(events, task.display(recipe), group)
    if not group.leads:
        return
    test = None if data.test is None else _measure(task, training.out, data.test)
    try:
        report(training.out, summary, test, as_json=as_json)
    except TextgenError as error:  # standard output is closed
        raise TextgenError(f"{error} The model in {training.out} is complete.") from None


def tag_column(task: Task) -> list[str]:
    """--column as a setting, so that it is kept with the model."""
    column = kept_value("column") if task.reads == "tagged" else None
    return [] if column is None else [f"data.column={column}"]


def _measure(task: Task, out: Path, test: Any) -> Metrics:
    """Metrics of the weights that were kept."""
    from textgen.loading import load_model
    from textgen.training.run import measure

    return measure(task, load_model(str(out)), test)


def _warn(task: Task, data: Splits) -> None:
    """Tell what a test has in common with the pairs to train on."""
    from textgen.data.parallel import find_overlap

    if task.reads != "text" and data.test is not None:
        labelled = task.reads in {"labelled", "tagged"}
        overlap = find_overlap(data.train, data.test, labelled=labelled)
        if overlap.sources:
            complain(f"Warning: --test: {overlap}")


def _text(recipe: Any) -> Splits:
    texts = collected(TrainingTexts).open(raw=recipe.tokenizer.kind == "bytes")
    return Splits(texts.train, texts.valid, texts.test)


def _pairs(recipe: Any) -> Splits:
    del recipe
    return Splits(*collected(TrainingPairs).open())


def _labelled(recipe: Any) -> Splits:
    return Splits(*collected(TrainingLabelled).splits(recipe.data.separator))


def _tagged(recipe: Any) -> Splits:
    return Splits(*collected(TrainingTagged).splits(recipe.data.column))


READERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Splits]]] = {
    "text": (training_texts, _text),
    "pairs": (training_pairs, _pairs),
    "labelled": (training_labelled, _labelled),
    "tagged": (training_tagged, _tagged),
}
"""Options and openers of what a task may read."""
