"""From a text to a trained language model in a folder."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from textgen.checkpoint import save_config
from textgen.config import as_dict
from textgen.data.batching import Batches, LaneBatches, SentenceBatches
from textgen.data.documents import Lines, TextSource
from textgen.data.sequences import tokenise_sequences
from textgen.data.splitting import hold_out
from textgen.data.streams import StreamStatistics, tokenise_stream
from textgen.data.tokenizers import (
    TextTokenizer,
    fingerprints,
    load_tokenizer,
    save_tokenizer,
    train_tokenizer,
)
from textgen.models.language_model import LanguageModel
from textgen.recipes.recipe import LANGUAGE_MODEL, LanguageModelRecipe
from textgen.training.events import Event, Note
from textgen.training.fit import Validate, fit
from textgen.training.folder import check_folder, judged_anew, saving, share, shared_state
from textgen.training.frequency import count_targets
from textgen.training.group import Group
from textgen.training.interrupts import Interrupts
from textgen.training.objective import total_loss
from textgen.training.precision import Arithmetic

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


def train_language_model(
    recipe: LanguageModelRecipe,
    train: TextSource,
    valid: TextSource | None,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    group: Group | None = None,
) -> Iterator[Event]:
    """Train a language model and save it.

    Seeds torch's generators. The tokenizer is learnt from the training part alone. Validation
    is in nats per token over all of the held-out text.

    Args:
        recipe: tokenizer, data, model and training.
        train: the text; also the validation's, where that is None.
        valid: None holds out ``recipe.data.valid_share`` of ``train``.
        out: folder for the model, made if it is missing.
        resume: go on where the training in ``out`` was interrupted; of the recipe, only options
            of training may differ from then (budget, rates, habits).
        overwrite: replace a model that is in ``out``, by the first weights that are saved; until
            then it stays as it is.
        group: of the processes that train together; the first one alone uses ``out``. None is
            this process alone.

    Returns:
        Events as they happen; iterating makes the training go on. Ctrl-C saves after the current
        step and is raised again.

    Raises:
        UsageError: if ``out`` holds a model and neither resume nor overwrite is given.
        ConfigError: if options contradict each other, or the model does not fit the vocabulary.
        DataError: if a text cannot be used.
        CheckpointError: if files cannot be written, or those to resume from cannot be read.
        TrainingError: if the loss is no longer finite, or another process of the group has ended;
            what was saved before is kept.
    """
    recipe.require_sound()
    config = as_dict(recipe)
    group = group or Group()
    if group.leads:
        check_folder(out, LANGUAGE_MODEL, config, resume=resume, overwrite=overwrite)
    Arithmetic(recipe.training)  # no text is read for a device that is not there
    return _train(recipe, train, valid, out, group, resume=resume)


def _train(
    recipe: LanguageModelRecipe,
    train: TextSource,
    valid: TextSource | None,
    out: Path,
    group: Group,
    *,
    resume: bool,
) -> Iterator[Event]:
    held_out = valid is None and recipe.data.valid_share > 0
    if held_out:
        train, valid = hold_out(train, recipe.data.valid_share, recipe.data.unit)
    tokenizer = share(
        group,
        lambda: load_tokenizer(out) if resume else _tokenizer(recipe, train),
        save_tokenizer,
        load_tokenizer,
    )
    torch.manual_seed(recipe.training.seed)
    model = LanguageModel(recipe.model, tokenizer.size)
    with group.in_turn():
        texts = _read_texts(recipe, tokenizer, train, valid)
    if model.factored is not None:
        model.factored.order_by(count_targets(texts.train, tokenizer.size))
    yield from map(Note, _notes(recipe, texts))
    facts = {
        "tokens": texts.train_counts.tokens,
        "digest": texts.train_digest,
        "tokenizers": fingerprints(tokenizer),
    }
    origin: dict[str, Any] = {
        "train": {"name": train.name, "digest": texts.train_digest},
        "valid": valid and {"name": valid.name, "digest": texts.valid_digest, "held_out": held_out},
    }
    validation = _validation(recipe, tokenizer, texts)
    state = shared_state(out, facts, group, resume=resume)
    state, note = judged_anew(
        state, out, model, validation, origin["valid"], criterion="loss", group=group
    )
    if note is not None:
        yield Note(note)

    def describe(place: Path) -> None:
        if not resume:
            save_tokenizer(tokenizer, place)
        save_config(place, LANGUAGE_MODEL, as_dict(recipe), origin)

    with Interrupts() as interrupts:
        events = fit(
            model,
            texts.train,
            validation,
            recipe.training,
            state=state,
            interrupted=interrupts.noted,
            group=group,
        )
        yield from saving(
            events,
            out if group.leads else None,
            model,
            facts,
            describe=describe,
            resume=resume,
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


def _tokenizer(recipe: LanguageModelRecipe, train: TextSource) -> TextTokenizer:
    return train_tokenizer(recipe.tokenizer, (piece.text for piece in train.pieces()))


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
    lanes, window, seed = training.batch, training.window, None if validation else training.seed
    if validation:
        lanes = max(1, min(VALIDATION_LANES, len(stream) // VALIDATION_LANE))
        window = VALIDATION_WINDOW
    marks, reset = tokenizer.marks, training.reset
    batches = LaneBatches(stream, lanes, window, marks, seed, reset=reset)
    return batches, stream.statistics, stream.digest


def _lines(
    recipe: LanguageModelRecipe, tokenizer: TextTokenizer, text: TextSource, *, validation: bool
) -> tuple[Batches, StreamStatistics, str]:
    sentences, training = tokenise_sequences(Lines(text), tokenizer), recipe.training
    budget, seed = training.batch, None if validation else training.seed
    if validation:
        budget = max(budget, VALIDATION_TOKENS)
    batches = SentenceBatches(sentences, budget, tokenizer.marks, seed)
    return batches, sentences.statistics, sentences.digest(tokenizer.marks.eos)


def _validation(
    recipe: LanguageModelRecipe, tokenizer: TextTokenizer, texts: _Texts
) -> Validate | None:
    """Nats per token; with words and subwords also bits per character, which compare."""
    valid = texts.valid
    if valid is None:
        return None
    arithmetic = Arithmetic(recipe.training)

    def validate(model: nn.Module) -> Mapping[str, float]:
        nats, tokens = total_loss(model, valid, arithmetic)
        metrics = {"loss": nats / tokens}
        if tokenizer.kind not in {"characters", "bytes"}:
            characters = texts.valid_counts.characters
            metrics["bits_per_character"] = nats / math.log(2) / characters
        return metrics

    return validate
