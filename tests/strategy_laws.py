"""What holds for every strategy, on a toy model whose probabilities are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fakes import MARKS, FakeModel, random_model
from textgen.decoding import decode, make_session, rescore
from textgen.protocols import Batch, Beam, Hypotheses, Session, Strategy

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
            marks=MARKS,
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


def keeps_the_laws(strategy: Strategy, vocabulary: int = 7, *, random: bool = False) -> None:
    """Batches, rescoring, limits, ends, order, attention, seeds, and everything forbidden."""
    for seed in range(2):
        jobs = Jobs(random_model(vocabulary, seed=seed))
        everybody = list(range(len(LIMITS)))
        session = jobs.session(everybody, samples=2)
        found = decode(strategy, session)
        neighbours(strategy, jobs, found)
        books(session, found)
        again = decode(strategy, jobs.session(everybody, samples=2))
        assert torch.equal(found.tokens, again.tokens)
        if random:
            other = decode(strategy, jobs.session(everybody, seed=6, samples=2))
            assert [told(found, row) for row in everybody] != [
                told(other, row) for row in everybody
            ]
    attention(strategy, Jobs(random_model(vocabulary)))
    nothing_allowed(strategy, Jobs(random_model(vocabulary)))
    empty = decode(strategy, jobs.session([], samples=2))
    assert empty.tokens.shape[0] == 0


def neighbours(strategy: Strategy, jobs: Jobs, found: Hypotheses) -> None:
    for rows in ([4, 2, 5, 0, 3, 1], [2, 0], [1], [4]):
        part = decode(strategy, jobs.session(rows, samples=2))
        for place, row in enumerate(rows):
            assert told(part, place) == told(found, row), (rows, row)


def books(session: Session, found: Hypotheses) -> None:
    alive = found.scores > float("-inf")
    assert alive[:, 0].all()
    again = rescore(session, found)
    torch.testing.assert_close(found.token_log_probs, again, atol=1e-4, rtol=0)
    sums = found.token_log_probs.sum(2)
    torch.testing.assert_close(found.log_probs[alive], sums[alive], atol=1e-4, rtol=0)
    assert (found.scores[:, :-1] >= found.scores[:, 1:]).all()
    assert (found.lengths <= session.limit[:, None]).all()
    ends = (found.tokens == MARKS.eos).sum(2)
    assert (ends <= 1).all()
    assert (found.finished <= (ends == 1)).all()
    for row in range(len(found.tokens)):
        rows = [tuple(tokens) for tokens, *_ in told(found, row)]
        assert len(set(rows)) == len(rows)


def attention(strategy: Strategy, jobs: Jobs) -> None:
    rows = [0, 2, 5]
    assert decode(strategy, jobs.session(rows)).attention is None
    found = decode(strategy, jobs.session(rows, attention=True))
    assert found.attention is not None
    assert found.attention.shape == (*found.tokens.shape, 3)
    real = torch.arange(found.tokens.shape[2]) < found.lengths.unsqueeze(2)
    torch.testing.assert_close(found.attention.sum(3)[real], real[real].float())


def nothing_allowed(strategy: Strategy, jobs: Jobs) -> None:
    def forbid(log_probs: Tensor, beam: Beam) -> Tensor:
        del beam
        return torch.full_like(log_probs, float("-inf"))

    session = replace(jobs.session([0, 1, 2]), filters=(forbid,))
    found = decode(strategy, session)
    assert [told(found, row)[0][0] for row in range(3)] == [[MARKS.eos], [], [MARKS.eos]]
