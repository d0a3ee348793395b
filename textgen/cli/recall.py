"""``textgen recall``: a Hopfield network recalls texts or drawn characters."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from textgen.cli.failures import complain
from textgen.cli.lazy import examples
from textgen.cli.options import Number, PathOf, Seed
from textgen.cli.output import json_option, print_json, print_table
from textgen.errors import DataError, UsageError

if TYPE_CHECKING:
    from textgen.models.hopfield import Hopfield, RecalledText

_STATES = {
    "stored": "stored pattern",
    "reverse": "reverse of a stored pattern",
    "spurious": "spurious state",
}
_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
_MAX_TERMINAL_COLUMNS = 200


@click.command(
    "recall",
    epilog=examples(
        'textgen recall --patterns names.txt --cue "Ada ____"',
        "textgen recall --patterns names.txt --noise 0.2 --rule pseudo-inverse",
        "textgen recall --patterns letters.txt --drawn --cue A --noise 0.2 --plot recall.png",
        'textgen recall --patterns names.txt --cue "Alan" --rule modern --beta 0.1 --json',
    ),
)
@click.option(
    "--patterns",
    required=True,
    type=PathOf(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The patterns to store, one text a line; blank and repeated lines are left out.",
)
@click.option(
    "--cue",
    metavar="TEXT",
    help="Recall from this text. _ and ? stand for missing characters, unless a pattern has them; "
    "characters behind the end of the cue are missing.",
)
@click.option(
    "--noise",
    type=Number(0, 1),
    metavar="P",
    help="Flip a share P of the units: of the cue, or without --cue of every pattern.",
)
@click.option("--drawn", is_flag=True, help="Patterns are pictures of the characters.")
@click.option(
    "--rule",
    type=click.Choice(["hebb", "pseudo-inverse", "modern"]),
    default="hebb",
    show_default=True,
    help="How patterns are stored; modern is the network of Ramsauer et al. 2020.",
)
@click.option(
    "--beta",
    type=Number(0, least_allowed=False),
    metavar="B",
    help="Inverse temperature of --rule modern.  [default: 1]",
)
@click.option(
    "--updates",
    type=click.Choice(["asynchronous", "synchronous"]),
    help="One unit after the other in random order, or all at once.  [default: asynchronous; of "
    "--rule modern synchronous]",
)
@click.option(
    "--seed",
    type=Seed(),
    default=0,
    show_default=True,
    metavar="N",
    help="Random seed of the noise and of the order of the updates, or 'random'.",
)
@click.option(
    "--plot",
    type=PathOf(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw the energy over the steps, and drawn patterns (.png or .svg).",
)
@json_option
def command(
    *,
    patterns: Path,
    cue: str | None,
    noise: float | None,
    drawn: bool,
    rule: Literal["hebb", "pseudo-inverse", "modern"],
    beta: float | None,
    updates: str | None,
    seed: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Recall stored patterns from a noisy or partial cue with a Hopfield network.

    A text has 32 pseudo-random units of ±1 for each character; with --drawn each unit is a pixel.
    The result is a stored pattern, the reverse of one, a spurious state, or, with synchronous
    updates, a cycle.
    """
    from textgen.evaluation.lines import read_lines
    from textgen.evaluation.plot_page import check_format
    from textgen.evaluation.recall_plot import plot_recalls
    from textgen.models.hopfield import Hopfield

    _check(cue, noise, rule, beta, updates)
    if plot is not None:
        check_format(plot)
    memory = Hopfield(rule, beta=1.0 if beta is None else beta, drawn=drawn)
    texts = list(read_lines(patterns))
    if not any(text.strip() for text in texts):
        raise DataError(f"{patterns}: there is no pattern: one text a line is needed.")
    memory.store(texts)
    synchronous, share = updates == "synchronous", noise or 0.0
    if cue is not None:
        found = {cue: memory.recall(cue, noise=share, synchronous=synchronous, seed=seed)}
    else:
        found = {
            text: memory.recall(
                memory.patterns[index], noise=share, synchronous=synchronous, seed=seed, index=index
            )
            for index, text in enumerate(memory.texts)
        }
    if plot is not None:
        plot_recalls(plot, memory, found, f"{patterns.name}: {_network(memory)}")
        complain(f"{plot}: energy over the steps.")
    if as_json:
        print_json(_as_dict(memory, found, cue=cue, noise=noise, seed=seed))
    elif cue is not None:
        _print_one(memory, cue, found[cue])
    else:
        _print_all(memory, found)


