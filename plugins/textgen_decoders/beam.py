"""Beam search."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from textgen.decoding import (
    Done,
    FinishedHypotheses,
    continuations,
    search,
    with_stable_prefix,
    worth,
)
from textgen.errors import UsageError
from textgen.protocols import Beam, Hypotheses, Pick, Session

# the options of all searches that are beams
Width = Annotated[int, Ge(1), "hypotheses K that go on at every step"]
Length = Annotated[Literal["none", "average", "gnmt"], "how length is made up for"]
Alpha = Annotated[float, Ge(0), "strength α of the length penalty"]
Coverage = Annotated[float, Ge(0), "strength β of the coverage penalty; needs attention"]
NBest = Annotated[int | None, Ge(1), "hypotheses returned; none: as many as samples"]
Stop = Annotated[
    Literal["provable", "patience", "first"],
    "when a source is done: nothing better can come; patience × width or n_best have finished",
]
Patience = Annotated[float, Gt(0), "for stop=patience (Kasai et al. 2022)"]


@dataclass(frozen=True)
class BeamSearch:
    """The best K partial hypotheses at every step; what has ended is kept aside.

    Of the 2K best continuations the first K that do not end go on; those that end and are among
    the first K are finished. Ranked by log P(Y | X) / penalty + β · Σ_i log min(Σ_j α_ij, 1) with
    penalty 1 (none), |Y|^α (average) or ((5 + |Y|) / 6)^α (gnmt); |Y| counts eos, the last sum
    runs over source positions i and their attention α_ij from target positions j.
    A source is done when no running hypothesis can overtake the n-th best finished one: at best it
    reaches log P / penalty(limit) (Huang, Zhao & Ma 2017, "When to finish?"). A beam of width 1
    is greedy search.
    Penalties: Wu et al. 2016, "Google's neural machine translation system".

    Example: --decode beam:width=5,length=gnmt,alpha=0.6
    """

    width: Width = 5
    length: Length = "average"
    alpha: Alpha = 1.0
    coverage: Coverage = 0.0
    n_best: NBest = None
    stop: Stop = "provable"
    patience: Patience = 1.0

    def __call__(self, session: Session) -> Hypotheses:
        """Decode; (B, n_best) hypotheses."""
        wanted = session if self.coverage == 0 else replace(session, attention=True)
        running = self.running(wanted)
        done: Done = running.done
        if running.n_best == 1:
            done = with_stable_prefix(done, session, running.pool, running.bound)
        rest = search(wanted, running.pick, carry=self.width, done=done)
        found = running.pool.result() or rest
        return found if session.attention else replace(found, attention=None)

    def running(self, session: Session) -> RunningBeam:
        """What picks and keeps the hypotheses of one search."""
        return RunningBeam(self, session)

    def penalty(self, lengths: Tensor) -> Tensor:
        """What log-probabilities are divided by, for lengths |Y| of any shape."""
        if self.length == "none" or self.alpha == 0:
            return torch.ones_like(lengths, dtype=torch.float32)
        if self.length == "average":
            return lengths.clamp(min=1).float() ** self.alpha
        return ((5.0 + lengths) / 6.0) ** self.alpha

    def rank(self, beam: Beam) -> Tensor:
        """Scores (B, K) by which hypotheses are ranked."""
        scores = beam.scores / self.penalty(beam.lengths)
        if self.coverage == 0:
            return scores
        if beam.attention is None:
            raise UsageError("The coverage penalty needs a model with attention.")
        seen = beam.attention.masked_fill((beam.tokens == beam.special.pad).unsqueeze(3), 0.0).sum(
            2
        )
        # (B, K, S); positions that nothing ever looks at are the source's padding
        logs = torch.where(seen > 0, seen.clamp(1e-9, 1.0).log(), 0.0)
        return scores + self.coverage * logs.sum(2)


class RunningBeam:
    """One beam search: the pick, the pool of what has finished, and which sources are over.

    Args:
        options: of the search.
        session: what is decoded.
        kept: finished hypotheses that the pool keeps, where they are to be more than n_best.
    """

    def __init__(self, options: BeamSearch, session: Session, kept: int = 0) -> None:
        self.options = options
        self.n_best = session.samples if options.n_best is None else options.n_best
        self.pool = FinishedHypotheses(session, max(self.n_best, kept))
        greedy = options.width == 1 and self.n_best == 1
        self.stop = "first" if greedy else options.stop
        self.over = torch.zeros_like(session.limit, dtype=torch.bool)
        self.some_over = False
        self.some_ended = True  # as far as is known
        self.ceilings = options.penalty(session.limit)  # (B,) of all sources
        self.ceiling = self.ceilings.unsqueeze(1)  # (B', 1) of those that are still there

    def pick(self, log_probs: Tensor, beam: Beam) -> Pick:
        """Rows that go on, then rows that end."""
        return Pick(*continuations(log_probs, self.live(beam), self.options.width, beam.special))

    def sums(self, beam: Beam) -> Tensor:
        """(B, K) ≤ 0, what rows are worth before any penalty; it never grows with a token."""
        return beam.scores

    def rank(self, beam: Beam) -> Tensor:
        """(B, K) scores by which finished rows are ranked."""
        sums = self.sums(beam)
        return self.options.rank(beam if sums is beam.scores else replace(beam, scores=sums))

    def live(self, beam: Beam) -> Tensor:
        """(B, K) scores of what goes on, −inf for the rest; to be asked once at each step.

        A source that is over may stay in the batch for a while: it finds nothing more there, or
        its neighbours would change what it says.
        """
        if beam.step == 0:
            self.pool.add(beam, self.rank)  # sources whose limit is 0
        if not self.some_ended and not self.some_over:
            return self.sums(beam)
        ended = beam.finished
        if self.some_over:
            ended = ended | self.over[beam.sources].unsqueeze(1)
        return self.sums(beam).masked_fill(ended, -torch.inf)

    def bound(self, beam: Beam) -> Tensor:
        """(B, K) the best score that rows which go on can reach."""
        return self.sums(beam) / self._ceiling(beam)

    def _ceiling(self, beam: Beam) -> Tensor:
        """(B', 1) the penalty at each source's limit."""
        if len(self.ceiling) != len(beam.sources):
            self.ceiling = self.ceilings[beam.sources].unsqueeze(1)
        return self.ceiling

    def done(self, beam: Beam) -> Tensor:
        """(B,) bool: sources whose result is settled."""
        self.some_ended = self.pool.add(beam, self.rank)
        if not self.some_ended and self.pool.empty:
            return torch.zeros_like(beam.sources, dtype=torch.bool)
        running = self.sums(beam).masked_fill(beam.finished, -torch.inf)
        if self.stop == "provable" and not self.pool.empty:
            worst = self.pool.worst(beam.sources, self.n_best).unsqueeze(1)
            over = (worst >= running / self._ceiling(beam)).all(1)
        else:
            over = (running == -torch.inf).all(1)
        if self.stop != "provable":
            patient = self.options.patience * self.options.width
            enough = self.n_best if self.stop == "first" else patient
            over = over | (self.pool.counts[beam.sources] >= enough)
        if self.some_over or worth(over):
            self.some_over = True
            self.over[beam.sources] = over
        return over
