"""The finished hypotheses of a search that goes on after some have finished."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from textgen.decoding.hypotheses import best_first, fit
from textgen.decoding.validation import worth
from textgen.protocols import Beam, Hypotheses, Session

_SCORES = 2


class FinishedHypotheses:
    """The best finished hypotheses of every source of a session.

    Args:
        session: whose sources.
        size: hypotheses M kept for each source.

    Attributes:
        counts: (B,) int64, hypotheses that have finished so far, kept or not.
    """

    def __init__(self, session: Session, size: int) -> None:
        self.special, self.size = session.special, size
        self.counts = torch.zeros_like(session.limit)
        self._fills = (self.special.pad, 0, -torch.inf, -torch.inf, 0.0, False, 0.0)
        self._fields: list[Tensor] = []  # in the order of Hypotheses, each (B, M, …)

    @property
    def empty(self) -> bool:
        """Whether nothing has been taken in yet, for any source."""
        return not self._fields

    def add(self, beam: Beam, rank: Callable[[Beam], Tensor]) -> bool:
        """Take in the beam's finished rows.

        Call it once for each step: a row that goes on as finished would be taken in again.

        Args:
            beam: after a step, or before the first one.
            rank: the beam to the scores (B, K) float32 by which its rows are ranked.

        Returns:
            Whether there are finished rows, dead ones among them.
        """
        if not worth(beam.finished):
            return False
        fresh = beam.finished & (beam.scores > -torch.inf)
        if worth(fresh):
            self._take_in(beam, fresh, rank)
        return True

    def _take_in(self, beam: Beam, fresh: Tensor, rank: Callable[[Beam], Tensor]) -> None:
        """Rows (B, K) that have just ended."""
        self.counts.index_add_(0, beam.sources, fresh.sum(1))
        scores = rank(beam).masked_fill(~fresh, -torch.inf)
        if self._fields and not worth(scores > self.worst(beam.sources).unsqueeze(1)):
            return
        new = [
            beam.tokens,
            beam.lengths,
            scores,
            beam.scores,
            beam.log_probs,
            _ended(beam),
            *([] if beam.attention is None else [beam.attention]),
        ]
        known = self._fields or [
            field.new_empty((len(self.counts), 0, *field.shape[2:])) for field in new
        ]
        everybody = [
            fit(old, (self.size, *field.shape[2:]), fill)
            for old, field, fill in zip(known, new, self._fills, strict=False)
        ]
        all_here = len(beam.sources) == len(self.counts)
        old = everybody if all_here else [field[beam.sources] for field in everybody]
        both = [torch.cat(pair, 1) for pair in zip(old, new, strict=True)]
        # of equal ones the first, so that rows of neighbours and dead rows decide nothing
        order = both[_SCORES].argsort(dim=1, descending=True, stable=True)[:, : self.size]
        rows = torch.arange(len(order), device=order.device).unsqueeze(1)
        best = [field[rows, order] for field in both]
        if not all_here:
            pairs = zip(everybody, best, strict=True)
            best = [field.index_copy(0, beam.sources, values) for field, values in pairs]
        self._fields = best

    def worst(self, sources: Tensor, place: int | None = None) -> Tensor:
        """(B',) float32, the score of sources (B',) at a place, 1 … M, by default M.

        It is −inf where fewer have finished.
        """
        if not self._fields:
            return torch.full(sources.shape, -torch.inf, device=sources.device)
        return self._fields[_SCORES].select(1, (place or self.size) - 1).index_select(0, sources)

    def best(self, sources: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """The best hypothesis of sources (B',) so far.

        Args:
            sources: their numbers.
            steps: T, at least as many as any hypothesis has.

        Returns:
            (B', T) int64 tokens, pad after the end, and (B',) float32 scores, −inf where none has
            finished.
        """
        if not self._fields:
            tokens = torch.full((len(sources), steps), self.special.pad, device=sources.device)
            return tokens, torch.full(sources.shape, -torch.inf, device=sources.device)
        tokens, scores = self._fields[0][:, 0][sources], self._fields[_SCORES][:, 0][sources]
        return fit(tokens, (steps,), self.special.pad), scores

    def result(self) -> Hypotheses | None:
        """The hypotheses, best first, M for each source; None if none ever finished."""
        if not self._fields:
            return None
        tokens, lengths, scores, log_probs, token_log_probs, finished, *rest = self._fields
        return best_first(
            Hypotheses(tokens, lengths, scores, log_probs, token_log_probs, finished, *rest),
            self.special.pad,
        )


def _ended(beam: Beam) -> Tensor:
    """(B, K) bool: rows that end with eos, or before their limit."""
    early = beam.lengths < beam.limit.unsqueeze(1)
    if not beam.step:
        return early
    last = beam.tokens.gather(2, (beam.lengths - 1).clamp(min=0).unsqueeze(2)).squeeze(2)
    return early | (last == beam.special.eos)
