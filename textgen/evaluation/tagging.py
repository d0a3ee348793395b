"""How well words are tagged: accuracy, and for spans precision, recall and F1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textgen.data.parallel import ParallelSource
from textgen.data.sentence_files import items
from textgen.data.spans import are_span_tags, convert
from textgen.errors import DataError
from textgen.evaluation.bootstrap import resampled
from textgen.evaluation.classification import ClassScores
from textgen.evaluation.span_scores import SpanCounts
from textgen.loading import LoadedModel
from textgen.tagging import TaggedSentence, encoder_of, tag, tags_of


@dataclass(frozen=True)
class SpanScores:
    """Of all spans; see ``SpanCounts``.

    Attributes:
        precision: share of the spans found that are right.
        recall: share of the true spans that are found.
        f1: harmonic mean of both.
        f1_interval: 95 % of bootstrap resamples of the sentences lie within.
        classes: of each class.
    """

    precision: float
    recall: float
    f1: float
    f1_interval: tuple[float, float]
    classes: tuple[ClassScores, ...]


@dataclass(frozen=True)
class TaggingReport:
    """Predicted tags held against the truth.

    Attributes:
        predictions: one for each sentence.
        words: number of words.
        accuracy: share of words whose tag is right.
        accuracy_interval: 95 % of bootstrap resamples of the sentences lie within.
        sentence_accuracy: share of sentences all of whose tags are right.
        unknown: words without a vector of their own.
        unknown_accuracy: accuracy of these; NaN where there is none.
        tags: scores of each tag.
        spans: of tags of BIO or IOBES; None of others.
        strange: words whose true tag does not occur in the training data: always wrong.
        errors: (true, predicted, number) of the commonest errors.
    """

    predictions: Sequence[TaggedSentence]
    words: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    sentence_accuracy: float
    unknown: int
    unknown_accuracy: float
    tags: tuple[ClassScores, ...]
    spans: SpanScores | None
    strange: int
    errors: tuple[tuple[str, str, int], ...]

    def __str__(self) -> str:
        low, high = self.accuracy_interval
        line = f"accuracy {self.accuracy:.2%} ({low:.2%} to {high:.2%}), {self.words:,} words"
        return line if self.spans is None else f"{line}, F1 of spans {self.spans.f1:.4f}"

    def __repr__(self) -> str:
        return f"TaggingReport({self})"

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        data: dict[str, Any] = {
            "sentences": len(self.predictions),
            "words": self.words,
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "sentence_accuracy": self.sentence_accuracy,
            "unknown_words": self.unknown,
            "unknown_word_accuracy": None if not self.unknown else self.unknown_accuracy,
            "tags": [vars(each) for each in self.tags],
            "unknown_tags": self.strange,
            "errors": [list(each) for each in self.errors],
        }
        if self.spans is not None:
            data["precision"], data["recall"] = self.spans.precision, self.spans.recall
            data["f1"], data["f1_interval"] = self.spans.f1, list(self.spans.f1_interval)
            data["classes"] = [vars(each) for each in self.spans.classes]
        return data


def evaluate_tagger(
    loaded: LoadedModel, source: ParallelSource, *, batch_size: int = 64
) -> TaggingReport:
    """Tag sentences whose tags are known, and score what is found.

    Args:
        loaded: a tagger.
        source: words and their tags; see ``textgen.data.tagged``. Spans are brought to the scheme
            that the model was trained with, if it names one.
        batch_size: sentences read at once.

    Raises:
        UsageError: if the model is no tagger.
        DataError: if there is no sentence, one is broken, or no tag is one of the model's.
    """
    known = set(tags_of(loaded).labels)
    pairs = [(items(words), items(tags)) for words, tags in source.pairs()]
    if not pairs:
        raise DataError(f"{source.name}: there is no sentence.")
    for number, (words, tags) in enumerate(pairs, start=1):
        if len(words) != len(tags):
            where = f"{source.name}, sentence {number}"
            raise DataError(f"{where}: {len(words)} words have {len(tags)} tags.")
    every = {tag for _, tags in pairs for tag in tags}
    if loaded.recipe.data.scheme != "given" and are_span_tags(every):
        pairs = [(words, convert(tags, loaded.recipe.data.scheme)) for words, tags in pairs]
    if not every & known and not (are_span_tags(every) and are_span_tags(known)):
        raise DataError(
            f"{source.name}: none of its tags is one of the model's. It has "
            f"{', '.join(sorted(every)[:5])}, the model {', '.join(sorted(known)[:5])}: is it the "
            "right column?"
        )
    found = list(tag(loaded, (words for words, _ in pairs), batch_size=batch_size))
    encoder = encoder_of(loaded)
    is_new = [[not encoder.knows(word) for word in words] for words, _ in pairs]
    return score_tags(found, [tags for _, tags in pairs], known=known, is_new=is_new)


def score_tags(
    predictions: Sequence[TaggedSentence],
    truth: Sequence[Sequence[str]],
    *,
    known: set[str],
    is_new: Sequence[Sequence[bool]],
) -> TaggingReport:
    """Hold tags against the truth.

    Args:
        predictions: of N sentences.
        truth: their true tags.
        known: the tags that the model has.
        is_new: of each word, whether it has no vector of its own.
    """
    pairs = [
        (own, true)
        for each, tags in zip(predictions, truth, strict=True)
        for own, true in zip(each.tags, tags, strict=True)
    ]
    right = np.array([own == true for own, true in pairs])
    new = np.array([flag for flags in is_new for flag in flags])
    lengths = np.array([len(tags) for tags in truth])
    hits = np.add.reduceat(right.astype(np.int64), np.cumsum(lengths) - lengths)
    (interval,) = resampled(
        len(truth), lambda rows: (float(hits[rows].sum() / lengths[rows].sum()),)
    )
    wrong = Counter((true, own) for own, true in pairs if own != true)
    as_spans = are_span_tags(known) and are_span_tags({true for _, true in pairs} | known)
    return TaggingReport(
        predictions=predictions,
        words=len(pairs),
        accuracy=float(right.mean()),
        accuracy_interval=interval,
        sentence_accuracy=float((hits == lengths).mean()),
        unknown=int(new.sum()),
        unknown_accuracy=float(right[new].mean()) if new.any() else float("nan"),
        tags=_tag_scores(pairs),
        spans=_span_scores(predictions, truth) if as_spans else None,
        strange=sum(true not in known for _, true in pairs),
        errors=tuple((*names, number) for names, number in wrong.most_common(10)),
    )


def _tag_scores(pairs: Sequence[tuple[str, str]]) -> tuple[ClassScores, ...]:
    """Scores of each tag that is found or true, of pairs (found, true)."""
    hits = Counter(own for own, true in pairs if own == true)
    found, wanted = Counter(own for own, _ in pairs), Counter(true for _, true in pairs)
    return tuple(
        ClassScores(
            name,
            hits[name] / max(found[name], 1),
            hits[name] / max(wanted[name], 1),
            2 * hits[name] / (found[name] + wanted[name]),
            wanted[name],
        )
        for name in sorted(found.keys() | wanted.keys())
    )


def _span_scores(
    predictions: Sequence[TaggedSentence], truth: Sequence[Sequence[str]]
) -> SpanScores:
    each = [SpanCounts.of(own.tags, tags) for own, tags in zip(predictions, truth, strict=True)]
    total = SpanCounts(
        *(
            sum((getattr(counts, side) for counts in each), Counter())
            for side in ("right", "found", "true")
        )
    )
    right = np.array([counts.right.total() for counts in each])
    both: NDArray[np.int64] = np.array(
        [counts.found.total() + counts.true.total() for counts in each]
    )
    (interval,) = resampled(
        len(each), lambda rows: (float(2 * right[rows].sum() / max(both[rows].sum(), 1)),)
    )
    classes = tuple(
        ClassScores(label, own.precision, own.recall, own.f1, own.true.total())
        for label, own in ((label, total.only(label)) for label in total.labels)
    )
    return SpanScores(total.precision, total.recall, total.f1, interval, classes)
