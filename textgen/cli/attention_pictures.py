"""--plot and what belongs to it: pictures of the attention of chosen sentence pairs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from textgen.cli.options import PathOf, all_of, grouped_option
from textgen.errors import UsageError, nearest

if TYPE_CHECKING:
    from textgen.evaluation.alignment import GoldAlignment
    from textgen.evaluation.attention_picture import Axes
    from textgen.evaluation.forced_alignment import AlignedPair
    from textgen.loading import LoadedModel

_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")

picture_options = all_of(
    [
        grouped_option(
            "--plot",
            type=PathOf(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Draw the attention to FILE: .png, .svg or .html.",
        ),
        grouped_option(
            "--lines",
            default="1",
            show_default=True,
            metavar="1,5-8",
            help="Of which pairs, counted from 1.",
        ),
        grouped_option(
            "--axes",
            type=click.Choice(["words", "tokens"]),
            help="What is drawn.  [default: tokens of a model of characters or bytes, else words]",
        ),
        grouped_option(
            "--theme",
            type=click.Choice(["auto", "light", "dark"]),
            default="auto",
            show_default=True,
            help="Colours; auto is light, and in .html what the reader has set.",
        ),
    ]
)


@dataclass(frozen=True)
class Pictures:
    """What the options of ``picture_options`` say."""

    plot: Path | None
    lines: str
    axes: Axes | None
    theme: str

    def check(self) -> None:
        """See that they can be drawn, before the models are loaded.

        Raises:
            UsageError: for an ending that stands for no format, or numbers that are none.
        """
        from textgen.evaluation.attention_plot import FORMATS

        if self.plot is not None and self.plot.suffix.lower() not in FORMATS:
            raise UsageError(
                f"--plot: attention is drawn as {', '.join(FORMATS)}, not as {self.plot.name}."
                f"{nearest(self.plot.suffix, FORMATS)}"
            )
        ranges(self.lines)

    def draw(
        self,
        loaded: LoadedModel,
        aligned: Sequence[AlignedPair],
        gold: Sequence[GoldAlignment] | None,
    ) -> None:
        """Draw the chosen pairs, if a file is named.

        Raises:
            UsageError: if there is no such pair.
            DataError: if the file cannot be written.
        """
        from textgen.evaluation.attention_picture import picture_of, usual_axes
        from textgen.evaluation.attention_plot import write_attention

        if self.plot is None:
            return
        wanted = ranges(self.lines)
        for each in wanted:
            if each[-1] > len(aligned):
                raise UsageError(
                    f"--lines: there is no pair {each[-1]}; there are {len(aligned):,}."
                )
        axes = self.axes or usual_axes(loaded)
        pictures = [
            picture_of(aligned[number - 1], gold[number - 1] if gold else None, axes)
            for each in wanted
            for number in each
        ]
        write_attention(self.plot, pictures, theme=self.theme)


def ranges(text: str) -> list[range]:
    """Read ``1,5-8``: numbers from 1 on, and ranges of them.

    Raises:
        UsageError: if it is something else.
    """
    found = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        first = int(match[1]) if match else 0
        last = int(match[2] or match[1]) if match else 0
        if not 1 <= first <= last:
            raise UsageError(f"--lines: {part!r} is no number or range, such as 3 or 5-8.")
        found.append(range(first, last + 1))
    return found
