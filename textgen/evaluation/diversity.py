"""How likely, how varied and how repetitive the texts of one source are, as one set of figures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from textgen.evaluation.text_statistics import (
    Units,
    distinct,
    ends_in_loop,
    self_bleu,
    sequence_repetition,
)

UnitKind = Literal["words", "characters"]
REPEATED = 4
"""Order of the n-grams whose repetition is measured: seq-rep-4."""
LOOP = 5
"""Characters of the shortest phrase that makes a loop."""


@dataclass(frozen=True)
class TextFigures:
    """Figures of a set of texts; those that need more text than there is are NaN.

    Attributes:
        texts: how many.
        nats_per_token: negative log-likelihood under the model, over all tokens.
        distinct_1: different words over words (Li et al. 2016, "A Diversity-Promoting Objective
            Function for Neural Conversation Models"), over all texts.
        distinct_2: of pairs.
        distinct_3: of triples.
        repetition: seq-rep-4, the share of a text's 4-grams that it had before, mean of the texts
            (Welleck et al. 2020, "Neural Text Generation with Unlikelihood Training").
        loops: share of the texts that end in a phrase said three times in a row; a phrase is
            ``LOOP`` characters or more, wherever the text is cut.
        self_bleu: mean sentence BLEU of each text with the others as references, in percent
            (Zhu et al. 2018, "Texygen").
        words: in all texts.
        tokens: mean length of a text in the model's tokens.
        characters: mean length of a text.
    """

    texts: int
    nats_per_token: float
    distinct_1: float
    distinct_2: float
    distinct_3: float
    repetition: float
    loops: float
    self_bleu: float
    words: int
    tokens: float
    characters: float

    def as_dict(self) -> dict[str, Any]:
        """All figures by name, ready for JSON."""
        return asdict(self)


def measure_texts(
    texts: Sequence[str], nll: float, tokens: int, units: UnitKind = "words"
) -> TextFigures:
    """Measure texts.

    Args:
        texts: of one strategy, or of people.
        nll: negative log-likelihood of all of them, nats.
        tokens: of all of them.
        units: what n-grams are made of: words and punctuation as sacreBLEU's 13a sets them apart,
            or characters.
    """
    split = splitter(units)
    parts = [split(text) for text in texts]
    words = sum(map(len, parts))
    return TextFigures(
        texts=len(texts),
        nats_per_token=nll / tokens if tokens else math.nan,
        distinct_1=_distinct(parts, 1),
        distinct_2=_distinct(parts, 2),
        distinct_3=_distinct(parts, 3),
        repetition=_mean([sequence_repetition(part, REPEATED) for part in parts]),
        loops=_mean([float(ends_in_loop(text, shortest=LOOP)) for text in texts]),
        self_bleu=self_bleu(parts) if len(parts) > 1 else math.nan,
        words=words,
        tokens=tokens / len(texts) if texts else math.nan,
        characters=_mean([float(len(text)) for text in texts]),
    )


def splitter(units: UnitKind) -> Callable[[str], Units]:
    """What takes a text apart."""
    if units == "characters":
        return list
    from sacrebleu.tokenizers import tokenizer_13a

    untyped: Any = tokenizer_13a
    tokenize = untyped.Tokenizer13a()
    return lambda text: str(tokenize(text)).split()


def _distinct(parts: Sequence[Units], n: int) -> float:
    """Distinct-n, NaN where no text has n units."""
    return distinct(parts, n) if any(len(part) >= n for part in parts) else math.nan


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else math.nan
