"""Tags of sentences: a loaded tagger and lists of words in, tags out."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch

from textgen.data.spans import Span, are_span_tags, spans
from textgen.data.tokenizers import LabelTokenizer, WordTokenizer
from textgen.data.words import WordEncoder, pad_words
from textgen.errors import DataError, UsageError
from textgen.loading import LoadedModel
from textgen.models.crf import log_partition, marginals, viterbi
from textgen.recipes.recipe import TAGGER

GROUP = 16
"""Batches that are sorted by length together."""


@dataclass(frozen=True)
class TagSequence:
    """Tags of a sentence.

    Attributes:
        tags: one for each word.
        log_prob: log p(tags | sentence), nats.
    """

    tags: tuple[str, ...]
    log_prob: float


@dataclass(frozen=True)
class TaggedSentence:
    """What a tagger finds in a sentence.

    Attributes:
        words: of the sentence.
        tags: of the words.
        probabilities: p(tag | sentence) of each of ``tags``.
        n_best: the likeliest sequences, falling; the first has ``tags``.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    probabilities: tuple[float, ...]
    n_best: tuple[TagSequence, ...]

    @property
    def log_prob(self) -> float:
        """Log p(tags | sentence), nats; 0 of a sentence without words."""
        return self.n_best[0].log_prob if self.n_best else 0.0

    @property
    def spans(self) -> list[Span]:
        """The spans, of tags of BIO or IOBES; none of others."""
        return spans(self.tags) if are_span_tags(self.tags) else []

    def __str__(self) -> str:
        return " ".join(f"{word}/{tag}" for word, tag in zip(self.words, self.tags, strict=True))


def tags_of(loaded: LoadedModel) -> LabelTokenizer:
    """The tags of a tagger.

    Raises:
        UsageError: if the model is none.
    """
    labels = loaded.vocabularies.get("labels")
    if loaded.kind != TAGGER or not isinstance(labels, LabelTokenizer):
        raise UsageError(f"{loaded.name} is a {loaded.kind}, but a tagger is needed.")
    return labels


def encoder_of(loaded: LoadedModel) -> WordEncoder:
    """What makes numbers of a tagger's words."""
    words = cast("WordTokenizer", loaded.vocabularies["text"])
    lower = loaded.recipe.data.lower
    return WordEncoder(words, loaded.vocabularies.get("characters"), lower=lower)


def tag(
    loaded: LoadedModel,
    sentences: Iterable[Sequence[str]],
    *,
    batch_size: int = 64,
    n_best: int = 1,
) -> Iterator[TaggedSentence]:
    """Tag sentences, in their order.

    Args:
        loaded: a tagger.
        sentences: words of each.
        batch_size: sentences that are read at once, of like length.
        n_best: sequences of each sentence.

    Raises:
        UsageError: if the model is no tagger, or a number is less than 1.
        DataError: if a word is blank.
    """
    tags_of(loaded)
    for name, number in (("n_best", n_best), ("batch_size", batch_size)):
        if number < 1:
            raise UsageError(f"{name} is {number}; it must be at least 1.")
    encoder, waiting = encoder_of(loaded), iter(sentences)
    group = 1 if batch_size == 1 else GROUP
    counted = enumerate(waiting, start=1)
    while some := [_checked(*each) for each in itertools.islice(counted, batch_size * group)]:
        order = sorted((n for n, each in enumerate(some) if each), key=lambda n: len(some[n]))
        found = {n: TaggedSentence((), (), (), ()) for n in range(len(some)) if not some[n]}
        for begin in range(0, len(order), batch_size):
            chosen = order[begin : begin + batch_size]
            rows = [some[n] for n in chosen]
            found.update(zip(chosen, _tag_batch(loaded, encoder, rows, n_best), strict=True))
        for number in range(len(some)):
            yield found[number]


def _checked(number: int, words: Sequence[str]) -> tuple[str, ...]:
    """The words of a sentence, seen to be some."""
    for place, word in enumerate(words, start=1):
        if not word.strip():
            raise DataError(f"Sentence {number}: word {place} is {word!r}; a word is expected.")
    return tuple(words)


def _tag_batch(
    loaded: LoadedModel, encoder: WordEncoder, sentences: Sequence[tuple[str, ...]], n_best: int
) -> Iterator[TaggedSentence]:
    names = tags_of(loaded).labels
    padded = pad_words([encoder.encode(each) for each in sentences])
    tokens, spellings, lengths = (part.to(loaded.device) for part in padded)
    with torch.inference_mode():
        scores = loaded.model(tokens, spellings, lengths)
        chain = loaded.model.chain(scores)
        if loaded.model.crf is None:
            shares = scores.softmax(2)
        else:
            shares = marginals(scores, lengths, chain)
        best, values = _best(loaded, scores, lengths, n_best)
        own = shares.gather(2, best[:, 0].unsqueeze(2)).squeeze(2).tolist()
        log_probs = (values - log_partition(scores, lengths, chain).unsqueeze(1)).tolist()
    for row, words in enumerate(sentences):
        sequences = tuple(
            TagSequence(tuple(names[tag] for tag in tags[: len(words)]), log_prob)
            for tags, log_prob in zip(best[row].tolist(), log_probs[row], strict=True)
            if log_prob > -torch.inf
        )
        probabilities = tuple(min(share, 1.0) for share in own[row][: len(words)])
        yield TaggedSentence(words, sequences[0].tags, probabilities, sequences)


def _best(
    loaded: LoadedModel, scores: torch.Tensor, lengths: torch.Tensor, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tags (B, K, S) and scores (B, K) of the best sequences."""
    if loaded.model.crf is not None or count > 1:
        return viterbi(scores, lengths, loaded.model.chain(scores), count)
    values, best = scores.max(2)  # scores are 0 after a row's end
    return best.unsqueeze(1), values.sum(1, keepdim=True)
