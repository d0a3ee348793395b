import gzip
import json
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textgen.data.hub import HubTable
from textgen.data.pair_batches import PairBatches
from textgen.data.pairs import EncodedPairs, PairEncoder, PairLimits, PairStatistics
from textgen.data.parallel import (
    HubPairs,
    Pair,
    PairFiles,
    PairTable,
    PairTexts,
    find_overlap,
    hold_out_pairs,
    open_pair_hub,
)
from textgen.data.sequences import sequences_of
from textgen.data.streams import StreamStatistics
from textgen.data.tokenizers import ByteTokenizer, TokenizerConfig, train_tokenizer
from textgen.errors import DataError
from textgen.protocols import SpecialTokens

SPECIAL = SpecialTokens(0, 1, 2, 3)
PAIRS = [Pair("a man", "ein Mann"), Pair("a woman", "eine Frau"), Pair("", "leer")]


def write(path: Path, text: str) -> Path:
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_two_files_belong_together_line_by_line(tmp_path: Path, ending: str) -> None:
    source = write(tmp_path / f"x.en{ending}", "a man\r\na woman\r\n\r\n")
    target = write(tmp_path / f"x.de{ending}", "ein Mann\neine Frau\nleer")
    pairs = PairFiles(source, target)
    assert list(pairs.pairs()) == list(pairs.pairs(1)) == PAIRS
    assert not pairs.endless


def test_files_of_different_length_are_refused_with_both_counts(tmp_path: Path) -> None:
    source = write(tmp_path / "x.en", "a\nb\nc\n")
    target = write(tmp_path / "x.de", "a\nb\n")
    with pytest.raises(DataError, match=r"x\.en has 3 lines, but .*x\.de has 2"):
        PairFiles(source, target)
    write(target, "a\nb\nc\n")
    pairs = PairFiles(source, target)
    write(target, "a\nb\n")
    with pytest.raises(DataError, match="one ends before line 3"):
        list(pairs.pairs())
    with pytest.raises(DataError, match="no such file"):
        PairFiles(source, tmp_path / "missing")


