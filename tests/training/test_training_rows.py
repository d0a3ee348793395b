"""Rows of a batch shared out to ranks: nothing is lost, doubled or disturbed."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from textgen.data.batching import LaneBatches, TrainingBatch
from textgen.data.streams import stream_of
from textgen.protocols import SpecialTokens
from textgen.training.rows import joined_rows, own_rows
from textgen.training.state import Counters, TrainingState, joined_parts

SPECIAL = SpecialTokens(pad=0, bos=1, eos=2, unknown=None)


@st.composite
def batches(draw: st.DrawFn) -> TrainingBatch:
    """Sentences of random lengths, with or without sources and rows that begin anew."""
    lengths = torch.tensor(draw(st.lists(st.integers(1, 6), min_size=1, max_size=9)))
    rows, longest = len(lengths), int(lengths.max())
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    real = torch.arange(longest) < lengths[:, None]
    tokens = torch.randint(1, 50, (2, rows, longest), generator=generator) * real
    source = torch.randint(1, 50, (rows, 4), generator=generator)
    translates = draw(st.booleans())
    fresh = torch.rand(rows, generator=generator) < 0.5
    return TrainingBatch(
        inputs=tokens[0],
        targets=tokens[1],
        lengths=lengths,
        continues=draw(st.booleans()),
        count=int(lengths.sum()),
        fresh=fresh if draw(st.booleans()) else None,
        source=source if translates else None,
        source_lengths=torch.full((rows,), 4) if translates else None,
    )


def fields(batch: TrainingBatch) -> dict[str, Tensor]:
    named = {
        "inputs": batch.inputs,
        "targets": batch.targets,
        "lengths": batch.lengths,
        "fresh": batch.fresh,
        "source": batch.source,
        "source_lengths": batch.source_lengths,
    }
    return {name: tensor for name, tensor in named.items() if tensor is not None}


@given(batches(), st.integers(1, 12))
def test_the_ranks_rows_are_together_the_batch(batch: TrainingBatch, size: int) -> None:
    parts = [own_rows(batch, rank, size) for rank in range(size)]
    assert [part is None for part in parts] == [rank >= len(batch.inputs) for rank in range(size)]
    present = [part for part in parts if part is not None]
    assert sum(part.count for part in present) == batch.count
    assert {part.continues for part in present} == {batch.continues}
    for name, whole in fields(batch).items():
        pieces = [fields(part)[name] for part in present]
        assert joined_rows(pieces).equal(whole)
        assert all(piece.is_contiguous() for piece in pieces)
    for rank, part in enumerate(present):
        assert fields(part).keys() == fields(batch).keys()
        assert part.inputs.equal(batch.inputs[rank::size])
        assert part.count == int((part.targets != 0).sum())


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 5), st.integers(1, 5))
def test_lanes_that_have_ended_are_no_work(length: int, lanes: int, window: int, size: int) -> None:
    """The last window reaches some lanes only; every token stays a target of one rank."""
    stream = stream_of(np.arange(3, 3 + length))
    made = LaneBatches(stream, lanes, window, SPECIAL)
    found: list[int] = []
    for batch in made.iterate(0):
        for rank in range(size):
            part = own_rows(batch, rank, size)
            if part is not None:
                assert part.count > 0
                found += part.targets[part.targets != 0].tolist()
    assert sorted(found) == list(range(3, 3 + length))


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 4))
def test_a_state_moves_to_another_number_of_ranks(rows: int, before: int, after: int) -> None:
    carried = torch.rand(rows, 3)
    generators = [torch.full((4,), rank, dtype=torch.uint8) for rank in range(before)]
    parts: list[dict[str, Tensor]] = [{"random/cpu": state} for state in generators]
    for rank in range(min(rows, before)):
        parts[rank]["carried/0000"] = carried[rank::before]
    weights = {"weights/w": torch.rand(2)}
    state = TrainingState(joined_parts(parts) | weights, Counters(step=3))
    assert state.tensors["carried/0000"].equal(carried)
    for rank in range(after):
        own = state.of_rank(rank, after)
        assert own.counters == state.counters
        assert own.tensors["carried/0000"].equal(carried[rank::after])
        assert own.tensors["weights/w"].equal(weights["weights/w"])
        random = own.part("random")
        assert list(random) == (["cpu"] if rank < before else [])
        assert all(kept.equal(generators[rank]) for kept in random.values())
