"""Colours of attention pictures, the same in .png, .svg and .html."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textgen.errors import UsageError, nearest


@dataclass(frozen=True)
class Theme:
    """Colours as #rrggbb.

    Attributes:
        name: "light" or "dark".
        page: behind everything.
        cell: behind the weights, the colour of weight 0.
        text: words.
        faint: titles of axes, notes.
        mark: outlines of gold links.
        ramp: from weight 0 to weight 1, evenly spaced; lightness runs one way all along.
    """

    name: str
    page: str
    cell: str
    text: str
    faint: str
    mark: str
    ramp: tuple[str, ...]


LIGHT = Theme(
    name="light",
    page="#ffffff",
    cell="#f3f5f8",
    text="#1b2430",
    faint="#667487",
    mark="#d9480f",
    ramp=("#f3f5f8", "#c6dbf0", "#88b9e3", "#4a90cf", "#2166b0", "#123f7e", "#0a2351"),
)
DARK = Theme(
    name="dark",
    page="#12161d",
    cell="#1c222c",
    text="#e4e9f0",
    faint="#8d9bad",
    mark="#ff7a1a",
    ramp=("#1c222c", "#1d3a5c", "#1f5a8f", "#2f81bd", "#57aede", "#9ad6f2", "#e6f7ff"),
)
THEMES = {theme.name: theme for theme in (LIGHT, DARK)}


def theme_named(name: str) -> Theme:
    """The theme of that name.

    Raises:
        UsageError: if there is none.
    """
    if name not in THEMES:
        raise UsageError(f"There is no theme {name!r}.{nearest(name, THEMES)}")
    return THEMES[name]


def colour(ramp: Sequence[str], weight: float) -> str:
    """The colour of a weight in [0, 1] as #rrggbb, mixed from the two nearest of the ramp."""
    place = min(max(weight, 0.0), 1.0) * (len(ramp) - 1)
    below = min(int(place), len(ramp) - 2)
    share = place - below
    mixed = (
        round(low + (high - low) * share)
        for low, high in zip(_channels(ramp[below]), _channels(ramp[below + 1]), strict=True)
    )
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _channels(hexadecimal: str) -> tuple[int, ...]:
    return tuple(int(hexadecimal[start : start + 2], 16) for start in (1, 3, 5))
