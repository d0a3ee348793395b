"""What a strategy made of some lines, taken apart for comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from textgen.decoding import decode
from textgen.protocols import Beam, Filter, Hypotheses, Session, Strategy
from textgen.testing.laws import shown
from textgen.testing.lines import KINDS, ROWS, Kind, Line, Task
from textgen.testing.toy import TOY_SPECIAL, ToyModel
from textgen.testing.vocabulary import ToyTokenizer, toy_task_model

TOLERANCE = 1e-4


class Outcome(NamedTuple):
    """One hypothesis.

    Attributes:
        tokens: as generated.
        log_probs: of each token.
        score: by which it is ranked.
        finished: whether it ended by eos or a stop.
        attention: (T, S) over the tokens of the source, or None.
    """

    tokens: list[int]
    log_probs: Tensor
    score: float
    finished: bool
    attention: Tensor | None

    def same(self, other: Outcome) -> bool:
        """Whether it is the same within rounding."""
        if (self.tokens, self.finished) != (other.tokens, other.finished):
            return False
        pairs = [(self.log_probs, other.log_probs), (self.attention, other.attention)]
        close = all(_close(one, two) for one, two in pairs)
        return close and abs(self.score - other.score) < TOLERANCE

    def __str__(self) -> str:
        total = float(self.log_probs.sum())
        ended = "finished" if self.finished else "cut"
        return f"{self.tokens} (score {self.score:.4f}, log-probability {total:.4f}, {ended})"


def _close(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=TOLERANCE)


def outcomes(found: Hypotheses, source: int, positions: int) -> list[Outcome]:
    """The live hypotheses of one source.

    Args:
        found: of all sources.
        source: which of them.
        positions: its length, as the attention has it.
    """
    made = []
    for row in range(found.tokens.shape[1]):
        length = int(found.lengths[source, row])
        if float(found.scores[source, row]) > -torch.inf:
            seen = found.attention
            made.append(
                Outcome(
                    found.tokens[source, row, :length].tolist(),
                    found.token_log_probs[source, row, :length],
                    float(found.scores[source, row]),
                    bool(found.finished[source, row]),
                    None if seen is None else seen[source, row, :length, :positions],
                )
            )
    return made


def unlike(one: Sequence[Outcome], other: Sequence[Outcome]) -> str:
    """The first hypothesis in which two lists differ, or nothing."""
    for number, (left, right) in enumerate(zip(one, other, strict=False)):
        if not left.same(right):
            return f"hypothesis {number}:\n{left}\n{right}"
    if len(one) != len(other):
        return f"{len(one)} hypotheses\n{len(other)} hypotheses"
    return ""


@dataclass(frozen=True)
class Looks:
    """The attention of hypotheses against that of a teacher-forced pass."""

    session: Session
    found: Hypotheses

    def wrong(self, task: Task, rows: Sequence[int]) -> str:
        """The first token whose attention is another's."""
        given = self.found.attention
        if given is None:
            return "Attention was asked for and is None."
        expected = (*self.found.tokens.shape, max(task.positions(row) for row in rows))
        if tuple(given.shape) != expected:
            return f"Attention has shape {tuple(given.shape)}, expected (B, K, T, S) = {expected}."
        for source, row in (self.found.scores > -torch.inf).nonzero().tolist():
            length = int(self.found.lengths[source, row])
            wanted = self._forced(source, self.found.tokens[source, row, :length].tolist())
            if not torch.allclose(given[source, row, :length], wanted, rtol=0, atol=TOLERANCE):
                return (
                    f"{task.name(rows[source])}, hypothesis {row}: the weights of its first token "
                    f"are {shown(given[source, row, 0])}, a teacher-forced pass has "
                    f"{shown(wanted[0])}; all its tokens are "
                    f"{self.found.tokens[source, row, :length].tolist()}"
                )
        return ""

    def _forced(self, source: int, tokens: list[int]) -> Tensor:
        """(T, S) weights of the positions that choose each token."""
        start = int(self.session.prefix_lengths[source])
        said = [*self.session.prefix[source, :start].tolist(), *tokens]
        state = self.session.state.keep(torch.tensor([source]))
        _, state = self.session.model.features(torch.tensor([said]), state)
        weights: Tensor = state.attention[0, start - 1 : start - 1 + len(tokens)]
        return weights


