"""``textgen compare TASK``: models that differ in some settings, over several seeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from textgen.cli.failures import complain
from textgen.cli.lazy import Several, SeveralCommand, examples
from textgen.cli.options import PathOf, all_of, collected, grouped_option, kept_value, whole_number
from textgen.cli.output import json_option, print_json
from textgen.cli.threads import set_threads, threads_option
from textgen.cli.train import READERS, TrainGroup, tag_column
from textgen.cli.training_options import recipe_options
from textgen.errors import UsageError
from textgen.task import Task

_options = all_of(
    [
        recipe_options,
        grouped_option(
            "--vary",
            cls=Several,
            multiple=True,
            metavar="KEY=VALUE,...",
            help="Keys of the recipe and their values, such as model.cell=rnn,lstm,gru; every "
            "combination is trained.",
        ),
        grouped_option(
            "--out",
            required=True,
            type=PathOf(path_type=Path, file_okay=False),
            metavar="DIR",
            help="Folder of the comparison: results.json, and a folder for each model.",
        ),
        grouped_option(
            "--plot",
            type=PathOf(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Draw learning curves and quality to FILE: .png or .svg.",
        ),
        threads_option,
    ]
)


@dataclass(frozen=True)
class Wanted:
    """What the options of a comparison say."""

    recipe: str | None
    settings: tuple[str, ...]
    minutes: float | None
    vary: tuple[str, ...]
    out: Path
    plot: Path | None
    threads: int | None

    def all_settings(self) -> list[str]:
        """--set and --minutes; the latter wins."""
        minutes = [] if self.minutes is None else [f"training.minutes={self.minutes}"]
        return [*self.settings, *minutes]


class CompareGroup(TrainGroup):
    """The commands of the tasks; without a task's word, that of the recipe's task."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the word of the recipe's task first where there is none."""
        helps = {"-h", "--help"} & set(args)
        if args and args[0].startswith("-") and not helps:
            args = [_word_of_recipe(args), *args]
        return super().parse_args(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a task, by its word or by the task's name."""
        from textgen.task import find_task, task_names

        del ctx
        for name in task_names():
            task = find_task(name)
            if cmd_name in {name, task.command}:
                return _make_command(task)
        return None


def _word_of_recipe(args: list[str]) -> str:
    """The task of the recipe that the arguments name.

    Raises:
        UsageError: if they name none.
    """
    from textgen.recipes import read_recipe
    from textgen.task import find_task

    for word, following in zip(args, [*args[1:], ""], strict=True):
        option, equals, value = word.partition("=")
        if option == "--recipe":
            return find_task(read_recipe(value if equals else following).kind).command
    raise UsageError(
        "Say what to compare: a task, as in `textgen compare lm`, or --recipe NAME|FILE."
    )


command = CompareGroup(
    "compare",
    help="Compare models that differ in some settings, over several seeds.",
    epilog=examples(
        "textgen compare lm --train novel.txt --vary model.cell=rnn,lstm,gru --minutes 1 "
        "--out cells --plot cells.png",
        "textgen compare --recipe dates-small --corpus dates --vary model.cell=lstm,gru --seeds 2 "
        "--out dates-cells --json",
    ),
)

_EXAMPLES = {
    "text": "--train novel.txt --vary model.cell=lstm,gru --seeds 2 --out comparison-texts",
    "pairs": "--corpus dates --recipe dates-small --vary model.cell=rnn,gru --seeds 1 "
    "--out comparison-pairs",
    "labelled": "--train reviews.csv --vary model.summary=last,attention --seeds 2 "
    "--out comparison-labels",
    "tagged": "--train train.conllu --vary model.output=softmax,crf --seeds 2 "
    "--out comparison-tags",
}
_HELP = (
    "Every combination of the values of --vary is trained with several seeds, one after the other, "
    "each into a model folder of its own in --out. The table has means and standard deviations of "
    "the validation metrics. The same command after an interruption goes on with bit-identical "
    "results; further values and seeds may be added."
)


def _make_command(task: Task) -> click.Command:
    """The command that compares models of a task."""
    options = READERS[task.reads][0]

    def run(*, seeds: int, as_json: bool) -> None:
        _run(task, seeds, as_json=as_json)

    seeds = whole_number("--seeds", 3, "Trainings of each combination: training.seed, +1, …")
    decorated = options(_options(seeds(json_option(run))))
    return click.command(
        task.command,
        cls=SeveralCommand,
        epilog=examples(f"textgen compare {task.command} {_EXAMPLES[task.reads]}"),
        help=f"Compare models of the task {task.name}.\n\n{_HELP}",
    )(decorated)


def _run(task: Task, seeds: int, *, as_json: bool) -> None:
    from textgen.evaluation.plot_page import check_format
    from textgen.loaded.comparing import make_plan, run_comparison
    from textgen.recipes import load_any_recipe
    from textgen.recipes.variations import parse_vary

    wanted = collected(Wanted)
    if kept_value("test"):
        raise UsageError("--test: models are compared by --valid; test the best one alone.")
    if wanted.plot is not None:
        check_format(wanted.plot)
    set_threads(wanted.threads)
    name = wanted.recipe or task.default_recipe
    plan = make_plan(
        lambda own: (task, load_any_recipe(task.name, name, own)),
        parse_vary(wanted.vary),
        [*wanted.all_settings(), *tag_column(task)],
        seeds,
    )
    read = READERS[task.reads][1]

    def both(recipe: Any) -> tuple[Any, Any]:
        data = read(recipe)
        return data.train, data.valid

    try:
        comparison = run_comparison(plan, both, wanted.out)
    except KeyboardInterrupt:
        complain(f"Saved in {wanted.out}: the same command goes on from there.")
        raise
    if wanted.plot is not None:
        comparison.plot(wanted.plot)
        complain(f"{wanted.plot}: learning curves and quality.")
    if as_json:
        print_json(comparison.as_dict())
    else:
        click.echo(str(comparison))
