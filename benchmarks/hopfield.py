"""Recall of Hopfield networks against load and noise, on random patterns.

    python -m benchmarks.hopfield [--plot FILE] [--json]

Two tables of the mean overlap of the recalled state with the pattern, and of the share of patterns
recalled with at most 2.5 % of the units wrong (overlap ≥ 0.95): against P/N from cues with little
noise, where the Hebb rule falls near 0.138, and against noise at a fixed load.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import machine, say
from textgen.evaluation.plot_page import CURVES, FAINT, check_format, frame, new_figure, save
from textgen.models.hopfield import (
    HopfieldNetwork,
    ModernHopfieldNetwork,
    flipped,
    hebb,
    overlaps,
    pseudo_inverse,
)
from textgen.models.hopfield.classic import CAPACITY

RULES = ("hebb", "pseudo-inverse", "modern")
LOADS = (0.02, 0.05, 0.08, 0.1, 0.12, 0.138, 0.15, 0.18, 0.22, 0.3, 0.5, 0.8, 1.0)
NOISES = (0.0, 0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)
RECALLED = 0.95


class Setting(NamedTuple):
    """Of some recalls: units N, patterns P, and the share of flipped units."""

    units: int
    patterns: int
    noise: float


@dataclass(frozen=True)
class Result:
    """What came of one rule and setting: means over networks and patterns."""

    rule: str
    patterns: int
    load: float
    noise: float
    overlap: float
    recalled: float


@click.command()
@click.option("--units", default=300, show_default=True, help="N.")
@click.option("--networks", default=5, show_default=True, help="Sets of random patterns.")
@click.option("--cues", default=20, show_default=True, help="Most patterns recalled of each set.")
@click.option("--load", default=0.08, show_default=True, help="P/N of the recalls against noise.")
@click.option("--noise", default=0.05, show_default=True, help="Of the recalls against load.")
@click.option("--seed", default=0, show_default=True)
@click.option("--plot", type=click.Path(path_type=Path), help=".png or .svg.")
@click.option("--json", "as_json", is_flag=True)
def main(
    units: int,
    networks: int,
    cues: int,
    load: float,
    noise: float,
    seed: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Recall random patterns at several loads and with several amounts of noise."""
    if plot is not None:
        check_format(plot)
    by_load = [Setting(units, max(1, round(each * units)), noise) for each in LOADS]
    by_noise = [Setting(units, max(1, round(load * units)), each) for each in NOISES]
    found = []
    for name, settings in (("load", by_load), ("noise", by_noise)):
        found.append(
            [_measure(rule, each, networks, cues, seed) for each in settings for rule in RULES]
        )
        say(f"recall against {name} done")
    if plot is not None:
        _plot(plot, found[0], found[1], units)
    if as_json:
        data = {"load": [asdict(each) for each in found[0]], "noise": [*map(asdict, found[1])]}
        click.echo(json.dumps({"machine": machine()._asdict(), "units": units, **data}))
        return
    click.echo(f"N = {units}; overlap (share recalled)\n")
    click.echo(_table(found[0], "load") + "\n")
    click.echo(_table(found[1], "noise"))


def _measure(rule: str, setting: Setting, networks: int, cues: int, seed: int) -> Result:
    """Recall patterns of several networks from noisy cues."""
    values = []
    for number in range(networks):
        rng = np.random.default_rng([seed, number, setting.patterns])
        patterns = rng.choice((-1.0, 1.0), (setting.patterns, setting.units))
        network = _network(rule, patterns)
        for index, pattern in enumerate(patterns[:cues]):
            found = network.recall(flipped(pattern, setting.noise, rng))
            values.append(float(overlaps(patterns[index : index + 1], found.state)[0]))
    recalled = sum(value >= RECALLED for value in values) / len(values)
    load = setting.patterns / setting.units
    overlap = statistics.fmean(values)
    return Result(rule, setting.patterns, load, setting.noise, overlap, recalled)


def _network(rule: str, patterns: NDArray[np.float64]) -> HopfieldNetwork | ModernHopfieldNetwork:
    if rule == "modern":
        return ModernHopfieldNetwork(patterns)
    return HopfieldNetwork((hebb if rule == "hebb" else pseudo_inverse)(patterns))


def _table(results: Sequence[Result], field: str) -> str:
    """A row for each setting, a column for each rule, as Markdown."""
    head = "P/N (noise)" if field == "load" else "noise (P/N)"
    lines = [f"| {' | '.join([head, *RULES])} |", "|---" * (1 + len(RULES)) + "|"]
    for start in range(0, len(results), len(RULES)):
        row = results[start : start + len(RULES)]
        load, noise = f"{row[0].load:.3f}", f"{row[0].noise:.2f}"
        first = f"{load} ({noise})" if field == "load" else f"{noise} ({load})"
        cells = [f"{each.overlap:.3f} ({each.recalled:.0%})" for each in row]
        lines.append(f"| {' | '.join([first, *cells])} |")
    return "\n".join(lines)


def _plot(path: Path, load: Sequence[Result], noise: Sequence[Result], units: int) -> None:
    """The overlap against load, and against noise."""
    figure = new_figure(10.0, 4.2, f"Recall of random patterns by Hopfield networks, N = {units}")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, results, field in ((left, load, "load"), (right, noise, "noise")):
        frame(axes)
        for rule, colour in zip(RULES, CURVES, strict=False):
            own = [each for each in results if each.rule == rule]
            x = [getattr(each, field) for each in own]
            y = [each.overlap for each in own]
            axes.plot(x, y, marker="o", markersize=4, color=colour, label=rule)
    left.axvline(CAPACITY, color=FAINT, linewidth=0.8, linestyle="--")
    left.set_xlabel(f"load P/N, {load[0].noise:.0%} of the units flipped; dashed: {CAPACITY}")
    right.set_xlabel(f"share of flipped units, P/N = {noise[0].load:.2f}")
    left.set_ylabel("overlap with the pattern")
    right.legend(frameon=False)
    save(figure, path)


if __name__ == "__main__":
    main()
