"""Sources of several kinds in one job, and what a strategy says of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from fakes import SPECIAL, FakeModel
from textgen.decoding import make_session
from textgen.protocols import Batch, Hypotheses, Session

LIMITS = (6, 0, 9, 1, 4, 7)
PREFIXES = ((), (4,), (5, 4, 3), (4, 5), (), (3,))
TEXTS = ("ab", "ba a", "b", "aab", "a b", "bb")


@dataclass(frozen=True)
class Jobs:
    """Sources of three languages, each with its own prefix and limit."""

    model: FakeModel

    def session(self, rows: Sequence[int], seed: int = 5, **options: object) -> Session:
        source = torch.tensor([[row % 3, 4, 5] for row in rows]).reshape(-1, 3)
        lengths = torch.tensor([1 + row % 3 for row in rows], dtype=torch.int64)
        return make_session(
            self.model,
            Batch(len(rows), source, lengths),
            [PREFIXES[row] for row in rows],
            special=SPECIAL,
            limits=[LIMITS[row] for row in rows],
            indices=list(rows),
            seed=seed,
            texts=[TEXTS[row] for row in rows],
            **options,  # type: ignore[arg-type]
        )


def told(found: Hypotheses, row: int) -> list[tuple[list[int], float, float, bool]]:
    """The hypotheses of one source that are some: tokens, score, log-probability, finished."""
    return [
        (
            found.tokens[row, k, : found.lengths[row, k]].tolist(),
            round(float(found.scores[row, k]), 3),
            round(float(found.log_probs[row, k]), 3),
            bool(found.finished[row, k]),
        )
        for k in range(found.tokens.shape[1])
        if found.scores[row, k] > float("-inf")
    ]


def all_differ(found: Hypotheses) -> bool:
    """Whether no source has two hypotheses of the same tokens."""
    rows = [[tuple(each[0]) for each in told(found, row)] for row in range(len(found.tokens))]
    return all(len(set(row)) == len(row) for row in rows)
