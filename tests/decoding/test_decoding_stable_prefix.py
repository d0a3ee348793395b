"""What a search says is certain while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from checks import some
from fakes import SPECIAL, random_model
from textgen.decoding import decode, make_session
from textgen.protocols import Batch, Session
from textgen_decoders.beam import BeamSearch
from textgen_decoders.greedy import Greedy
from textgen_decoders.sample import Sample

LIMITS = [25, 3, 14, 0, 9]


@dataclass
class Told:
    """Keeps what it is told, and sees that nothing is taken back."""

    known: dict[int, list[int]] = field(default_factory=dict)
    calls: int = 0
    early: int = 0

    def __call__(self, sources: Tensor, tokens: Tensor, lengths: Tensor) -> None:
        self.calls += 1
        for source, row, length in zip(
            sources.tolist(), tokens.tolist(), lengths.tolist(), strict=True
        ):
            before = self.known.get(source, [])
            assert len(row) >= length >= len(before)
            assert row[: len(before)] == before
            self.known[source] = row[:length]
            self.early += 0 < length < len(row)


def session_of(seed: int, told: Told | None, spread: float = 2.5, **options: Any) -> Session:
    sources = torch.tensor([[row % 3, 4, 5] for row in range(len(LIMITS))])
    lengths = torch.tensor([1 + row % 3 for row in range(len(LIMITS))])
    return make_session(
        random_model(vocabulary=7, seed=seed, spread=spread),
        Batch(len(LIMITS), sources, lengths),
        [[1, 4]] * len(LIMITS),
        special=SPECIAL,
        limits=LIMITS,
        seed=seed,
        on_stable_prefix=told,
        **options,
    )


BEAMS = [
    BeamSearch(width=1),
    BeamSearch(width=3, length="none"),
    BeamSearch(width=4),
    BeamSearch(width=4, length="gnmt", alpha=2.0),
    BeamSearch(width=5, coverage=0.4),
    BeamSearch(width=3, stop="first"),
    BeamSearch(width=3, stop="patience", patience=2.0),
]


@pytest.mark.parametrize("strategy", [Greedy(), Sample(), *BEAMS])
def test_what_is_told_is_what_the_best_begins_with(strategy: Any) -> None:
    early = 0
    for seed in range(10):
        told = Told()
        found = decode(strategy, session_of(seed, told, spread=1.0 + seed % 4))
        plain = decode(strategy, session_of(seed, None, spread=1.0 + seed % 4))
        assert torch.equal(found.tokens, plain.tokens)
        assert torch.equal(found.scores, plain.scores)
        for source, tokens in told.known.items():
            final = found.tokens[source, 0, : found.lengths[source, 0]].tolist()
            assert final[: len(tokens)] == tokens
        early += told.early
    if isinstance(strategy, BeamSearch) and strategy.width > 1:
        assert early > 40  # it does not wait for the end


@pytest.mark.parametrize("strategy", [Greedy(), Sample()])
def test_one_row_is_told_token_by_token(strategy: Any) -> None:
    told = Told()
    found = decode(strategy, session_of(3, told))
    assert told.known.keys() == {0, 1, 2, 3, 4}
    for source, tokens in told.known.items():
        assert tokens == found.tokens[source, 0, : found.lengths[source, 0]].tolist()


@pytest.mark.parametrize("strategy", [Sample(), BeamSearch(width=3)])
def test_nothing_is_told_of_several_samples(strategy: Any) -> None:
    told = Told()
    decode(strategy, session_of(3, told, samples=2))
    decode(BeamSearch(width=3, n_best=2), session_of(3, told))
    assert told.calls == 0


def test_a_stop_settles_what_is_stopped() -> None:
    def stop(beam: Any) -> Tensor:
        result: Tensor = beam.tokens[:, :, -1] == 5
        return result

    for seed in range(8):
        told = Told()
        found = decode(BeamSearch(width=3), session_of(seed, told, watch=stop))
        for source, tokens in some(told.known.items()):
            final = found.tokens[source, 0, : found.lengths[source, 0]].tolist()
            assert final[: len(tokens)] == tokens
