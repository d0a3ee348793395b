"""How likely a translator finds given translations, whoever made them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from textgen.arguments import pairs_of, shortened
from textgen.errors import DataError
from textgen.evaluation.forced_alignment import LONGEST, WINDOW, force
from textgen.loading import LoadedModel

_N_BEST = re.compile(r"(-?[0-9]{1,9}) \|\|\| (.*?)(?: \|\|\|.*)?")


@dataclass(frozen=True)
class GivenTranslation:
    """A sentence pair and its log-probabilities.

    Attributes:
        source: the source sentence.
        text: its translation, as given.
        token_log_probs: of each token of the translation given the source and those before it,
            nats; eos included. None of a blank translation of a blank line.
        unknown: tokens of the translation that the vocabulary lacks.
        cut: whether a side had too many tokens and was cut.
    """

    source: str
    text: str
    token_log_probs: tuple[float, ...]
    unknown: int
    cut: bool

    def __repr__(self) -> str:
        sides = f"{shortened(self.source)!r} -> {shortened(self.text)!r}"
        return f"GivenTranslation({sides}, log_prob={self.log_prob:.4g})"

    @property
    def log_prob(self) -> float:
        """Of the whole translation, nats."""
        return sum(self.token_log_probs)

    @property
    def score(self) -> float:
        """Log-probability per token, which a beam of ``length=average`` ranks by; 0 of nothing."""
        return self.log_prob / max(1, len(self.token_log_probs))


def score_given(
    loaded: LoadedModel, pairs: Iterable[tuple[str, str]], *, longest: int = LONGEST
) -> Iterator[GivenTranslation]:
    """Score given translations, in their order; pairs of like length are read together.

    Args:
        loaded: a translator, or an ensemble.
        pairs: source and target sentences; may be endless.
        longest: tokens after which a side is cut.

    Raises:
        UsageError: if the model is no translator.
    """
    source, target = loaded.require_source(), loaded.tokenizer
    eos, unknown = target.special.eos, target.special.unknown
    waiting = iter(pairs_of(pairs))
    while window := list(itertools.islice(waiting, WINDOW)):
        whole = [(source.encode(a.strip()), target.encode(b.strip())) for a, b in window]
        encoded = [(a[:longest], b[:longest]) for a, b in whole]
        read = [number for number, sides in enumerate(encoded) if any(sides)]
        sides = [encoded[number] for number in read]
        found = dict(
            zip(
                read,
                force(loaded, [a for a, _ in sides], [[*b, eos] for _, b in sides]),
                strict=True,
            )
        )
        for number, texts in enumerate(window):
            forced, tokens = found.get(number), encoded[number]
            yield GivenTranslation(
                *texts,
                token_log_probs=() if forced is None else tuple(forced.log_probs.tolist()),
                unknown=tokens[1].count(-1 if unknown is None else unknown),
                cut=tokens != whole[number],
            )


def paired_with_sources(
    sources: Sequence[str], lines: Sequence[str], name: str
) -> list[tuple[int, str, str]]:
    """Number of the source, source and translation of each given line.

    Args:
        sources: source sentences.
        lines: a translation of each; or n-best lists, ``N ||| translation ||| …`` with the number
            of the source from 0.
        name: of the file, for messages.

    Raises:
        DataError: if there are not as many lines as sources, or a list names no source.
    """
    lists = [_N_BEST.fullmatch(line) for line in lines]
    if lines and all(lists):
        found = [(int(each[1]), each[2]) for each in lists if each is not None]
        for number, _ in found:
            if not 0 <= number < len(sources):
                raise DataError(
                    f"{name}: has translations of line {number}, counted from 0, but there "
                    f"are {len(sources):,} source lines."
                )
        return [(number, sources[number], text) for number, text in found]
    if len(lines) != len(sources):
        raise DataError(
            f"{name}: has {len(lines):,} lines, but there are {len(sources):,} source lines: line "
            "n must be a translation of line n, or each line of an n-best list, N ||| translation."
        )
    return [(number, *pair) for number, pair in enumerate(zip(sources, lines, strict=True))]
