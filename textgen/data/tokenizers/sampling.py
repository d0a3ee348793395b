"""Random segmentations into subwords, reproducible from a seed on every machine.

SentencePiece samples too, but its random numbers differ from process to process, so training
could not be repeated. Here are BPE-dropout (Provilkov, Emelianenko and Voita 2020) and sampling
from a unigram model (Kudo 2018), word by word.
"""

from __future__ import annotations

import math
import random
import re
from bisect import bisect
from itertools import accumulate

import numpy as np

from textgen.data.tokenizers.base import Tokens
from textgen.data.tokenizers.subwords import META, SubwordTokenizer

Lattice = list[tuple[list[int], list[float]]]

_WORDS = re.compile(f"{META}?[^{META}\t\n]+|[{META}\t\n]")
_VARIANTS = 16
_UNSEEN = -10.0  # added to the worst score for a character that is no piece


class SubwordSampler:
    """Segmentations drawn at random.

    A word's first 16 segmentations are drawn one by one; further occurrences draw from these,
    which is much faster and leaves the probability of each segmentation as it is.

    Args:
        tokenizer: whose subwords are used.
        strength: for BPE the probability that a merge is left out; for a unigram model the
            exponent α of its probabilities. Between 0 and 1.
        seed: of the random numbers.
    """

    def __init__(self, tokenizer: SubwordTokenizer, strength: float, seed: int) -> None:
        self._tokenizer, self._strength = tokenizer, strength
        self._random = random.Random(seed)
        self._scores = tokenizer.scores()
        self._longest = max(map(len, self._scores), default=1)
        # merges of BPE are scored by their rank
        self._merging = all(score == int(score) for score in self._scores.values())
        self._worst = min(self._scores.values(), default=0.0) + _UNSEEN
        self._numbers = {piece: tokenizer.numbers(piece) for piece in self._scores}
        self._variants: dict[str, list[list[int]]] = {}
        self._lattices: dict[str, Lattice] = {}

    def encode_array(self, text: str) -> Tokens:
        """Tokens (T,) int32 of one random segmentation."""
        tokens: list[int] = []
        for part in self._tokenizer.plain_parts(text):
            if isinstance(part, str):
                for word in _WORDS.findall(part):
                    tokens.extend(self._draw(word))
            else:
                tokens.extend(part)
        return np.array(tokens, dtype=np.int32)

    def _draw(self, word: str) -> list[int]:
        variants = self._variants.setdefault(word, [])
        if len(variants) == _VARIANTS:
            return variants[int(self._random.random() * _VARIANTS)]
        pieces = self._merge(word) if self._merging else self._walk(word)
        variants.append([number for piece in pieces for number in self._number(piece)])
        return variants[-1]

    def _number(self, piece: str) -> list[int]:
        """A piece's token, or tokens of a character's bytes."""
        found = self._numbers.get(piece)
        if found is None:
            found = self._numbers[piece] = self._tokenizer.numbers(piece)
        return found

    def _merge(self, word: str) -> list[str]:
        """BPE-dropout: at each step every possible merge is left out with a probability."""
        score_of, draw, dropped = self._scores.get, self._random.random, self._strength
        pieces = list(word)
        while True:
            best, chosen = -math.inf, -1
            for index in range(len(pieces) - 1):
                score = score_of(pieces[index] + pieces[index + 1])
                if score is not None and score > best and draw() >= dropped:
                    best, chosen = score, index
            if chosen < 0:
                return pieces
            pieces[chosen : chosen + 2] = [pieces[chosen] + pieces[chosen + 1]]

    def _walk(self, word: str) -> list[str]:
        """A segmentation of a unigram model, drawn from the end of the word."""
        lattice = self._lattices.get(word)
        if lattice is None:
            lattice = self._lattices[word] = self._lattice(word)
        pieces: list[str] = []
        end = len(word)
        while end:
            starts, totals = lattice[end]
            start = starts[bisect(totals, self._random.random() * totals[-1], 0, len(totals) - 1)]
            pieces.append(word[start:end])
            end = start
        return pieces[::-1]

    def _lattice(self, word: str) -> Lattice:
        """For each end of a piece its possible starts, and their running sums of probability."""
        # log of the sum of P^α over the segmentations of word[:end]
        sums = [0.0]
        lattice: Lattice = [([], [])]
        for end in range(1, len(word) + 1):
            starts, weights = [], []
            for start in range(max(0, end - self._longest), end):
                score = self._score(word[start:end])
                if score is not None:
                    starts.append(start)
                    weights.append(sums[start] + self._strength * score)
            top = max(weights)
            totals = list(accumulate(math.exp(weight - top) for weight in weights))
            sums.append(top + math.log(totals[-1]))
            lattice.append((starts, totals))
        return lattice

    def _score(self, piece: str) -> float | None:
        score = self._scores.get(piece)
        return self._worst if score is None and len(piece) == 1 else score
