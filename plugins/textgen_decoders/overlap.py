"""How much texts agree: chrF and sentence BLEU of all pairs at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Matrix = NDArray[np.float64]

_BETA = 2
_CHARACTERS = 6
_WORDS = 4
_COLUMNS = 4096


def chrf_pairs(texts: Sequence[str]) -> Matrix:
    """ChrF of every text against every other, as sacreBLEU's ``sentence_chrf``.

    With precision P and recall R of character n-grams, n = 1 … 6, white space removed, averaged
    over the n of which both texts have some: 100 · (1 + β²) P R / (β² P + R), β = 2.
    Popović 2015, "chrF: character n-gram F-score for automatic MT evaluation".

    Args:
        texts: U texts.

    Returns:
        (U, U) from 0 to 100; row: the hypothesis, column: the reference.
    """
    rows = [_characters("".join(text.split())) for text in texts]
    size = len(rows)
    precision, recall, orders = (np.zeros((size, size)) for _ in range(3))
    for counts, shared in _orders(rows, _CHARACTERS):
        own = np.maximum(counts, 1)
        both = (counts[:, None] > 0) & (counts[None] > 0)
        precision += shared / own[:, None]
        recall += shared / own[None]
        orders += both
    precision /= np.maximum(orders, 1)
    recall /= np.maximum(orders, 1)
    below = _BETA**2 * precision + recall
    share: Matrix = (1 + _BETA**2) * precision * recall / np.where(below > 0, below, 1.0)
    return 100 * share


def bleu_pairs(texts: Sequence[str]) -> Matrix:
    """Sentence BLEU of every text against every other, as sacreBLEU's ``sentence_bleu``.

    exp(min(0, 1 − r / c)) · (Π_n p_n)^(1/N): p_n is the precision of word n-grams (tokens of
    13a), N ≤ 4 the longest that the hypothesis has; the k-th precision of zero is 1 / (2^k times
    the number of its n-grams). 0 where no n-gram is shared.
    Papineni et al. 2002, "BLEU: a method for automatic evaluation of machine translation"; Chen &
    Cherry 2014, "A systematic comparison of smoothing techniques for sentence-level BLEU".

    Args:
        texts: U texts.

    Returns:
        (U, U) from 0 to 100; row: the hypothesis, column: the reference.
    """
    rows = _words(texts)
    size = len(rows)
    logs, zeros, any_shared, orders = (np.zeros((size, size)) for _ in range(4))
    for counts, shared in _orders(rows, _WORDS):
        has = np.broadcast_to(counts[:, None] > 0, shared.shape)
        missed = has & (shared == 0)
        zeros += missed
        matches = np.where(missed, 0.5**zeros, np.maximum(shared, 1))
        logs += np.where(has, np.log(matches / np.maximum(counts, 1)[:, None]), 0.0)
        any_shared += shared
        orders += has
    lengths = np.array([len(row) for row in rows], dtype=np.float64)
    ratio = lengths[None] / np.maximum(lengths, 1)[:, None]
    score: Matrix = np.exp(np.minimum(0.0, 1.0 - ratio) + logs / np.maximum(orders, 1))
    return 100 * np.where(any_shared > 0, score, 0.0)


def _characters(text: str) -> Numbers:
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return points.astype(np.int64)


def _words(texts: Sequence[str]) -> list[Numbers]:
    """The words of sacreBLEU's 13a tokenizer, numbered."""
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    split: Callable[[str], str] = Tokenizer13a()  # type: ignore[no-untyped-call]
    known: dict[str, int] = {}
    return [
        np.array(
            [known.setdefault(word, len(known)) for word in split(text.rstrip()).split()],
            dtype=np.int64,
        )
        for text in texts
    ]


def _orders(rows: Sequence[Numbers], most: int) -> Iterator[tuple[Numbers, Matrix]]:
    """N-grams of n = 1 … ``most`` of U rows of symbols.

    Yields:
        For each n: (U,) int64 how many n-grams each row has, and (U, U) how many each two share,
        Σ_g min(c_i(g), c_j(g)).
    """
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    owners = np.repeat(np.arange(len(rows)), lengths)
    symbols = np.concatenate([*rows, np.zeros(0, dtype=np.int64)])
    symbols = np.unique(symbols, return_inverse=True)[1].reshape(-1).astype(np.int64)
    left = np.repeat(lengths.cumsum(), lengths) - np.arange(len(symbols))  # to the row's end
    places, grams = np.arange(len(symbols)), symbols
    for order in range(1, most + 1):
        if order > 1:
            stay = left[places] >= order
            places, grams = places[stay], grams[stay]
            longer = grams * (len(symbols) + 1) + symbols[places + order - 1]
            grams = np.unique(longer, return_inverse=True)[1].reshape(-1).astype(np.int64)
        yield np.maximum(lengths - order + 1, 0), _shared(grams, owners[places], len(rows))


def _shared(grams: Numbers, owners: Numbers, size: int) -> Matrix:
    """(size, size) shared n-grams: of n-grams (G,) numbered from 0, each of an owner (G,).

    The k-th occurrence of an n-gram in a row is a feature of its own, so that the minimum of two
    counts is the number of features that both have: one matrix product.
    """
    keys = grams * size + owners
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.searchsorted(ordered, ordered)  # where each group of equal keys begins
    times = np.arange(len(ordered)) - first
    features = ordered // max(size, 1) * (len(ordered) + 1) + times
    owners = owners[order]
    features = np.unique(features, return_inverse=True)[1].reshape(-1)
    own = np.bincount(owners, minlength=size)
    common = np.bincount(features)[features] > 1  # what one row alone has is shared with nobody
    features, owners = np.unique(features[common], return_inverse=True)[1], owners[common]
    total = np.zeros((size, size))
    for start in range(0, int(features.max(initial=-1)) + 1, _COLUMNS):
        here = (features >= start) & (features < start + _COLUMNS)
        block = np.zeros((size, _COLUMNS), dtype=np.float32)
        block[owners[here], features[here] - start] = 1.0
        total += block @ block.T
    np.fill_diagonal(total, own)
    return total
