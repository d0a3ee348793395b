"""How varied and how repetitive generated text is.

A text is a sequence of units: words, characters or tokens, whatever the caller splits it into.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from textgen.errors import UsageError

Units = Sequence[Hashable]


def _ngrams(text: Units, n: int) -> Iterator[tuple[Hashable, ...]]:
    return (tuple(text[start : start + n]) for start in range(len(text) - n + 1))


def _check_order(n: int) -> None:
    if n < 1:
        raise UsageError(f"n-grams have 1 unit or more, not {n}.")


def distinct(texts: Iterable[Units], n: int) -> float:
    """Distinct-n: different n-grams of all texts over all their n-grams.

    Li, Galley, Brockett, Gao and Dolan 2016, "A Diversity-Promoting Objective Function for Neural
    Conversation Models". It falls as texts get longer, so only samples of one size compare.

    Returns:
        0 (all the same) to 1 (none twice); 1 if there is no n-gram.

    Raises:
        UsageError: if n < 1.
    """
    _check_order(n)
    counts = Counter(ngram for text in texts for ngram in _ngrams(text, n))
    return len(counts) / counts.total() if counts else 1.0


def sequence_repetition(text: Units, n: int) -> float:
    """Seq-rep-n: the share of a text's n-grams that occurred in it before.

    Welleck et al. 2020, "Neural Text Generation with Unlikelihood Training".

    Returns:
        0 (none) to below 1; 0 if there is no n-gram.

    Raises:
        UsageError: if n < 1.
    """
    return 1.0 - distinct([text], n)


def repetition_rate(text: Units, *, window: int = 1000, longest: int = 4) -> float:
    """Repetition rate: the geometric mean over n of the share of n-gram types seen twice or more.

    Cettolo, Bertoldi and Federico 2014, "The Repetition Rate of Text as a Predictor of the
    Effectiveness of Machine Translation Adaptation". Types are counted in windows that follow
    each other without overlap, and added up, so that texts of different length compare.

    Args:
        text: the units.
        window: units in a window; a shorter rest counts too.
        longest: n goes from 1 to this.

    Returns:
        0 (some order never repeats) to 1 (every type of every order repeats).

    Raises:
        UsageError: if ``window`` or ``longest`` is below 1.
    """
    _check_order(longest)
    if window < 1:
        raise UsageError(f"A window has 1 unit or more, not {window}.")
    product = 1.0
    for n in range(1, longest + 1):
        types = repeated = 0
        for start in range(0, len(text), window):
            counts = Counter(_ngrams(text[start : start + window], n))
            types += len(counts)
            repeated += sum(count > 1 for count in counts.values())
        product *= repeated / types if types else 0.0
    return math.pow(product, 1 / longest)


def ends_in_loop(text: Units, *, times: int = 3, shortest: int = 2) -> bool:
    """Whether a text ends in a phrase said over and over, as greedy decoding tends to.

    Holtzman, Buys, Du, Forbes and Choi 2020, "The Curious Case of Neural Text Degeneration".

    Args:
        text: the units.
        times: how often the phrase must stand at the end, one after the other.
        shortest: units of the shortest phrase that counts.
    """
    for length in range(shortest, len(text) // times + 1):
        phrase = list(text[-length:])
        if list(text[-length * times :]) == phrase * times:
            return True
    return False


def self_bleu(texts: Sequence[Units], *, longest: int = 4) -> float:
    """Self-BLEU: the mean BLEU of each text with all the others as its references.

    Zhu et al. 2018, "Texygen: A Benchmarking Platform for Text Generation Models". High values
    mean that the texts resemble each other. The score of each text is sacreBLEU's sentence BLEU
    (exponential smoothing, effective order). N-grams of all texts are counted once: the time
    grows with the total length and not with the square of the number of texts.

    Args:
        texts: at least two.
        longest: n-grams up to this.

    Returns:
        0 (nothing shared) to 100 (all the same).

    Raises:
        UsageError: for fewer than two texts or ``longest`` < 1.
    """
    _check_order(longest)
    if len(texts) < 2:
        raise UsageError(f"Self-BLEU compares texts with each other; it needs 2, not {len(texts)}.")
    counts = [
        Counter(ngram for n in range(1, longest + 1) for ngram in _ngrams(text, n))
        for text in texts
    ]
    limits = _Limits(counts)
    lengths = Counter(map(len, texts))
    scores = [
        _sentence_bleu(owner, each, limits, _closest(lengths, len(texts[owner])), longest)
        for owner, each in enumerate(counts)
    ]
    return math.fsum(scores) / len(scores)


@dataclass(frozen=True)
class _Most:
    """The largest count of an n-gram in one text, whose text, and the largest in another text."""

    count: int
    owner: int
    second: int


class _Limits:
    """How often each n-gram occurs at most in any text but a given one."""

    def __init__(self, counts: Sequence[Counter[tuple[Hashable, ...]]]) -> None:
        self._most: dict[tuple[Hashable, ...], _Most] = {}
        for owner, each in enumerate(counts):
            for ngram, count in each.items():
                old = self._most.get(ngram, _Most(0, -1, 0))
                self._most[ngram] = (
                    _Most(count, owner, old.count)
                    if count > old.count
                    else _Most(old.count, old.owner, max(old.second, count))
                )

    def without(self, owner: int, ngram: tuple[Hashable, ...]) -> int:
        most = self._most[ngram]
        return most.second if most.owner == owner else most.count


def _closest(lengths: Counter[int], length: int) -> int:
    """The length nearest to a text's own among the other texts; of two the shorter."""
    others = lengths - Counter([length])
    return min(others, key=lambda other: (abs(other - length), other))


def _sentence_bleu(
    owner: int,
    counts: Counter[tuple[Hashable, ...]],
    limits: _Limits,
    closest: int,
    longest: int,
) -> float:
    from sacrebleu.metrics.bleu import BLEU

    correct, total = [0] * longest, [0] * longest
    for ngram, count in counts.items():
        total[len(ngram) - 1] += count
        correct[len(ngram) - 1] += min(count, limits.without(owner, ngram))
    score = BLEU.compute_bleu(
        correct=correct,
        total=total,
        sys_len=total[0],
        ref_len=closest,
        smooth_method="exp",
        effective_order=True,
        max_ngram_order=longest,
    )
    return float(score.score)
