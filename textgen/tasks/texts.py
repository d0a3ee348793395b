"""A language model's texts made ready for training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import nn

from textgen.data import splitting
from textgen.data.batching import Batches, LaneBatches, SentenceBatches
from textgen.data.documents import Lines, TextSource
from textgen.data.sequences import tokenise_sequences
from textgen.data.streams import StreamStatistics
from textgen.data.tokenising import tokenise_stream
from textgen.data.tokenizers import TextTokenizer, train_tokenizer
from textgen.models.language_model import LanguageModel
from textgen.recipes.recipe import LanguageModelRecipe
from textgen.task import Prepared, Validate
from textgen.training.frequency import count_targets
from textgen.training.objective import TokenLoss, total_loss
from textgen.training.precision import MixedPrecision

VALIDATION_LANES = 32
VALIDATION_LANE = 2048
"""Validation reads at most so many lanes, none shorter than so many tokens: each begins blind."""
VALIDATION_WINDOW = 128
VALIDATION_TOKENS = 4096
FEW_TOKENS = 256
"""An update of fewer tokens is worth a warning."""


@dataclass(frozen=True)
class _Texts:
    """Batches of both texts, and what they were made from."""

    train: Batches
    valid: Batches | None
    train_counts: StreamStatistics
    valid_counts: StreamStatistics
    train_digest: str
    valid_digest: str = ""


def check(recipe: LanguageModelRecipe) -> None:
    """Options that exclude each other; see ``Task.check``."""
    recipe.require_sound()


def hold_out(recipe: LanguageModelRecipe, train: TextSource) -> tuple[TextSource, TextSource]:
    """The last part of a text, or some of its lines; see ``Task.hold_out``."""
    return splitting.hold_out(train, recipe.data.valid_share, recipe.data.unit)


def learn(recipe: LanguageModelRecipe, train: TextSource) -> dict[str, TextTokenizer]:
    """The tokenizer of a text; see ``Task.learn``."""
    return {"text": train_tokenizer(recipe.tokenizer, (piece.text for piece in train.pieces()))}


def prepare(
    recipe: LanguageModelRecipe,
    vocabularies: Mapping[str, TextTokenizer],
    train: TextSource,
    valid: TextSource | None,
) -> Prepared:
    """Encode both texts and cut them into batches; see ``Task.prepare``."""
    tokenizer = vocabularies["text"]
    texts = _read_texts(recipe, tokenizer, train, valid)

    def initialise(model: LanguageModel) -> None:
        if model.factored is not None:
            model.factored.order_by(count_targets(texts.train, tokenizer.size))

    return Prepared(
        batches=texts.train,
        objective=TokenLoss(recipe.training.label_smoothing),
        validate=_validation(recipe, tokenizer, texts),
        facts={"tokens": texts.train_counts.tokens, "digest": texts.train_digest},
        valid_digest=texts.valid_digest,
        notes=tuple(_notes(recipe, texts)),
        initialise=initialise,
    )


def _notes(recipe: LanguageModelRecipe, texts: _Texts) -> Iterator[str]:
    """What people should know of the texts."""
    batch, counts = recipe.training.batch, texts.valid_counts
    if recipe.data.unit == "lines" and batch < FEW_TOKENS:
        yield (
            f"Each step reads {batch} tokens only: with data.unit=lines training.batch is a number "
            "of tokens, not of lanes. Set training.batch=1024, or some hundred at least."
        )
    if counts.unknown or counts.altered:
        yield (
            f"Validation text: {counts.unknown / counts.tokens:.2%} of its tokens are unknown and "
            f"{counts.altered:,} lines do not come back from the tokens as they are, so bits per "
            "character do not compare with a model that keeps every character."
        )


def _read_texts(
    recipe: LanguageModelRecipe,
    tokenizer: TextTokenizer,
    train: TextSource,
    valid: TextSource | None,
) -> _Texts:
    """Encode both texts and cut them into batches."""
    make = _lines if recipe.data.unit == "lines" else _stream
    batches, counts, digest = make(recipe, tokenizer, train, validation=False)
    if valid is None:
        return _Texts(batches, None, counts, StreamStatistics(), digest)
    valid_batches, valid_counts, valid_digest = make(recipe, tokenizer, valid, validation=True)
    return _Texts(batches, valid_batches, counts, valid_counts, digest, valid_digest)


def _stream(
    recipe: LanguageModelRecipe, tokenizer: TextTokenizer, text: TextSource, *, validation: bool
) -> tuple[Batches, StreamStatistics, str]:
    stream, training = tokenise_stream(text, tokenizer), recipe.training
    lanes, window, seed = (
        training.batch,
        training.bptt_length,
        None if validation else training.seed,
    )
    if validation:
        lanes = max(1, min(VALIDATION_LANES, len(stream) // VALIDATION_LANE))
        window = VALIDATION_WINDOW
    special, reset = tokenizer.special, training.reset_probability
    batches = LaneBatches(stream, lanes, window, special, seed, reset=reset)
    return batches, stream.statistics, stream.digest


def _lines(
    recipe: LanguageModelRecipe, tokenizer: TextTokenizer, text: TextSource, *, validation: bool
) -> tuple[Batches, StreamStatistics, str]:
    sentences, training = tokenise_sequences(Lines(text), tokenizer), recipe.training
    budget, seed = training.batch, None if validation else training.seed
    if validation:
        budget = max(budget, VALIDATION_TOKENS)
    batches = SentenceBatches(sentences, budget, tokenizer.special, seed)
    return batches, sentences.statistics, sentences.digest(tokenizer.special.eos)


def _validation(
    recipe: LanguageModelRecipe, tokenizer: TextTokenizer, texts: _Texts
) -> Validate | None:
    """Nats per token; with words and subwords also bits per character, which compare."""
    valid = texts.valid
    if valid is None:
        return None
    mixed_precision = MixedPrecision(recipe.training)

    def validate(model: nn.Module) -> Mapping[str, float]:
        nats, tokens = total_loss(model, valid, mixed_precision)
        metrics = {"loss": nats / tokens}
        if tokenizer.kind not in {"characters", "bytes"}:
            characters = texts.valid_counts.characters
            metrics["bits_per_character"] = nats / math.log(2) / characters
        return metrics

    return validate
