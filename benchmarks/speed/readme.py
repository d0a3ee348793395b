"""Rewrites README's section between two markers, so that its figures are those of a command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import table
from benchmarks.speed.settings import Part

BEGIN, END = "<!-- speed:begin -->", "<!-- speed:end -->"


def rewritten(text: str, section: str) -> str:
    """A text with the part between the markers replaced; the markers stay.

    Raises:
        ValueError: if a marker is missing, comes twice, or the end comes first.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"one {BEGIN} and one {END} are needed")
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{END} stands before {BEGIN}")
    return f"{before}{BEGIN}\n{section.strip()}\n{END}{after}"


def section(parts: Sequence[Part], line: str, picture: str | None) -> str:
    """What stands between the markers.

    Args:
        parts: with their tables.
        line: the machine.
        picture: the plot of growth, relative to README; None for none.
    """
    intro = (
        f"Measured by `make bench` on: {line}. A share is of what the same machine allows, "
        "measured in the same run; it is the other way round where less is better."
    )
    blocks = [intro]
    for part in parts:
        blocks.append(f"### {part.title}")
        if part.rows:
            blocks.append(table(part.rows))
        if part.extra:
            blocks.append(part.extra)
        blocks += part.notes
        if picture and part.data.get("picture"):
            blocks.append(f"![How time grows with each size, beside the growth of work]({picture})")
    return "\n\n".join(blocks)


def write(
    path: Path, parts: Sequence[Part], line: str, picture: str | None, *, whole: bool = True
) -> None:
    """Put the tables into a README.

    Args:
        path: the README.
        parts: with their tables.
        line: the machine.
        picture: the plot of growth, relative to README; None for none.
        whole: these are all the parts; else those that stand there and are not measured now stay.

    Raises:
        ValueError: if it has no place for them.
    """
    text = path.read_text(encoding="utf-8")
    new = section(parts, line, picture)
    if not whole:
        new = merged(text.partition(BEGIN)[2].partition(END)[0], new)
    path.write_text(rewritten(text, new), encoding="utf-8")


def merged(old: str, new: str) -> str:
    """A section in which the parts of a new one have replaced those of the same title."""
    _, *blocks = old.split("\n### ")
    intro, *measured = new.strip().split("\n### ")
    found = {block.partition("\n")[0]: block.strip() for block in (*blocks, *measured)}
    return "\n\n### ".join([intro.strip(), *found.values()])
