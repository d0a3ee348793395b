import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textgen.data.batching import LaneBatches, SentenceBatches, TrainingBatch, bucket_borders
from textgen.data.sequences import sequences_of
from textgen.data.streams import stream_of
from textgen.errors import DataError
from textgen.protocols import SpecialTokens

SPECIAL = SpecialTokens(0, 1, 2, 3)


def tensors(batch: TrainingBatch) -> list[torch.Tensor | None]:
    return [batch.inputs, batch.targets, batch.lengths]


def equal(first: TrainingBatch, second: TrainingBatch) -> bool:
    if (first.count, first.continues) != (second.count, second.continues):
        return False
    pairs = zip(tensors(first), tensors(second), strict=True)
    return all((a is None) == (b is None) and (a is None or torch.equal(a, b)) for a, b in pairs)


@settings(max_examples=100)
@given(
    length=st.integers(1, 40),
    lanes=st.integers(1, 7),
    window=st.integers(1, 9),
    seed=st.none() | st.integers(0, 5),
    epoch=st.integers(0, 3),
)
def test_lanes_predict_every_token_once(
    length: int, lanes: int, window: int, seed: int | None, epoch: int
) -> None:
    stream = stream_of(np.arange(length) + 4)
    batches = LaneBatches(stream, lanes, window, SPECIAL, seed)
    made = list(batches.iterate(epoch))
    assert len(made) == len(batches)
    targets = torch.cat([batch.targets for batch in made], dim=1)
    inputs = torch.cat([batch.inputs for batch in made], dim=1)
    real = targets != SPECIAL.pad
    assert sorted(targets[real].tolist()) == list(range(4, length + 4))
    assert sum(batch.count for batch in made) == length
    assert (inputs[:, 0] == SPECIAL.bos).all()
    # each input is the target before it, and lanes are contiguous on the ring
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    for row, mask in zip(targets, real, strict=True):
        kept = row[mask]
        assert ((kept[1:] - kept[:-1]) % length == 1 % length).all()
    assert [batch.continues for batch in made] == [False] + [True] * (len(made) - 1)
    assert all(batch.inputs.dtype == batch.targets.dtype == torch.int64 for batch in made)
    assert all(batch.inputs.is_contiguous() and batch.lengths is None for batch in made)


def test_one_lane_without_seed_reads_the_stream_as_it_stands() -> None:
    first, second, third = LaneBatches(stream_of([4, 5, 6, 7, 8]), 1, 2, SPECIAL).iterate(9)
    assert first.inputs.tolist() == [[1, 4]]
    assert first.targets.tolist() == [[4, 5]]
    assert second.inputs.tolist() == [[5, 6]]
    assert third.targets.tolist() == [[8]]


@pytest.mark.parametrize("kind", ["lanes", "sentences"])
def test_any_position_can_be_gone_on_from(kind: str) -> None:
    rng = np.random.default_rng(0)
    if kind == "lanes":
        batches = LaneBatches(stream_of(rng.integers(4, 99, 101)), 3, 5, SPECIAL, seed=1)
    else:
        rows = [rng.integers(4, 99, size).tolist() for size in rng.integers(1, 9, 60)]
        batches = SentenceBatches(sequences_of(rows), 24, SPECIAL, seed=1)
    whole = list(batches.iterate(2))
    for start in (0, 1, len(batches) - 1, len(batches)):
        rest = list(batches.iterate(2, start))
        assert len(rest) == len(whole) - start
        assert all(equal(a, b) for a, b in zip(rest, whole[start:], strict=True))
    other = list(batches.iterate(3))
    assert not all(equal(a, b) for a, b in zip(other, whole, strict=True))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.lists(st.integers(4, 9), max_size=12), min_size=1, max_size=30),
    budget=st.integers(1, 40),
    seed=st.none() | st.integers(0, 3),
)
def test_sentence_batches_hold_every_sentence_once(
    rows: list[list[int]], budget: int, seed: int | None
) -> None:
    batches = SentenceBatches(sequences_of(rows), budget, SPECIAL, seed)
    found = []
    cells = 0
    for batch in batches.iterate(1):
        assert batch.targets.numel() <= budget or len(batch.targets) == 1
        assert not batch.continues
        assert batch.count == int((batch.targets != SPECIAL.pad).sum())
        cells += batch.targets.numel()
        for inputs, targets, length in zip(
            batch.inputs.tolist(), batch.targets.tolist(), batch.lengths.tolist(), strict=True
        ):
            assert inputs[0] == SPECIAL.bos
            assert targets[length - 1] == SPECIAL.eos
            assert inputs[1:length] == targets[: length - 1]
            assert not any(inputs[length:])
            assert not any(targets[length:])
            found.append(targets[: length - 1])
    assert sorted(found) == sorted(rows)
    total = sum(len(row) + 1 for row in rows)
    assert batches.padding_ratio == pytest.approx(cells / total)


def test_padding_of_natural_lengths_is_small() -> None:
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(2.5, 0.6, 3000), 1, 80).astype(int)
    batches = SentenceBatches(sequences_of([[5] * size for size in lengths]), 1000, SPECIAL, seed=0)
    assert 1 <= batches.padding_ratio < 1.03


def test_buckets_keep_to_the_budget() -> None:
    assert bucket_borders([1, 2, 3, 9], 6) == [0, 2, 3, 4]
    assert bucket_borders([1, 1, 1], 3) == [0, 3]
    assert bucket_borders([1, 1, 2, 2], 8, [5, 4, 1, 2]) == [0, 1, 2, 4]
    assert bucket_borders([], 3) == [0]


def test_nothing_to_batch_is_refused() -> None:
    with pytest.raises(DataError, match="without tokens"):
        LaneBatches(stream_of([]), 1, 1, SPECIAL)
    with pytest.raises(DataError, match="no sentence"):
        SentenceBatches(sequences_of([]), 1, SPECIAL)


def test_lanes_begin_anew_now_and_then() -> None:
    stream = stream_of(list(range(10, 10 + 4000)))
    batches = LaneBatches(stream, 4, 5, SPECIAL, seed=3, reset=0.1)
    plain = LaneBatches(stream, 4, 5, SPECIAL, seed=3)
    found = 0
    for mine, other in zip(batches.iterate(1), plain.iterate(1), strict=True):
        assert torch.equal(mine.targets, other.targets)
        fresh = torch.zeros(4, dtype=torch.bool) if mine.fresh is None else mine.fresh
        assert (mine.inputs[fresh, 0] == SPECIAL.bos).all()
        assert torch.equal(mine.inputs[:, 1:], other.inputs[:, 1:])
        assert torch.equal(mine.inputs[~fresh], other.inputs[~fresh])
        found += int(fresh.sum())
    assert 50 < found < 110  # of 800
    again = [batch.inputs for batch in batches.iterate(1, start=100)]
    assert all(map(torch.equal, again, [b.inputs for b in batches.iterate(1)][100:]))
    assert all(
        batch.fresh is None for batch in LaneBatches(stream, 4, 5, SPECIAL, reset=0.5).iterate(0)
    )
