"""The cells that torch has no kernel for, beside torch's LSTM: whole sequences of each.

    python -m benchmarks.cells [--rounds 9] [--json]

For each cell, size and precision: milliseconds of a sequence forward and backward, and forward
alone; those of `lstm`, which is torch's kernel; the ratio, and that of the same cell one step at a
time under autograd. All are timed in turn. "products" is the cell's count of multiplications
beside that of `lstm`: a cell that has 1.5 times as many cannot be as fast.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import click
import torch

from benchmarks.measure import Work, fast_products, interleaved, machine, say
from textgen.models.cells import Cell, LstmPeephole, make_cell

CELLS = {
    "lstm-1997": ("lstm-1997", False),
    "lstm-peephole": ("lstm-peephole", False),
    "lstm-peephole, diagonal": ("lstm-peephole", True),
    "gru": ("gru", False),
}
REFERENCE = "lstm"


class Size(NamedTuple):
    """Of a layer and its sequences."""

    inputs: int
    hidden: int
    rows: int
    steps: int


SIZES = (Size(256, 512, 64, 30), Size(256, 256, 32, 64))
PRECISIONS = ("float32", "bfloat16")


@click.command()
@click.option("--rounds", default=9, show_default=True, help="Of each timing; the median counts.")
@click.option("--json", "as_json", is_flag=True)
def main(rounds: int, as_json: bool) -> None:
    """Time all cells, one size and precision after the other."""
    rows = []
    with fast_products():
        for size in SIZES:
            for precision in PRECISIONS:
                for backward in (True, False):
                    rows += list(_rows(size, precision, rounds, backward=backward))
                say(f"{size}, {precision} done")
    if as_json:
        click.echo(json.dumps({"machine": machine()._asdict(), "rows": rows}))
        return
    click.echo(machine().line() + "\n")
    click.echo("| size, precision | cell | products | ms | lstm, ms | ratio | step by step |")
    click.echo("|---|---|---|---|---|---|---|")
    for row in rows:
        click.echo(_line(row))


def _rows(size: Size, precision: str, rounds: int, *, backward: bool) -> Iterator[dict[str, Any]]:
    """One row for each cell."""
    cells = {
        name: make_cell(cell, size.inputs, size.hidden, diagonal=diagonal)
        for name, (cell, diagonal) in CELLS.items()
    }
    reference = make_cell(REFERENCE, size.inputs, size.hidden)
    works = {REFERENCE: _work(reference, size, precision, backward=backward)}
    for name, cell in cells.items():
        works[name] = _work(cell, size, precision, backward=backward)
        works[f"{name} by steps"] = _work(cell, size, precision, backward=backward, by_steps=True)
    spent = interleaved(works, warmup=2, rounds=rounds)
    for name, cell in cells.items():
        yield {
            "inputs": size.inputs,
            "hidden": size.hidden,
            "rows": size.rows,
            "steps": size.steps,
            "precision": precision,
            "backward": backward,
            "cell": name,
            "products": _products(cell) / _products(reference),
            "ms": 1000 * spent[name],
            "reference_ms": 1000 * spent[REFERENCE],
            "ratio": spent[REFERENCE] / spent[name],
            "by_steps_ratio": spent[REFERENCE] / spent[f"{name} by steps"],
        }


def _work(
    cell: Cell, size: Size, precision: str, *, backward: bool, by_steps: bool = False
) -> Work:
    """A sequence from the state 0, with gradients of inputs and weights or without any."""
    inputs = torch.randn(size.rows, size.steps, size.inputs, requires_grad=backward)
    state = cell.zeros(size.rows)
    autocast = functools.partial(torch.autocast, "cpu", torch.bfloat16)
    run = cell.step_by_step if by_steps else cell.sequence

    def work() -> None:
        with autocast(enabled=precision == "bfloat16"), torch.set_grad_enabled(backward):
            outputs, _ = run(inputs, state, cell.weight_recurrent)
        if backward:
            outputs.backward(torch.ones_like(outputs))
            cell.zero_grad()
            inputs.grad = None

    return work


def _products(cell: Cell) -> int:
    """Multiplications of weights in a step of one row."""
    count = cell.weight_input.numel() + cell.weight_recurrent.numel()
    return count + (cell.weight_peephole.numel() if isinstance(cell, LstmPeephole) else 0)


def _line(row: dict[str, Any]) -> str:
    """A row as Markdown."""
    way = "forward and backward" if row["backward"] else "forward"
    size = f"{row['inputs']} → {row['hidden']}, {row['rows']} × {row['steps']}"
    figures = f"{row['products']:.2f} | {row['ms']:.1f} | {row['reference_ms']:.1f}"
    ratios = f"{row['ratio']:.0%} | {row['by_steps_ratio']:.0%}"
    return f"| {size}, {row['precision']}, {way} | {row['cell']} | {figures} | {ratios} |"


if __name__ == "__main__":
    main()
