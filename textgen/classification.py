"""Labels of texts: a loaded classifier and texts in, predictions out."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from textgen.data.labelled import encode_text
from textgen.data.tokenizers import LabelTokenizer
from textgen.data.words import EncodedWords, pad_words
from textgen.errors import UsageError
from textgen.loading import LoadedModel
from textgen.recipes.recipe import CLASSIFIER

THRESHOLD = 0.5
"""A label of several is predicted from this probability on."""


@dataclass(frozen=True)
class Prediction:
    """What a classifier finds in a text.

    Attributes:
        text: the text.
        labels: what is predicted: one label, or with several labels for each text those whose
            probability reaches the threshold, likeliest first; none of a text without tokens.
        probabilities: of all labels, likeliest first; none of a text without tokens.
        cut: the text was longer than the training allowed, and only its beginning was read.
    """

    text: str
    labels: tuple[str, ...]
    probabilities: tuple[tuple[str, float], ...]
    cut: bool = False

    @property
    def label(self) -> str:
        """The likeliest of the predicted labels; empty where there is none."""
        return self.labels[0] if self.labels else ""

    @property
    def probability(self) -> float:
        """Of ``label``; 0 where there is none."""
        return dict(self.probabilities)[self.label] if self.labels else 0.0

    def __str__(self) -> str:
        return ", ".join(self.labels)


def labels_of(loaded: LoadedModel) -> LabelTokenizer:
    """The labels of a classifier.

    Raises:
        UsageError: if the model is none.
    """
    labels = loaded.vocabularies.get("labels")
    if loaded.kind != CLASSIFIER or not isinstance(labels, LabelTokenizer):
        raise UsageError(f"{loaded.name} is a {loaded.kind}, but a classifier is needed.")
    return labels


def classify(
    loaded: LoadedModel,
    texts: Iterable[str],
    *,
    batch_size: int = 64,
    threshold: float = THRESHOLD,
) -> Iterator[Prediction]:
    """Predict the labels of texts, in their order.

    Args:
        loaded: a classifier.
        texts: one line or several each.
        batch_size: texts that are read at once.
        threshold: least probability of a predicted label, of a model with several for each text.

    Raises:
        UsageError: if the model is no classifier, or batch_size is less than 1.
    """
    labels_of(loaded)
    if batch_size < 1:
        raise UsageError(f"batch_size is {batch_size}; it must be at least 1.")
    for batch in _batched(texts, batch_size):
        yield from _classify_batch(loaded, batch, threshold)


def _batched(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    waiting = iter(texts)
    while batch := list(itertools.islice(waiting, size)):
        yield batch


def _classify_batch(
    loaded: LoadedModel, texts: Sequence[str], threshold: float
) -> Iterator[Prediction]:
    tokenizer, longest = loaded.vocabularies["text"], loaded.recipe.data.max_length
    characters = loaded.vocabularies.get("characters")
    rows = [encode_text(tokenizer, characters, text) for text in texts]
    filled = [row.cut(longest) for row in rows if len(row.tokens)]
    found = iter(probabilities(loaded, filled) if filled else ())
    for text, row in zip(texts, rows, strict=True):
        if not len(row.tokens):
            yield Prediction(text, (), ())
            continue
        yield _prediction(loaded, text, next(found), threshold, cut=len(row.tokens) > longest)


def _prediction(
    loaded: LoadedModel, text: str, row: NDArray[np.float64], threshold: float, *, cut: bool
) -> Prediction:
    names = labels_of(loaded).labels
    ranked = tuple(
        (names[number], float(row[number])) for number in np.argsort(-row, kind="stable")
    )
    if loaded.recipe.model.output == "softmax":
        return Prediction(text, (ranked[0][0],), ranked, cut)
    chosen = tuple(name for name, probability in ranked if probability >= threshold)
    return Prediction(text, chosen, ranked, cut)


def probabilities(loaded: LoadedModel, rows: Sequence[EncodedWords]) -> NDArray[np.float64]:
    """Probabilities (B, C) of the labels of B texts, none of them empty."""
    tokens, spellings, lengths = (part.to(loaded.device) for part in pad_words(rows))
    with torch.inference_mode():
        logits = loaded.model(tokens, lengths, spellings).double()
    single = loaded.recipe.model.output == "softmax"
    found: NDArray[np.float64] = (logits.softmax(1) if single else logits.sigmoid()).cpu().numpy()
    return found
