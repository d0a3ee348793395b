"""What of an output is certain while its beam search is still running."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from textgen.decoding.finished import FinishedHypotheses
from textgen.decoding.search import Done
from textgen.protocols import Beam, Session


def with_stable_prefix(
    done: Done, session: Session, pool: FinishedHypotheses, bound: Callable[[Beam], Tensor]
) -> Done:
    """A search's ``done`` that also tells the session's ``on_stable_prefix`` after each step.

    Certain is the common beginning of the best finished hypothesis and of all running rows that can
    still overtake it.

    Args:
        done: takes what has finished into the pool.
        session: what is decoded; where it has no ``on_stable_prefix`` this is ``done`` itself.
        pool: of the search.
        bound: the beam to the best scores (B, K) that its rows can reach when they go on.
    """
    tell = session.on_stable_prefix
    if tell is None or session.samples != 1:
        return done

    def told(beam: Beam) -> Tensor:
        leaving = done(beam)
        tokens, lengths = certain(beam, pool, bound(beam))
        tell(beam.sources, tokens, lengths)
        return leaving

    return told


def certain(beam: Beam, pool: FinishedHypotheses, bound: Tensor) -> tuple[Tensor, Tensor]:
    """The common beginning of all hypotheses that may become a source's best.

    Args:
        beam: after a step, what has finished being in the pool.
        pool: of the search.
        bound: (B', K) float32, the best scores that rows which go on can reach.

    Returns:
        (B', T) int64 tokens, and (B',) int64 how many of them are certain.
    """
    steps = beam.step
    finished, scores = pool.best(beam.sources, steps)  # (B', T), (B',)
    running = ~beam.finished & (beam.scores > -torch.inf)
    can_win = running & (bound >= scores.unsqueeze(1))  # (B', K)
    any_runs = can_win.any(1)
    first = can_win.byte().argmax(1)
    rows = torch.arange(len(first), device=first.device)
    lead = torch.where(any_runs.unsqueeze(1), beam.tokens[rows, first], finished)
    same = ((beam.tokens == lead.unsqueeze(1)) | ~can_win.unsqueeze(2)).all(1)
    same &= (finished == lead) | (scores == -torch.inf).unsqueeze(1)
    same &= lead != beam.special.pad  # after the end, or nothing is left to speak of
    return lead, same.long().cumprod(1).sum(1)
