"""A filter in searches: what the laws look at."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from textgen.protocols import Filter, Random, Session
from textgen.testing.harness import MANNERS, Call, Script, play
from textgen.testing.laws import shown
from textgen.testing.lines import ROWS, Kind, Line, Task

WIDTH = 3
_SOLO = Task("language-model", lines=(Line("bca", "", 1), Line("bca", "", 5)))

Rows: TypeAlias = "dict[tuple[int, int, int], tuple[tuple[int, ...], Tensor]]"
"""(step, line, row) of a live row to the tokens it has generated and its scores (V,)."""


@dataclass(frozen=True)
class FilterCase:
    """A filter that is held to the laws.

    Attributes:
        one: the filter, made ready for the toy vocabulary.
        kinds: of the models that it is used with.
        may_revive: whether it may allow what was forbidden.
        calls: of the searches that were made already, by their names.
    """

    one: Filter
    kinds: Sequence[Kind]
    may_revive: bool = False
    calls: dict[str, list[Call]] = field(default_factory=dict)

    @property
    def task(self) -> Task:
        """All lines, for the kind of model that shows a filter the most."""
        return Task(self.kinds[-1])

    def situations(self) -> Iterator[tuple[str, list[Call]]]:
        """Searches from the smallest on, each with its name and the calls that it made."""
        for kind, (manner, before) in itertools.product(self.kinds, MANNERS.items()):
            solo, everybody = replace(_SOLO, kind=kind), Task(kind)
            searches = (
                ("the first step, no prefix", solo, (0,), 1),
                ("later steps, no prefix", solo, (1,), 1),
                ("ragged prefixes and limits, rows that move and end", everybody, ROWS, WIDTH),
            )
            for name, task, rows, width in searches if kind == self.kinds[0] else searches[2:]:
                full = f"{kind}, {name}, {manner}"
                if full not in self.calls:
                    session = _session(task, rows)
                    self.calls[full] = play(self.one, session, before, Script(rows, width))
                yield full, self.calls[full]

    def run(
        self,
        rows: Sequence[int],
        script: Script,
        *,
        random: Random | None = None,
        padding: int = 0,
    ) -> Rows:
        """What the filter gives live rows in one search.

        Args:
            rows: which of the lines.
            script: how rows go on.
            random: the session's random numbers; its own if left out.
            padding: columns of pad after the longest prefix.
        """
        session = _session(self.task, rows)
        session = replace(
            session,
            random=random or session.random,
            prefix=F.pad(session.prefix, (0, padding), value=session.special.pad),
        )
        found: Rows = {}
        for call in play(self.one, session, MANNERS["scores of which some are forbidden"], script):
            for source, row in call.live().nonzero().tolist():
                line = rows[int(call.beam.sources[source])]
                scores = call.result[source, row] if isinstance(call.result, Tensor) else None
                if scores is not None:
                    found[call.beam.step, line, row] = (call.history(source, row), scores)
        return found


def _session(task: Task, rows: Sequence[int]) -> Session:
    return replace(task.session(rows), attention=task.kind == "translator")


def difference(task: Task, left: Rows, right: Rows, how: tuple[str, str]) -> str:
    """The first step at which a row gets other scores in another search."""
    for place in sorted(left.keys() & right.keys()):
        (history, one), (other_history, other) = left[place], right[place]
        if history == other_history and not alike(one, other):
            step, line, _ = place
            return (
                f"{task.name(line)}, step {step}, after the tokens "
                f"{list(history)}:\n{how[0]}  {shown(one)}\n{how[1]}  {shown(other)}"
            )
    if left.keys() != right.keys():
        return f"{how[0]} other rows go on than {how[1]}."
    return ""


def alike(one: Tensor, other: Tensor) -> bool:
    """Whether scores (V,) are the same within rounding."""
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-5, atol=1e-5)
