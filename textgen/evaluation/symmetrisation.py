"""Two directed alignments made one, as Moses' ``symal`` does it.

Och and Ney 2003; Koehn, Axelrod, Birch Mayne, Callison-Burch, Osborne and Talbot 2005, "Edinburgh
System Description for the 2005 IWSLT Speech Translation Evaluation". Growing adds a neighbouring
link of the union when at least ONE of its two words has no link yet. (Several scripts ask for
both; they give other alignments.)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from textgen.errors import UsageError, nearest
from textgen.translation.links import Link, Links

Method = Literal[
    "intersection", "union", "grow", "grow-diag", "grow-diag-final", "grow-diag-final-and"
]
METHODS: tuple[str, ...] = get_args(Method)

# steps (source, target) in the order in which symal tries them
_BESIDE = ((0, -1), (-1, 0), (0, 1), (1, 0))
_DIAGONAL = ((-1, -1), (1, -1), (-1, 1), (1, 1))


def symmetrise(forward: Links, backward: Links, method: str = "grow-diag-final-and") -> Links:
    """Unite the alignments of two directions.

    Args:
        forward: of the source-to-target model (each target word chose its source words).
        backward: of the target-to-source model, its links already turned round to
            (source, target): see ``reverse``. The order matters only for the ``final`` methods,
            which try the forward links first, as ``symal`` does.
        method: one of ``METHODS``.

    Raises:
        UsageError: for an unknown method.
    """
    if method not in METHODS:
        raise UsageError(f"There is no symmetrisation {method!r}.{nearest(method, METHODS)}")
    if method == "intersection":
        return forward & backward
    if method == "union":
        return forward | backward
    steps = _BESIDE if method == "grow" else _BESIDE + _DIAGONAL
    growing = _Growing(forward & backward)
    growing.grow(forward | backward, steps)
    if method.startswith("grow-diag-final"):
        both = method.endswith("-and")
        growing.finish(forward - backward, both=both)
        growing.finish(backward - forward, both=both)
    return frozenset(growing.links)


class _Growing:
    """Links so far, and the words that they cover."""

    def __init__(self, links: Links) -> None:
        self.links = set(links)
        self.sources = {link.source for link in links}
        self.targets = {link.target for link in links}

    def add(self, link: Link) -> None:
        self.links.add(link)
        self.sources.add(link.source)
        self.targets.add(link.target)

    def grow(self, union: Links, steps: Iterable[tuple[int, int]]) -> None:
        """Add neighbours from the union until none fits.

        A pass visits the links by target word, then source word; links that are added ahead of
        the current one are visited in the same pass.
        """
        order, grown = _by_target(union), True
        while grown:
            grown = False
            for link in order:
                if link not in self.links:
                    continue
                for source, target in steps:
                    near = Link(link.source + source, link.target + target)
                    if near in union and self._one_uncovered(near):
                        self.add(near)
                        grown = True

    def finish(self, links: Links, *, both: bool) -> None:
        """Add links that lie anywhere and whose words (one, or both) have none yet."""
        for link in _by_target(links):
            free = self._both_uncovered(link) if both else self._one_uncovered(link)
            if free:
                self.add(link)

    def _one_uncovered(self, link: Link) -> bool:
        return link.source not in self.sources or link.target not in self.targets

    def _both_uncovered(self, link: Link) -> bool:
        return link.source not in self.sources and link.target not in self.targets


def _by_target(links: Iterable[Link]) -> list[Link]:
    return sorted(links, key=lambda link: (link.target, link.source))