def _check(
    cue: str | None, noise: float | None, rule: str, beta: float | None, updates: str | None
) -> None:
    """Raise a UsageError for options that do not go together."""
    if cue is None and noise is None:
        raise UsageError("Give a cue: --cue TEXT, --noise P for all patterns, or both.")
    if beta is not None and rule != "modern":
        raise UsageError("--beta goes with --rule modern.")
    if updates == "asynchronous" and rule == "modern":
        raise UsageError("--rule modern updates all units at once: leave --updates out.")


def _network(memory: Hopfield) -> str:
    """Rule and sizes."""
    count, units = memory.patterns.shape
    beta = f" (β = {memory.beta:g})" if memory.rule == "modern" else ""
    return f"{memory.rule}{beta}, {count:,} patterns of {units:,} units, P/N = {count / units:.3f}"


def _state(found: RecalledText) -> str:
    """What the recalled state is."""
    name = _STATES.get(found.kind) or f"cycle of {found.recall.cycle} states"
    if found.recall.converged or found.recall.cycle:
        return name
    return f"{name}, not converged"


def _print_one(memory: Hopfield, cue: str, found: RecalledText) -> None:
    """A recall as lines of names and values."""
    energies = found.recall.energies
    print_table(
        [
            ("cue", cue),
            ("recalled", found.text),
            ("state", _state(found)),
            ("nearest", found.nearest),
            ("overlap", f"{found.overlap:.3f} (cue {found.cue_overlap:.3f})"),
            ("energy", f"{energies[-1]:.2f} (cue {energies[0]:.2f})"),
            ("steps", f"{found.recall.steps:,}"),
            ("network", _network(memory)),
        ]
    )
    columns = memory.code.shape[1] * memory.code.length
    if memory.drawn and 2 * columns < _MAX_TERMINAL_COLUMNS:
        click.echo("")
        pictures = [_blocks(memory, state) for state in (found.cue, found.recall.state)]
        print_table([("cue".ljust(columns), "recalled"), *zip(*pictures, strict=True)], gap=3)


def _blocks(memory: Hopfield, state: object) -> list[str]:
    """A picture as lines of half blocks, two rows of pixels in each."""
    import numpy as np

    ink: list[list[bool]] = (memory.code.picture(np.asarray(state)) > 0).tolist()
    blank = [False] * len(ink[0])
    pairs = zip_longest(ink[::2], ink[1::2], fillvalue=blank)
    return ["".join(map(_HALVES.__getitem__, zip(*pair, strict=True))) for pair in pairs]


def _print_all(memory: Hopfield, recalls: Mapping[str, RecalledText]) -> None:
    """A table of the recalls of all patterns."""
    head = ("STATE", "OVERLAP", "CUE'S", "ENERGY", "STEPS", "PATTERN", "RECALLED")
    rows = [
        (
            _state(found),
            f"{found.overlap:.3f}",
            f"{found.cue_overlap:.3f}",
            f"{found.recall.energy:.2f}",
            f"{found.recall.steps:,}",
            text,
            found.text,
        )
        for text, found in recalls.items()
    ]
    print_table([head, *rows])
    click.echo(f"\n{_recovered(recalls):,} of {len(recalls):,} recovered: {_network(memory)}")


def _recovered(recalls: Mapping[str, RecalledText]) -> int:
    """Patterns that were recalled from themselves with noise."""
    return sum(each.kind == "stored" and each.nearest == text for text, each in recalls.items())


def _as_dict(
    memory: Hopfield,
    recalls: Mapping[str, RecalledText],
    *,
    cue: str | None,
    noise: float | None,
    seed: int,
) -> dict[str, object]:
    """Plain data: of one recall, or of all with the number that was recovered."""
    count, units = memory.patterns.shape
    sizes = {"rule": memory.rule, "patterns": count, "units": units, "load": count / units}
    beta = {"beta": memory.beta} if memory.rule == "modern" else {}
    settings = {**sizes, **beta, "drawn": memory.drawn, "noise": noise, "seed": seed}
    if cue is not None:
        return {"cue": cue, **_one(recalls[cue]), **settings}
    items = [{"pattern": text, **_one(found)} for text, found in recalls.items()]
    return {"recovered": _recovered(recalls), **settings, "recalls": items}


def _one(found: RecalledText) -> dict[str, object]:
    """Plain data of a recall."""
    recall = found.recall
    return {
        "text": found.text,
        "state": found.kind,
        "nearest": found.nearest,
        "overlap": found.overlap,
        "cue_overlap": found.cue_overlap,
        "energy": recall.energy,
        "energies": list(recall.energies),
        "steps": recall.steps,
        "converged": recall.converged,
        "cycle": recall.cycle,
    }
