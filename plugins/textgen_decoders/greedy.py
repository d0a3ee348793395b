"""Greedy decoding."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from textgen.decoding import argmax, search
from textgen.protocols import Beam, Hypotheses, Pick, Session


@dataclass(frozen=True)
class Greedy:
    """The likeliest token at every step: y_t = argmax_v p(v | y_<t, x).

    Of equally likely tokens the one with the smallest number is taken. One hypothesis for each
    source, whatever number of samples is asked for: it has no chance in it.

    Example: --decode greedy
    """

    def __call__(self, session: Session) -> Hypotheses:
        """Decode; (B, 1) hypotheses."""
        return search(session, pick)


def pick(log_probs: Tensor, beam: Beam) -> Pick:
    """Each row goes on with its likeliest token."""
    del beam
    return Pick(None, argmax(log_probs))
