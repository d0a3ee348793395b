"""Links between words, and how attention becomes links.

A link (i, j) joins source word i and target word j, both counted from 0. Letters: S source
tokens, T target tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from textgen.data.whitespace import split_words
from textgen.errors import DataError


class Link(NamedTuple):
    """One source word joined to one target word, both counted from 0."""

    source: int
    target: int


Links: TypeAlias = "frozenset[Link]"


def make_links(pairs: Iterable[tuple[int, int]]) -> Links:
    """Links from pairs (source, target)."""
    return frozenset(Link(*pair) for pair in pairs)


def reverse(links: Links) -> Links:
    """The same links seen from the other side: source and target exchanged."""
    return frozenset(Link(link.target, link.source) for link in links)


def hard_links(
    attention: ArrayLike,
    source_length: int,
    target_length: int,
    *,
    threshold: float = 0.0,
    eos: bool = True,
) -> Links:
    """Link each target token to the source token that it attends to most.

    Args:
        attention: (T, S) weights, each row a target token. Columns and rows after the given lengths
            are eos and padding; of equal weights the first wins.
        source_length: source tokens without eos.
        target_length: target tokens without eos.
        threshold: a target token whose best weight is below this stays without a link.
        eos: a target token that looks at what follows the source (its eos) more than at any
            source token stays without a link: it has no counterpart. False links it to its best
            source token all the same.

    Raises:
        DataError: if the matrix is smaller than the lengths say, or has NaN or infinite weights.
    """
    weights = _matrix(attention, target_length, source_length)
    if not weights.size:
        return frozenset()
    best = weights.argmax(axis=1)  # (T,)
    least = np.full(len(best), threshold)
    whole = np.asarray(attention, dtype=np.float64)[:target_length]
    if eos and whole.shape[1] > source_length:
        least = np.maximum(least, whole[:, source_length:].max(axis=1))
    return frozenset(
        Link(int(source), target)
        for target, source in enumerate(best)
        if weights[target, source] >= least[target]
    )


def _matrix(attention: ArrayLike, rows: int, columns: int) -> NDArray[np.float64]:
    """The first ``rows`` × ``columns`` weights as float64."""
    weights = np.asarray(attention, dtype=np.float64)
    if weights.ndim != 2 or weights.shape[0] < rows or weights.shape[1] < columns:
        raise DataError(
            f"An attention matrix of shape {weights.shape} has no room for {rows} target and "
            f"{columns} source tokens."
        )
    weights = weights[:rows, :columns]
    if not np.isfinite(weights).all():
        raise DataError("An attention matrix has weights that are not finite.")
    return weights


def word_numbers(surfaces: Iterable[str], text: str | None = None) -> list[int | None]:
    """The number of the word to which each token belongs; see ``split_words`` for what a word is.

    Args:
        surfaces: what each token stands for in the text; "▁" counts as a space. A token of
            several words belongs to the first of them.
        text: that they are the tokens of. Its words count where tokens do not tell them: a token
            of words ends at a no-break space, which is inside of a word.

    Returns:
        A word number for each token; None for a token that is only space.
    """
    texts = [surface.replace("▁", " ") for surface in surfaces]
    numbers = _by_spaces(texts)
    if text is None:
        return numbers
    words = split_words(text)
    if max((number + 1 for number in numbers if number is not None), default=0) == len(words):
        return numbers
    pieces: list[int | None] = [n for n, word in enumerate(words) for _ in word.split()]
    return pieces if len(pieces) == len(texts) else _by_characters(texts, words)


def _by_spaces(texts: Sequence[str]) -> list[int | None]:
    numbers: list[int | None] = []
    word, open_word = -1, False
    for text in texts:
        parts = split_words(text)
        if not parts:
            numbers.append(None)
            # an empty token separates nothing
            open_word = open_word and not text
            continue
        starts = not split_words(text[0]) or not open_word
        numbers.append(word + 1 if starts else word)
        word += len(parts) if starts else len(parts) - 1
        open_word = bool(split_words(text[-1]))
    return numbers


def _by_characters(texts: Sequence[str], words: Sequence[str]) -> list[int | None]:
    """The word of each token's first character, characters that are no space counted in both."""
    owners = [n for n, word in enumerate(words) for each in word if not each.isspace()]
    numbers: list[int | None] = []
    place = 0
    for text in texts:
        size = sum(not each.isspace() for each in text)
        numbers.append(owners[min(place, len(owners) - 1)] if size and owners else None)
        place += size
    return numbers


def unite_links(
    links: Iterable[Link], source_words: Sequence[int | None], target_words: Sequence[int | None]
) -> Links:
    """Links between tokens made links between words: two are linked if any of their tokens are.

    Args:
        links: between token numbers.
        source_words: for each source token the number of its word, None for a token of no word.
        target_words: likewise.

    Raises:
        DataError: if a link names a token that has no entry.
    """
    united = set()
    for source, target in links:
        if not (0 <= source < len(source_words) and 0 <= target < len(target_words)):
            raise DataError(
                f"The link {source}-{target} lies outside {len(source_words)} source and "
                f"{len(target_words)} target tokens."
            )
        source_word, target_word = source_words[source], target_words[target]
        if source_word is not None and target_word is not None:
            united.add(Link(source_word, target_word))
    return frozenset(united)


def unite_attention(
    attention: ArrayLike, source_words: Sequence[int | None], target_words: Sequence[int | None]
) -> NDArray[np.float64]:
    """Attention between tokens made attention between words.

    The weights of a source word's tokens are added, those of a target word's tokens averaged, so
    that a row still sums to 1 (to less where tokens of no word took attention).

    Args:
        attention: (T, S) weights; rows and columns beyond the word numbers (eos) are dropped.
        source_words: the word number of each source token, None for a token of no word.
        target_words: likewise for target tokens.

    Returns:
        (T', S') float64, T' target words × S' source words.
    """
    weights = _matrix(attention, len(target_words), len(source_words))
    columns = _membership(source_words)  # (S', S)
    rows = _membership(target_words)  # (T', T)
    rows /= np.maximum(rows.sum(axis=1, keepdims=True), 1.0)
    return np.asarray(rows @ weights @ columns.T, dtype=np.float64)


def _membership(words: Sequence[int | None]) -> NDArray[np.float64]:
    """(words, tokens): 1 where the token belongs to the word."""
    count = max((word for word in words if word is not None), default=-1) + 1
    table = np.zeros((count, len(words)))
    for token, word in enumerate(words):
        if word is not None:
            table[word, token] = 1.0
    return table
