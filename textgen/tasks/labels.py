"""A classifier's texts and labels made ready for training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from textgen.data.documents import digest
from textgen.data.labelled import LabelledBatches, encode_text, labels_in
from textgen.data.parallel import ParallelSource, find_overlap, hold_out_pairs
from textgen.data.tokenizers import TextTokenizer, TokenizerConfig, train_tokenizer
from textgen.data.tokenizers.labels import collect_labels
from textgen.data.words import EncodedWords
from textgen.errors import ConfigError, DataError
from textgen.recipes.recipe import ClassifierRecipe
from textgen.task import Prepared
from textgen.training.label_loss import LabelLoss
from textgen.training.precision import MixedPrecision

VALIDATION_BATCH = 64


def check(recipe: ClassifierRecipe) -> None:
    """Options that exclude each other; see ``Task.check``."""
    recipe.training.require_bound()
    problems = []
    if recipe.model.output == "sigmoid" and not recipe.data.separator:
        problems.append("data.separator: is empty; several labels need one.")
    if recipe.model.characters != "none" and recipe.tokenizer.kind != "words":
        problems.append(
            "model.characters: are those of words: set tokenizer.kind=words, or "
            "model.characters=none."
        )
    if problems:
        raise ConfigError(problems)


def hold_out(
    recipe: ClassifierRecipe, train: ParallelSource
) -> tuple[ParallelSource, ParallelSource]:
    """Some of the texts; see ``Task.hold_out``."""
    return hold_out_pairs(train, recipe.data.valid_share)


def learn(recipe: ClassifierRecipe, train: ParallelSource) -> dict[str, TextTokenizer]:
    """The tokenizer of the texts, and the labels; see ``Task.learn``."""
    names = (
        name for _, label in train.pairs() for name in labels_in(label, recipe.label_separator)
    )
    found: dict[str, TextTokenizer] = {
        "text": train_tokenizer(recipe.tokenizer, (f"{text}\n" for text, _ in train.pairs())),
        "labels": collect_labels(names),
    }
    if recipe.model.characters != "none":
        spelled = TokenizerConfig(normalisation=recipe.tokenizer.normalisation)
        texts = (f"{text}\n" for text, _ in train.pairs())
        found["characters"] = train_tokenizer(spelled, texts)
    return found


@dataclass(frozen=True)
class Labelled:
    """Texts and labels as numbers.

    Attributes:
        texts: tokens of each, at least one.
        labels: numbers of the labels of each.
        cut: texts that were longer than allowed.
        unknown: texts left out, since a label of theirs is not known, and such a label.
        digest: of the pairs.
    """

    texts: list[EncodedWords]
    labels: list[list[int]]
    cut: int
    unknown: tuple[int, str]
    digest: str


def encode(
    recipe: ClassifierRecipe, vocabularies: Mapping[str, TextTokenizer], source: ParallelSource
) -> Labelled:
    """Read and encode labelled texts; those with an unknown label are left out and counted.

    Raises:
        DataError: if a text is empty or has no label; says where. If there is no text left.
    """
    tokenizer, labels = vocabularies["text"], vocabularies["labels"]
    pairs = list(source.pairs())
    texts: list[EncodedWords] = []
    numbers: list[list[int]] = []
    cut, unknown, example = 0, 0, ""
    for place, (text, label) in enumerate(pairs, start=1):
        names = labels_in(label, recipe.label_separator)
        where = f"{source.name}, text {place}"
        if not names and recipe.model.output == "softmax":
            raise DataError(f"{where}: has no label.")
        try:
            own = [number for name in names for number in labels.encode(name)]
        except DataError:
            unknown, example = unknown + 1, label
            continue
        encoded = encode_text(tokenizer, vocabularies.get("characters"), text)
        if not len(encoded.tokens):
            raise DataError(f"{where}: is empty.")
        cut += len(encoded.tokens) > recipe.data.max_length
        texts.append(encoded.cut(recipe.data.max_length))
        numbers.append(own)
    if not texts:
        raise DataError(f"{source.name}: there is no text with a label of the training data.")
    return Labelled(
        texts, numbers, cut, (unknown, example), digest(side for pair in pairs for side in pair)
    )


def prepare(
    recipe: ClassifierRecipe,
    vocabularies: Mapping[str, TextTokenizer],
    train: ParallelSource,
    valid: ParallelSource | None,
) -> Prepared:
    """Encode both sets of texts and cut them into batches; see ``Task.prepare``."""
    labels = vocabularies["labels"]
    seed, classes = recipe.training.seed, labels.size
    learnt = encode(recipe, vocabularies, train)
    if learnt.unknown[0]:
        raise DataError(f"{train.name}: the label {learnt.unknown[1]!r} is not one of the model's.")
    notes = [f"{len(learnt.texts):,} texts, {classes:,} labels."]
    if learnt.cut:
        notes.append(f"{learnt.cut:,} texts were cut after {recipe.data.max_length:,} tokens.")
    batches = LabelledBatches(
        learnt.texts,
        learnt.labels,
        classes=classes,
        size=recipe.training.batch,
        seed=seed,
    )
    weights = _balanced(learnt.labels, classes) if recipe.data.class_weights != "none" else ()
    objective = LabelLoss(recipe.model.output, recipe.training.label_smoothing, weights)
    validate, valid_digest = None, ""
    if valid is not None:
        held_out = encode(recipe, vocabularies, valid)
        notes += validation_notes(train, valid, held_out.unknown)
        valid_digest = held_out.digest
        judged = LabelledBatches(
            held_out.texts,
            held_out.labels,
            classes=classes,
            size=VALIDATION_BATCH,
            seed=None,
        )
        mixed_precision = MixedPrecision(recipe.training)

        def validate(model: nn.Module) -> Mapping[str, float]:
            return objective.measure(model, judged, mixed_precision)

    return Prepared(
        batches=batches,
        objective=objective,
        validate=validate,
        facts={"texts": len(learnt.texts), "digest": learnt.digest},
        valid_digest=valid_digest,
        notes=tuple(notes),
        criterion="loss" if valid is None else _criterion(recipe),
    )


def validation_notes(
    train: ParallelSource, valid: ParallelSource, unknown: tuple[int, str]
) -> Iterator[str]:
    """What people should know of validation data with labels.

    Args:
        train: to train on.
        valid: to validate on.
        unknown: examples of it that are left out, and a label or tag of theirs that is unknown.
    """
    count, example = unknown
    if count:
        yield (
            f"Warning: {count:,} validation texts are left out: their labels do not occur in "
            f"the training data, such as {example!r}."
        )
    overlap = find_overlap(train, valid, labelled=True)
    if overlap.sources:
        yield f"Warning: validation: {overlap}"


def _criterion(recipe: ClassifierRecipe) -> str:
    """What the best weights are best at."""
    return "-accuracy" if recipe.model.output == "softmax" else "-macro_f1"


def _balanced(labels: Sequence[Sequence[int]], classes: int) -> tuple[float, ...]:
    """N / (C · n_c) for each class."""
    counts = np.bincount([each for own in labels for each in own], minlength=classes)
    return tuple((len(labels) / (classes * np.maximum(counts, 1))).tolist())
