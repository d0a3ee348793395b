"""Stochastic beam search: samples without replacement."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from textgen.decoding import FinishedHypotheses, reorder, search
from textgen.protocols import Beam, Hypotheses, Pick, Session

_STREAM = 2


@dataclass(frozen=True)
class StochasticBeam:
    """K different outputs, drawn from the model without replacement by one beam search.

    Each output y has the perturbed log-probability G_y = log P(y) + Gumbel noise, and the K
    largest win: the first is an ordinary sample, the second one from what is left, and so on. They
    are found without looking at all outputs: a hypothesis with the largest G of all outputs that
    it begins gives each token v the value g_v = log P + s_v + noise, and of these the largest,
    Z = max g_v, is moved to G: G_v = −log(e^−G − e^−Z + e^−g_v). The K largest G_v go on; what has
    ended keeps its G and its place. The filters decide what P is drawn from: temperature makes the
    outputs more or less alike. The scores that hypotheses are ranked by are their G (0 where the
    limit leaves no room to speak); their log-probabilities are the model's own.
    Kool, van Hoof & Welling 2019, "Stochastic beams and where to find them: the Gumbel-top-k trick
    for sampling sequences without replacement".

    Example: --decode stochastic-beam:width=5 --filter temperature:0.8
    """

    width: Annotated[int | None, Ge(1), "different outputs K; none: as many as samples"] = None

    @property
    def n_best(self) -> int | None:
        """Outputs returned; None: as many as samples."""
        return self.width

    def __call__(self, session: Session) -> Hypotheses:
        """Decode; (B, K) hypotheses; fewer are alive where there is less to say."""
        running = _Running(session, self.width or session.samples)
        rest = search(session, running.pick, done=running.done)
        return running.pool.result() or rest


class _Running:
    """One stochastic beam search.

    Attributes:
        perturbed: (B, K) float64, G of each row.
        log_probs: (B, K) float64, log P of each row after the filters.
    """

    def __init__(self, session: Session, width: int) -> None:
        self.width, self.pool = width, FinishedHypotheses(session, width)
        self.perturbed = torch.zeros_like(session.limit, dtype=torch.float64).unsqueeze(1)
        self.log_probs = self.perturbed
        self.sources = torch.arange(len(session.limit), device=session.limit.device)
        self.over = torch.zeros_like(session.limit, dtype=torch.bool)

    def pick(self, log_probs: Tensor, beam: Beam) -> Pick:
        """The K continuations with the largest G; spare rows get bos, which is forbidden: dead."""
        size = log_probs.shape[2]
        here = replace(beam, parents=None)  # the values are those of the rows as they are now
        before = reorder(self.perturbed, self.sources, here)
        total = reorder(self.log_probs, self.sources, here).unsqueeze(2)
        total = total + torch.log_softmax(log_probs, -1, dtype=torch.float64)  # (B, K, V)
        # by its number among those that can be: what cannot be depends on the batch's shortlist
        number = (log_probs != -torch.inf).cumsum(2).sub_(1).clamp_(min=0)
        uniform = beam.random.uniform(beam, size, _STREAM).gather(2, number)
        noisy = total - (-uniform.log()).log()
        if beam.step == 0:  # nothing is known yet of the largest, but where nothing can be said
            before = noisy.amax(2).masked_fill(beam.finished, 0.0)
        perturbed = conditioned(noisy, before)
        best, index = perturbed.flatten(1).topk(min(self.width, perturbed[0].numel()), 1)
        parents = index.div(size, rounding_mode="floor")
        self.perturbed, self.sources = best, beam.sources
        self.log_probs = total.flatten(1).gather(1, index)
        return Pick(parents, (index - parents * size).where(best != -torch.inf, beam.special.bos))

    def done(self, beam: Beam) -> Tensor:
        """(B,) bool: sources of which all rows have ended; their hypotheses are put aside once."""
        over = beam.finished.all(1)
        fresh = over & ~self.over[beam.sources]
        self.over[beam.sources] = over
        ended = replace(beam, finished=beam.finished & fresh.unsqueeze(1))
        self.pool.add(ended, lambda _: self.perturbed.float())
        return over


def conditioned(noisy: Tensor, largest: Tensor) -> Tensor:
    """Gumbel variables moved so that the largest of each row is a given number.

    G_v = −log(e^−G − e^−Z + e^−g_v), as G − max(0, d) − log(1 + e^−|d|) with
    d = G − g_v + log(1 − e^(g_v − Z)): appendix B.3 of Kool et al.

    Args:
        noisy: (B, K, V) g; −inf for what cannot be.
        largest: (B, K) G; −inf for a dead row.

    Returns:
        (B, K, V), −inf for what cannot be.
    """
    top = noisy.amax(-1, keepdim=True)
    aim = largest.unsqueeze(2)
    never = (noisy == -torch.inf) | (aim == -torch.inf)
    below = (noisy - top).masked_fill(never, -torch.inf)
    apart = aim - noisy + torch.log(-torch.expm1(below))
    moved = aim - apart.clamp(min=0) - torch.log1p(torch.exp(-apart.abs()))
    return moved.masked_fill(never, -torch.inf)