@pytest.mark.parametrize("ending", [".tsv", ".csv", ".jsonl"])
def test_two_columns_of_a_table(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"pairs{ending}"
    if ending == ".jsonl":
        rows = [{"en": pair.source, "de": pair.target, "id": "1"} for pair in PAIRS]
        write(path, "".join(json.dumps(row) + "\n" for row in rows))
    else:
        comma = "\t" if ending == ".tsv" else ","
        write(path, "".join(comma.join(row) + "\n" for row in [("en", "de"), *PAIRS]))
    assert list(PairTable(path, "en", "de").pairs()) == PAIRS
    with pytest.raises(DataError, match=r"no column 'dee'. Did you mean 'de'"):
        PairTable(path, "en", "dee")


def test_a_cell_of_several_lines_becomes_one(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", '{"en": "a\\nb", "de": "c\\r\\nd"}\n')
    assert list(PairTable(path, "en", "de").pairs()) == [Pair("a b", "c d")]


@pytest.mark.parametrize("streaming", [False, True])
def test_a_data_set_with_a_translation_feature(streaming: bool) -> None:
    rows = [{"id": "1", "translation": {"en": pair.source, "de": pair.target}} for pair in PAIRS]
    dataset = datasets.Dataset.from_list(rows)
    table = HubTable(dataset.to_iterable_dataset() if streaming else dataset, "x")
    assert list(HubPairs(table, "en", "de").pairs()) == PAIRS
    with pytest.raises(DataError, match=r"no translation into 'fr'.*Allowed: de, en"):
        HubPairs(table, "en", "fr")


def test_a_data_set_with_two_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    datasets.disable_progress_bars()
    rows = [{"en": pair.source, "de": pair.target} for pair in PAIRS]
    write(tmp_path / "train.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    pairs = open_pair_hub(str(tmp_path), source="en", target="de")
    assert list(pairs.pairs()) == PAIRS
    with pytest.raises(DataError, match="no column 'fr'"):
        open_pair_hub(str(tmp_path), source="en", target="fr")


@given(st.lists(st.sampled_from("abcde"), min_size=2, max_size=30), st.floats(0.1, 0.6))
def test_held_out_pairs_share_no_source(sources: list[str], share: float) -> None:
    pairs = PairTexts([(source, str(number)) for number, source in enumerate(sources)])
    if len(set(sources)) < 2:
        with pytest.raises(DataError, match="two different lines"):
            hold_out_pairs(pairs, share)
        return
    train, valid = (list(part.pairs()) for part in hold_out_pairs(pairs, share))
    assert train
    assert valid
    assert sorted(train + valid) == sorted(pairs.pairs())
    assert not {pair.source for pair in train} & {pair.source for pair in valid}


def test_test_pairs_among_the_training_pairs_are_reported() -> None:
    train = PairTexts([("a", "A"), ("b ", "B"), ("c", "C"), ("", "")])
    test = PairTexts([("a", "A"), ("b", "other"), ("d", "D"), ("", "")])
    overlap = find_overlap(train, test)
    assert (overlap.pairs, overlap.sources, overlap.total) == (1, 2, 4)
    assert overlap.example == Pair("a", "A")
    assert "2 of the 4 source sentences" in str(overlap)
    assert "None of the 1" in str(find_overlap(train, PairTexts([("x", "A")])))


def encoder(pairs: list[tuple[str, str]], **limits: object) -> PairEncoder:
    return PairEncoder(PairTexts(pairs), ByteTokenizer(), ByteTokenizer(), PairLimits(**limits))


def texts(pairs: EncodedPairs) -> list[tuple[str, str]]:
    decode = ByteTokenizer().decode
    both = zip(pairs.source, pairs.target, strict=True)
    return [(decode(source.tolist()), decode(target.tolist())) for source, target in both]


def test_blank_and_over_long_pairs_are_left_out_and_counted() -> None:
    pairs = [("ab", " cd "), ("", "x"), ("x", " \t"), ("abcdef", "x"), ("x", "abcdef")]
    limits = {"source_tokens": 4, "target_tokens": 5}
    encoded = encoder(pairs, **limits)()
    assert texts(encoded) == [("ab", "cd")]
    assert encoded.statistics == PairStatistics(
        pairs=1,
        empty=2,
        over_long=2,
        source=StreamStatistics(1, 2, 2, 2, 1, 0),
        target=StreamStatistics(1, 2, 2, 2, 1, 0),
    )
    assert encoded.statistics.describe(PairLimits(**limits)) == (
        "1 pairs; 2 with an empty side left out; 2 longer than 4 or 5 tokens left out."
    )
    cut = encoder(pairs, over_long="cut", **limits)()
    assert texts(cut) == [("ab", "cd"), ("abcd", "x"), ("x", "abcde")]
    assert cut.statistics.over_long == 2


def test_no_pair_left_is_an_error_that_says_why() -> None:
    with pytest.raises(DataError, match="no pair is left to use: 1 have an empty side, 1 are too"):
        encoder([("", "x"), ("abc", "x")], source_tokens=2)()


def test_sampled_segmentations_differ_by_epoch_and_side() -> None:
    lines = ["the newest and the lowest", "the widest and the newest"]
    subwords = train_tokenizer(TokenizerConfig(kind="bpe", size=300), lines)
    corpus = PairTexts([(line, line) for line in lines * 3])
    sampled = PairEncoder(corpus, subwords, subwords, source_dropout=0.3)
    plain = PairEncoder(corpus, subwords, subwords)(0)
    assert sampled.varies
    assert not PairEncoder(corpus, subwords, subwords).varies
    first, again, second = sampled(1), sampled(1), sampled(2)
    assert first.source.tokens.tolist() == again.source.tokens.tolist()
    assert first.source.tokens.tolist() != second.source.tokens.tolist()
    assert first.target.tokens.tolist() == plain.target.tokens.tolist()
    assert subwords.decode(first.source[0].tolist()) == lines[0]
    both = PairEncoder(corpus, subwords, subwords, source_dropout=0.3, target_dropout=0.3)(1)
    assert both.source.tokens.tolist() != both.target.tokens.tolist()
    with pytest.raises(DataError, match="Only subwords can be cut at random"):
        PairEncoder(corpus, ByteTokenizer(), subwords, source_dropout=0.1)(0)


def encoded(rows: list[tuple[list[int], list[int]]]) -> EncodedPairs:
    sides = (sequences_of([row[side] for row in rows]) for side in (0, 1))
    nothing = StreamStatistics()
    return EncodedPairs(*sides, PairStatistics(len(rows), 0, 0, nothing, nothing))


sentences = st.lists(st.integers(4, 9), min_size=1, max_size=9)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(sentences, sentences), min_size=1, max_size=25),
    budget=st.integers(1, 40),
    seed=st.none() | st.integers(0, 3),
)
def test_batches_hold_every_pair_once(
    rows: list[tuple[list[int], list[int]]], budget: int, seed: int | None
) -> None:
    batches = PairBatches(encoded(rows), budget, SPECIAL, seed)
    found = []
    for batch in batches.iterate(0):
        assert batch.targets.numel() <= budget or len(batch.targets) == 1
        assert not batch.continues
        assert batch.count == int(batch.lengths.sum()) == int((batch.targets != 0).sum())
        for index in range(len(batch.targets)):
            source = batch.source[index, : batch.source_lengths[index]].tolist()
            target = batch.targets[index, : batch.lengths[index]].tolist()
            inputs = batch.inputs[index, : batch.lengths[index]].tolist()
            assert source.pop() == target.pop() == SPECIAL.eos
            assert inputs == [SPECIAL.bos, *target]
            assert not batch.source[index, batch.source_lengths[index] :].any()
            found.append((source, target))
        width = batch.source.shape[1]
        assert width % (2 if width < 12 else 4) == 0
        assert width - int(batch.source_lengths.max()) < (2 if width < 12 else 4)
    assert sorted(found) == sorted(rows)
    cells = sum(b.targets.numel() + b.source.numel() for b in batches.iterate(0))
    real = sum(len(source) + len(target) + 2 for source, target in rows)
    assert batches.padding_ratio == pytest.approx(cells / real)


def natural_pairs(count: int) -> EncodedPairs:
    rng = np.random.default_rng(0)
    sources = np.clip(rng.lognormal(2.5, 0.5, count), 1, 80).astype(int)
    targets = np.clip(sources * rng.normal(1.1, 0.15, count), 1, 90).astype(int)
    return encoded([([5] * s, [6] * t) for s, t in zip(sources, targets, strict=True)])


def test_padding_of_natural_lengths_is_small() -> None:
    assert PairBatches(natural_pairs(12_000), 800, SPECIAL, seed=0).padding_ratio < 1.1


def same(first: object, second: object) -> bool:
    names = ("inputs", "targets", "lengths", "source", "source_lengths")
    return all(torch.equal(getattr(first, name), getattr(second, name)) for name in names)


@pytest.mark.parametrize("renewed", [False, True])
def test_batches_depend_on_seed_and_epoch_alone(renewed: bool) -> None:
    def renew(epoch: int) -> EncodedPairs:
        rng = np.random.default_rng(epoch)
        sizes = rng.integers(1, 9, (50, 2))
        return encoded(
            [(rng.integers(4, 9, s).tolist(), rng.integers(4, 9, t).tolist()) for s, t in sizes]
        )

    def make() -> PairBatches:
        return PairBatches(renew(0), 30, SPECIAL, seed=1, renew=renew if renewed else None)

    batches = make()
    whole = list(batches.iterate(3))
    assert len(whole) == len(batches)
    for start in (0, 4, len(batches)):
        rest = list(make().iterate(3, start))
        assert len(rest) == len(whole) - start
        assert all(same(a, b) for a, b in zip(rest, whole[start:], strict=True))
    other = list(batches.iterate(4))
    assert len(other) == len(whole)
    assert not all(same(a, b) for a, b in zip(other, whole, strict=True))


def test_an_epoch_with_fewer_pairs_keeps_the_number_of_batches() -> None:
    pairs = {0: natural_pairs(60), 1: natural_pairs(50), 2: natural_pairs(2)}
    batches = PairBatches(pairs[0], 60, SPECIAL, seed=0, renew=pairs.__getitem__)
    assert len(list(batches.iterate(1))) == len(batches)
    assert sum(len(batch.targets) for batch in batches.iterate(1)) == 50
    with pytest.raises(DataError, match="Epoch 2 has fewer pairs"):
        next(batches.iterate(2))