@dataclass(frozen=True)
class StrategyCase:
    """A strategy that is held to the laws.

    Attributes:
        strategy: made ready for the toy vocabulary.
        plugin: as it was given.
        kinds: of the models that it works with.
        random: whether it draws lots; None where it is not said.
        refuses: names of laws in whose cases it may raise a UsageError.
        found: by the searches that were made already, by their names.
    """

    strategy: Strategy
    plugin: Strategy
    kinds: Sequence[Kind] = KINDS
    random: bool | None = None
    refuses: frozenset[str] = frozenset()
    found: dict[str, Hypotheses] = field(default_factory=dict)

    def tasks(self, model: ToyModel | None = None, lines: Sequence[Line] = ()) -> Iterator[Task]:
        """Lines for each kind of model.

        Args:
            model: in place of the usual one.
            lines: in place of the usual ones.
        """
        for kind in self.kinds:
            task = Task(kind, model or toy_task_model())
            yield replace(task, lines=tuple(lines)) if lines else task

    def decode(self, session: Session) -> Hypotheses:
        """What the strategy returns, looked at as in every search."""
        return decode(self.strategy, session)

    def usual(self) -> Iterator[tuple[str, Task, tuple[int, ...], Session, Hypotheses]]:
        """Plain searches, the smallest first: name, task, lines, session and what was found."""
        for task in self.tasks():
            for name, rows, samples in (
                ("one line", (0,), 1),
                ("ragged prefixes and limits", ROWS, 1),
                ("3 samples, ragged prefixes and limits", ROWS, 3),
            ):
                session = replace(task.session(rows), samples=samples)
                key = f"{task.kind}, {name}"
                if key not in self.found:
                    self.found[key] = self.decode(session)
                yield key, task, rows, session, self.found[key]


def bare(limits: Sequence[int]) -> list[Line]:
    """Lines without a prefix."""
    sources = ("a", "bca", "cd", "dab")
    return [Line(sources[row % len(sources)], "", limit) for row, limit in enumerate(limits)]


def talkative_model() -> ToyModel:
    """A toy model that never ends by itself."""
    model = toy_task_model()
    model.logits[..., TOY_SPECIAL.eos] = -40.0
    return model


def taciturn_model() -> ToyModel:
    """A toy model that can say nothing but "a" and the end."""
    model = toy_task_model()
    possible = torch.zeros(ToyTokenizer.size, dtype=torch.bool)
    possible[[TOY_SPECIAL.eos, 4]] = True
    model.logits.masked_fill_(~possible, -torch.inf)
    return model


def softened(scores: Tensor, beam: Beam) -> Tensor:
    """A filter that changes every score: a mild temperature."""
    del beam
    return scores / 1.3


def without(token: int) -> Filter:
    """A filter that forbids a token."""

    def forbid(scores: Tensor, beam: Beam) -> Tensor:
        del beam
        return scores.index_fill(-1, torch.tensor([token]), -torch.inf)

    return forbid


def first_wrong(
    usual: Callable[[], Iterator[tuple[str, Task, tuple[int, ...], Session, Hypotheses]]],
    wrong: Callable[[Outcome, int], str],
) -> str:
    """The first live hypothesis of the usual searches that is wrong.

    Args:
        usual: the searches.
        wrong: a hypothesis and its source's limit to what is wrong with it, or nothing.
    """
    for name, task, rows, session, found in usual():
        for place, row in enumerate(rows):
            for number, each in enumerate(outcomes(found, place, task.positions(row))):
                said = wrong(each, int(session.limit[place]))
                if said:
                    return f"{name}, {task.name(row)}, hypothesis {number}: {said}\n{each}"
    return ""
