"""Ancestral sampling."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from textgen.decoding import draw, search
from textgen.protocols import Beam, Hypotheses, Pick, Session


@dataclass(frozen=True)
class Sample:
    """A random token at every step: y_t ~ softmax(filtered scores).

    The filters decide what it is drawn from; without any it is the model's own distribution.
    Each source has random numbers of its own, from the seed and its number, so that neither the
    batch nor its order changes what is drawn. By inversion: the first token at which the
    cumulated probability exceeds a uniform number (Devroye 1986, "Non-Uniform Random Variate
    Generation", section II.2.1).

    Example: --decode sample --filter temperature:0.8 --filter top-k:40
    """

    def __call__(self, session: Session) -> Hypotheses:
        """Decode; (B, samples) hypotheses, the likeliest first."""
        return search(session, pick, width=session.samples)


def pick(log_probs: Tensor, beam: Beam) -> Pick:
    """Each row goes on with a token of its own distribution."""
    return Pick(None, draw(log_probs, beam.random.uniform(beam)))
