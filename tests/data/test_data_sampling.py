import itertools
import math
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from textgen.data.tokenizers import SubwordTokenizer, TokenizerConfig, train_tokenizer
from textgen.data.tokenizers.sampling import SubwordSampler

LINES = [
    "the lower the newer the wider the lowest newest widest",
    "low lower lowest new newer newest wide wider widest",
    "тихий тихіший найтихіший",
]
HARD = "the\tlowest  ▁\0 漢 👩‍👧\n\nnewest тихий"


def make(kind: str) -> SubwordTokenizer:
    tokenizer = train_tokenizer(TokenizerConfig(kind=kind, size=330), LINES * 5)
    assert isinstance(tokenizer, SubwordTokenizer)
    return tokenizer


@pytest.fixture(scope="module")
def trained() -> dict[str, SubwordTokenizer]:
    return {kind: make(kind) for kind in ("bpe", "unigram")}


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_any_segmentation_gives_the_text_back(
    trained: dict[str, SubwordTokenizer], kind: str
) -> None:
    tokenizer = trained[kind]
    for text in [*LINES, HARD, "", " ", "\n"]:
        sampler = SubwordSampler(tokenizer, 0.3, 1)
        for _ in range(5):
            assert tokenizer.decode(sampler.encode_array(text).tolist()) == text


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_segmentations_vary_and_depend_on_the_seed(
    trained: dict[str, SubwordTokenizer], kind: str
) -> None:
    def draw(seed: int) -> list[list[int]]:
        sampler = SubwordSampler(trained[kind], 0.3, seed)
        return [sampler.encode_array(LINES[0]).tolist() for _ in range(4)]

    assert draw(1) == draw(1) != draw(2)
    assert len({tuple(each) for each in draw(1)}) > 1


def test_without_dropout_it_is_what_sentencepiece_says(
    trained: dict[str, SubwordTokenizer],
) -> None:
    sampler = SubwordSampler(trained["bpe"], 0.0, 0)
    for text in [*LINES, HARD, "lowwidenew  newestlow"]:
        assert sampler.encode_array(text).tolist() == trained["bpe"].encode(text)
    characters = SubwordSampler(trained["bpe"], 1.0, 0).encode_array("lowest")
    assert [trained["bpe"].piece(token) for token in characters] == list("lowest")


def test_a_large_exponent_takes_the_best_segmentation(
    trained: dict[str, SubwordTokenizer],
) -> None:
    sampler = SubwordSampler(trained["unigram"], 200.0, 0)
    for text in LINES:
        assert sampler.encode_array(text).tolist() == trained["unigram"].encode(text)


def segmentations(
    tokenizer: SubwordTokenizer, word: str, strength: float
) -> dict[tuple[str, ...], float]:
    """All segmentations of a word with their weights P^α, by brute force."""
    scores, weights = tokenizer.scores(), {}
    for cuts in itertools.product([False, True], repeat=len(word) - 1):
        borders = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), len(word)]
        pieces = tuple(word[a:b] for a, b in itertools.pairwise(borders))
        if all(piece in scores for piece in pieces):
            weights[pieces] = math.exp(strength * sum(scores[piece] for piece in pieces))
    return weights


def test_unigram_segmentations_have_their_probabilities(
    trained: dict[str, SubwordTokenizer],
) -> None:
    tokenizer, strength, seeds = trained["unigram"], 0.5, 250
    word, weights = max(
        ((word, segmentations(tokenizer, word, strength)) for word in LINES[0].split()),
        key=lambda found: len(found[1]),
    )
    found: Counter[tuple[str, ...]] = Counter()
    for seed in range(seeds):
        sampler = SubwordSampler(tokenizer, strength, seed)
        for _ in range(16):
            tokens = sampler.encode_array(word)
            found[tuple(tokenizer.piece(token) for token in tokens)] += 1
    draws = 16 * seeds
    assert len(weights) > 2
    assert set(found) <= set(weights)
    for pieces, weight in weights.items():
        expected = weight / sum(weights.values())
        assert abs(found[pieces] / draws - expected) < 4 * math.sqrt(expected / draws) + 1e-3


def test_one_merge_is_left_out_as_often_as_asked() -> None:
    tokenizer = train_tokenizer(TokenizerConfig(kind="bpe", size=270), ["ab ab ab ab"])
    assert isinstance(tokenizer, SubwordTokenizer)
    assert len(tokenizer.encode("ab")) == 1
    lengths = [
        len(SubwordSampler(tokenizer, 0.25, seed).encode_array("ab")) for seed in range(2000)
    ]
    assert abs(np.mean(np.array(lengths) == 2) - 0.25) < 0.04


def test_another_process_draws_the_same() -> None:
    code = (
        "from textgen.data.tokenizers import TokenizerConfig, train_tokenizer\n"
        "from textgen.data.tokenizers.sampling import SubwordSampler\n"
        f"lines = {LINES!r}\n"
        "for kind in ('bpe', 'unigram'):\n"
        "    made = train_tokenizer(TokenizerConfig(kind=kind, size=330), lines * 5)\n"
        "    print(SubwordSampler(made, 0.3, 7).encode_array(lines[0]).tolist())\n"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stdout.count("[") == 2
