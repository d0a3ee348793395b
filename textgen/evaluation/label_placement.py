"""Names beside the points of a plot, so that they cover neither each other nor the points."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from textgen.evaluation.plot_page import FAINT, PAGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = 8.0
_RADII = (8.0, 14.0, 22.0, 32.0, 44.0, 58.0, 74.0, 92.0, 112.0, 140.0)  # points
_LEADER = 14.0  # from this distance on a thin line leads from the point to its name
_GAP = 2.0
_POINT = 5.0
_STEP = 2.0


class Box(NamedTuple):
    """A rectangle in points; y grows upwards."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: Box) -> bool:
        """Whether they share more than an edge."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )

    def inside(self, page: Box) -> bool:
        """Whether all of it lies on a page."""
        return (
            page.left <= self.left
            and page.bottom <= self.bottom
            and self.right <= page.right
            and self.top <= page.top
        )


class Spot(NamedTuple):
    """Where a name goes: its box, and how far from its point it is."""

    box: Box
    distance: float


def place_labels(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    page: Box,
    first: Collection[int] = (),
) -> list[Spot]:
    """Find a free place for the name of each point, the nearer the better.

    Names in crowded places are placed first. A place whose leading line crosses nothing is
    preferred; a name that has no free place at all stays at the right of its point.

    Args:
        points: where the points are, in the unit of ``page``.
        sizes: width and height of each name.
        page: where names may be.
        first: numbers of points whose names are placed before all others.

    Returns:
        A spot for each point, in their order.
    """
    taken = [Box(x - _POINT, y - _POINT, x + _POINT, y + _POINT) for x, y in points]
    crowd = [sum(math.dist(one, other) < _RADII[-1] for other in points) for one in points]
    order = sorted(
        range(len(points)), key=lambda at: (at not in first, -crowd[at], -points[at][1], at)
    )
    found: dict[int, Spot] = {}
    for at in order:
        spots = list(_spots(points[at], sizes[at]))
        free = [
            spot
            for spot in spots
            if spot.box.inside(page) and not any(spot.box.overlaps(box) for box in taken)
        ]
        clear = (
            spot
            for spot in free
            if not any(step.overlaps(box) for step in _leader(points[at], spot) for box in taken)
        )
        found[at] = next(clear, (free or spots)[0])
        taken += [found[at].box, *_leader(points[at], found[at])]
    return [found[at] for at in range(len(points))]


def _leader(point: tuple[float, float], spot: Spot) -> list[Box]:
    """The line from a point to its name as a row of small boxes; none for a near name."""
    if spot.distance < _LEADER:
        return []
    (x, y), box = point, spot.box
    end = ((box.left + box.right) / 2, (box.bottom + box.top) / 2)
    whole = math.dist(point, end)
    boxes = []
    for number in range(math.ceil((_POINT + 1.5) / _STEP), int(whole / _STEP)):
        share = number * _STEP / whole
        at_x, at_y = x + share * (end[0] - x), y + share * (end[1] - y)
        if box.left < at_x < box.right and box.bottom < at_y < box.top:
            break
        boxes.append(Box(at_x - 0.7, at_y - 0.7, at_x + 0.7, at_y + 0.7))
    return boxes


def _spots(point: tuple[float, float], size: tuple[float, float]) -> Iterator[Spot]:
    """Boxes around a point, the near ones first, those at its right before others."""
    (x, y), (width, height) = point, size
    for radius in _RADII:
        for angle in (0, 45, -45, 180, 135, -135, 90, -90, 22, -22, 158, -158, 68, -68, 112, -112):
            dx, dy = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            # the box touches the circle with the side or corner that faces the point
            left = x + radius * dx - width * (1 - _share(dx))
            bottom = y + radius * dy - height * (1 - _share(dy))
            box = Box(left - _GAP, bottom - _GAP, left + width + _GAP, bottom + height + _GAP)
            yield Spot(box, radius)


def _share(direction: float) -> float:
    """How much of a box lies beyond the point where it is met: all, half, or nothing."""
    return min(max(0.5 + direction * 0.75, 0.0), 1.0)


class Labels:
    """The names of the points of one pair of axes."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        self._names: list[tuple[float, float, str, str]] = []
        self._first: set[int] = set()

    def add(self, x: float, y: float, name: str, colour: str, *, first: bool = False) -> None:
        """Remember a point, in the units of the axes; the ``first`` get the best places."""
        if first:
            self._first.add(len(self._names))
        self._names.append((x, y, name, colour))

    def place(self) -> None:
        """Write all names; the limits of the axes are fixed from now on."""
        from matplotlib.figure import Figure

        figure = self.axes.get_figure(root=True)
        if not isinstance(figure, Figure) or not self._names:
            return
        figure.draw_without_rendering()  # places the axes, which the names go by
        scale = 72.0 / figure.dpi
        shapes = [self._size(name) for _, _, name, _ in self._names]
        corners = self.axes.get_window_extent()
        page = Box(*(side * scale for side in corners.extents))
        points = [
            tuple(value * scale for value in self.axes.transData.transform((x, y)))
            for x, y, _, _ in self._names
        ]
        spots = place_labels([(x, y) for x, y in points], shapes, page, self._first)
        for (x, y, name, colour), point, spot in zip(self._names, points, spots, strict=True):
            self._write((x, y), point, name, colour, spot)

    def _size(self, name: str) -> tuple[float, float]:
        """Width and height of a name in points."""
        text = self.axes.text(0, 0, name, size=SIZE, parse_math=False)
        box = text.get_window_extent()
        text.remove()
        figure = self.axes.get_figure(root=True)
        scale = 72.0 / (figure.dpi if figure is not None else 72.0)
        return box.width * scale, box.height * scale

    def _write(
        self,
        place: tuple[float, float],
        point: Sequence[float],
        name: str,
        colour: str,
        spot: Spot,
    ) -> None:
        line = {"arrowstyle": "-", "color": FAINT, "lw": 0.6, "alpha": 0.7, "shrinkB": 3}
        middle = ((spot.box.left + spot.box.right) / 2, (spot.box.bottom + spot.box.top) / 2)
        note = self.axes.annotate(
            name,
            place,
            xytext=(middle[0] - point[0], middle[1] - point[1]),
            textcoords="offset points",
            ha="center",
            va="center",
            size=SIZE,
            color=colour,
            bbox={"facecolor": PAGE, "edgecolor": "none", "pad": 0.5, "alpha": 0.85},
            arrowprops=line if spot.distance >= _LEADER else None,
            zorder=4,
            annotation_clip=False,
        )
        note.set_parse_math(False)
        note.set_in_layout(False)
