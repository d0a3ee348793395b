"""A tagger's sentences and tags made ready for training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from textgen.data.documents import digest
from textgen.data.parallel import ParallelSource, hold_out_pairs
from textgen.data.sentence_files import items
from textgen.data.spans import are_span_tags, convert, may_follow, scheme_of, split_tag
from textgen.data.tagged_batches import TaggedBatches
from textgen.data.tokenizers import (
    LabelTokenizer,
    TextTokenizer,
    TokenizerConfig,
    WordTokenizer,
    train_tokenizer,
)
from textgen.data.tokenizers.labels import collect_labels
from textgen.data.words import EncodedWords, WordEncoder
from textgen.errors import ConfigError, DataError
from textgen.models.crf import Transitions
from textgen.recipes.recipe import TaggerRecipe
from textgen.task import Prepared
from textgen.tasks.labels import validation_notes
from textgen.training.precision import MixedPrecision
from textgen.training.tag_loss import TagLoss

VALIDATION_BATCH = 64


def check(recipe: TaggerRecipe) -> None:
    """Options that exclude each other; see ``Task.check``."""
    recipe.training.require_bound()
    problems = []
    if recipe.tokenizer.kind != "words":
        problems.append(
            f"tokenizer.kind: a tagger reads words, not {recipe.tokenizer.kind}; "
            "model.characters adds the characters of each."
        )
    if recipe.model.output == "crf" and recipe.training.label_smoothing:
        problems.append("training.label_smoothing: goes with model.output=softmax; set it to 0.")
    if problems:
        raise ConfigError(problems)


def hold_out(recipe: TaggerRecipe, train: ParallelSource) -> tuple[ParallelSource, ParallelSource]:
    """Some of the sentences; see ``Task.hold_out``."""
    return hold_out_pairs(train, recipe.data.valid_share)


def learn(recipe: TaggerRecipe, train: ParallelSource) -> dict[str, TextTokenizer]:
    """The words, their characters where these are read, and the tags; see ``Task.learn``."""

    def texts(*, lower: bool) -> Iterator[str]:
        for words, _ in train.pairs():
            text = " ".join(items(words)) + "\n"
            yield text.lower() if lower else text

    found: dict[str, TextTokenizer] = {
        "text": train_tokenizer(recipe.tokenizer, texts(lower=recipe.data.lower)),
        "labels": collect_labels(tag for _, tags in _sentences(recipe, train) for tag in tags),
    }
    if recipe.model.characters != "none":
        spelled = TokenizerConfig(normalisation=recipe.tokenizer.normalisation)
        found["characters"] = train_tokenizer(spelled, texts(lower=False))
    return found


def word_encoder(recipe: TaggerRecipe, vocabularies: Mapping[str, TextTokenizer]) -> WordEncoder:
    """What makes numbers of words."""
    words = cast("WordTokenizer", vocabularies["text"])
    return WordEncoder(words, vocabularies.get("characters"), lower=recipe.data.lower)


def _sentences(
    recipe: TaggerRecipe, source: ParallelSource
) -> Iterator[tuple[list[str], list[str]]]:
    """Words and tags of each sentence, spans in the recipe's scheme.

    Raises:
        DataError: if numbers differ, or tags cannot be converted.
    """
    scheme = recipe.data.scheme
    for number, (one, other) in enumerate(source.pairs(), start=1):
        words, tags = items(one), items(other)
        where = f"{source.name}, sentence {number}"
        if len(words) != len(tags) or not words:
            raise DataError(f"{where}: {len(words)} words have {len(tags)} tags.")
        if scheme == "given":
            yield words, tags
            continue
        if set(tags) != {"O"} and not are_span_tags(tags):
            raise DataError(
                f"{where}: its tags are not those of spans (O, B-class, I-class, …), which "
                f"data.scheme={scheme} converts."
            )
        yield words, convert(tags, scheme)


@dataclass(frozen=True)
class Encoded:
    """Sentences as numbers.

    Attributes:
        sentences: words of each.
        tags: numbers of the tags of each.
        cut: sentences that were longer than allowed.
        unknown: sentences left out, since a tag of theirs is not known, and such a tag.
        digest: of the pairs.
    """

    sentences: list[EncodedWords]
    tags: list[NDArray[np.int32]]
    cut: int
    unknown: tuple[int, str]
    digest: str


def encode(
    recipe: TaggerRecipe, vocabularies: Mapping[str, TextTokenizer], source: ParallelSource
) -> Encoded:
    """Encode tagged sentences; those with an unknown tag are left out and counted.

    Raises:
        DataError: if a sentence is broken, or none is left.
    """
    encoder = word_encoder(recipe, vocabularies)
    labels = cast("LabelTokenizer", vocabularies["labels"])
    longest = recipe.data.max_length
    sentences, numbers = [], []
    cut, unknown, example = 0, 0, ""
    for words, tags in _sentences(recipe, source):
        strange = [tag for tag in tags if tag not in labels.labels]
        if strange:
            unknown, example = unknown + 1, strange[0]
            continue
        cut += len(words) > longest
        sentences.append(encoder.encode(words[:longest]))
        numbers.append(np.array([labels.number(tag) for tag in tags[:longest]], dtype=np.int32))
    if not sentences:
        raise DataError(f"{source.name}: there is no sentence with tags of the training data.")
    known_by = digest(side for pair in source.pairs() for side in pair)
    return Encoded(sentences, numbers, cut, (unknown, example), known_by)


def prepare(
    recipe: TaggerRecipe,
    vocabularies: Mapping[str, TextTokenizer],
    train: ParallelSource,
    valid: ParallelSource | None,
) -> Prepared:
    """Encode both sets of sentences and cut them into batches; see ``Task.prepare``."""
    labels = cast("LabelTokenizer", vocabularies["labels"]).labels
    learnt = encode(recipe, vocabularies, train)
    if learnt.unknown[0]:
        raise DataError(f"{train.name}: the tag {learnt.unknown[1]!r} is not one of the model's.")
    words = sum(len(each.tokens) for each in learnt.sentences)
    notes = [f"{len(learnt.sentences):,} sentences, {words:,} words, {len(labels):,} tags."]
    if learnt.cut:
        notes.append(f"{learnt.cut:,} sentences were cut after {recipe.data.max_length:,} words.")
    size, seed = recipe.training.batch, recipe.training.seed
    batches = TaggedBatches(learnt.sentences, learnt.tags, size=size, seed=seed)
    objective = TagLoss(labels, recipe.training.label_smoothing)
    validate, valid_digest = None, ""
    if valid is not None:
        held_out = encode(recipe, vocabularies, valid)
        notes += validation_notes(train, valid, held_out.unknown)
        valid_digest = held_out.digest
        judged = TaggedBatches(held_out.sentences, held_out.tags, size=VALIDATION_BATCH, seed=None)
        mixed_precision = MixedPrecision(recipe.training)

        def validate(model: nn.Module) -> Mapping[str, float]:
            return objective.measure(model, judged, mixed_precision)

    best = "-f1" if are_span_tags(labels) else "-accuracy"
    return Prepared(
        batches=batches,
        objective=objective,
        validate=validate,
        facts={"sentences": len(learnt.sentences), "words": words, "digest": learnt.digest},
        valid_digest=valid_digest,
        notes=tuple(notes),
        criterion="loss" if valid is None else best,
    )


def allowed_moves(tags: Sequence[str]) -> Transitions | None:
    """What may stand where, of tags of BIO or IOBES; None allows all.

    Classes that occur inside of spans but never at a beginning are no such scheme: all is allowed.
    """
    if not are_span_tags(tags):
        return None
    split = [split_tag(tag) for tag in tags]
    begun = {label for letter, label in split if letter == "B"}
    if not {label for letter, label in split if letter in {"I", "E"}} <= begun:
        return None
    scheme = scheme_of(tags)
    return Transitions(
        torch.tensor([may_follow(None, tag, scheme) for tag in tags]),
        torch.tensor([[may_follow(row, tag, scheme) for tag in tags] for row in tags]),
        torch.tensor([may_follow(tag, None, scheme) for tag in tags]),
    )
