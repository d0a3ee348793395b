"""Run the parts and show their tables.

python -m benchmarks.speed [PART ...] [--json FILE] [--threads N] [--quick] [--readme FILE]
"""

from __future__ import annotations

import importlib
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks.measure import as_data, machine, say, table, write_json
from benchmarks.speed import readme
from benchmarks.speed.settings import Part, Settings

PARTS = ("training", "decoding", "stream", "native", "tokenising", "startup", "memory", "growth")
PLOT = Path(__file__).resolve().parent.parent / "growth.png"


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="All figures, there.")
@click.option("--threads", type=click.IntRange(1), help="Of torch; without it torch decides.")
@click.option("--quick", is_flag=True, help="See that all works: the figures mean nothing.")
@click.option("--plot", type=click.Path(path_type=Path), default=PLOT, help="Picture of growth.")
@click.option("--readme", "readme_path", type=click.Path(exists=True, path_type=Path))
@click.option("--model", help="A translator to decode with; else one learns made-up pairs.")
@click.option("--source", type=click.Path(exists=True, path_type=Path), help="Its lines.")
def main(
    parts: tuple[str, ...],
    json_path: Path | None,
    threads: int | None,
    quick: bool,
    plot: Path,
    readme_path: Path | None,
    model: str | None,
    source: Path | None,
) -> None:
    """Measure PARTs, or all of them. --readme FILE puts their tables between its markers."""
    if threads:
        torch.set_num_threads(threads)
        os.environ["OMP_NUM_THREADS"] = str(threads)
    if bool(model) != bool(source):
        raise click.UsageError("--model and --source belong together.")
    found: dict[str, Part] = {}
    with tempfile.TemporaryDirectory(prefix="textgen-speed-") as folder:
        settings = Settings(Path(folder), quick, plot, model, source, 5.0 if quick else 60.0)
        for name in dict.fromkeys(parts or PARTS):
            found[name] = _timed(name, settings)
            _show(found[name])
    click.echo(f"\n{machine().line()}")
    if json_path:
        write_json(json_path, {"parts": {name: _data(part) for name, part in found.items()}})
    if readme_path:
        picture = os.path.relpath(plot, readme_path.resolve().parent)
        shown = list(found.values())
        readme.write(readme_path, shown, machine().line(), picture, whole=not parts)


def _timed(name: str, settings: Settings) -> Part:
    """Run one part."""
    say(f"{name} ...")
    began = time.perf_counter()
    part: Part = importlib.import_module(f"benchmarks.speed.{name}").measure(settings)
    say(f"{name}: {time.perf_counter() - began:.0f} s")
    return part


def _show(part: Part) -> None:
    """A part's tables on stdout."""
    blocks = [f"## {part.title}", table(part.rows) if part.rows else "", part.extra, *part.notes]
    click.echo("\n" + "\n\n".join(block for block in blocks if block))


def _data(part: Part) -> dict[str, Any]:
    return {"rows": as_data(part.rows), "notes": part.notes, **part.data}


if __name__ == "__main__":
    main()
