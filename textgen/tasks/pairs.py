"""A translator's pairs made ready for training."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from textgen.data.documents import digest
from textgen.data.pair_batches import PairBatches
from textgen.data.pairs import PairEncoder, PairLimits
from textgen.data.parallel import ParallelSource, find_overlap, hold_out_pairs
from textgen.data.tokenizers import TextTokenizer, train_tokenizer
from textgen.decoding.chain import default_registries, resolve
from textgen.errors import ConfigError, UsageError
from textgen.evaluation.translation_metrics import check_tokenizer
from textgen.loading import LoadedModel
from textgen.recipes.recipe import (
    TRANSLATOR,
    LanguageModelRecipe,
    PairConfig,
    TranslatorRecipe,
)
from textgen.task import Prepared
from textgen.training.objective import TokenLoss, total_loss
from textgen.training.precision import MixedPrecision

VALIDATION_TOKENS = 4096


def check(recipe: TranslatorRecipe) -> None:
    """Options that exclude each other; see ``Task.check``."""
    problems = []
    if recipe.source_tokenizer is not None and recipe.data.joint:
        problems.append(
            "data.joint: one vocabulary has one tokenizer: set data.joint=false to have a "
            "source_tokenizer of its own."
        )
    if recipe.tokenizer.kind == "vectors":
        problems.append(
            "tokenizer.kind: vectors can be a source, not a target: set source_tokenizer.kind."
        )
    if recipe.validation.objective == "bleu" and not recipe.validation.bleu_pairs:
        problems.append(
            "validation.objective: bleu needs validation.bleu_pairs, the pairs to decode."
        )
    try:
        check_tokenizer(recipe.validation.tokenizer)
    except UsageError as error:
        problems.append(f"validation.tokenizer: {error}")
    if recipe.data.subword_dropout and recipe.data.subword_sampling:
        problems.append("data.subword_dropout and data.subword_sampling: give one of them.")
    if problems:
        raise ConfigError(problems)


def hold_out(
    recipe: TranslatorRecipe, train: ParallelSource
) -> tuple[ParallelSource, ParallelSource]:
    """Some of the pairs; see ``Task.hold_out``."""
    return hold_out_pairs(train, recipe.data.valid_share)


def learn(recipe: TranslatorRecipe, train: ParallelSource) -> dict[str, TextTokenizer]:
    """Learn the tokenizers of both sides from the training pairs; see ``Task.learn``."""

    def side(which: int) -> Iterator[str]:
        return (pair[which].strip() + "\n" for pair in train.pairs())

    if recipe.data.joint:
        joint = train_tokenizer(recipe.tokenizer, itertools.chain(side(0), side(1)))
        return {"source": joint, "target": joint}
    source = train_tokenizer(recipe.source_tokenizer or recipe.tokenizer, side(0))
    return {"source": source, "target": train_tokenizer(recipe.tokenizer, side(1))}


def adapt_decoder(recipe: TranslatorRecipe, other: LanguageModelRecipe) -> TranslatorRecipe:
    """A recipe whose decoder is a language model; the target's tokens are that one's."""
    model = replace(
        recipe.model,
        cell=other.model.cell,
        layers=other.model.layers,
        hidden=other.model.hidden,
        embedding=other.model.embedding_size,
        tied="target" if other.model.tied else "none",
    )
    return replace(
        recipe,
        tokenizer=other.tokenizer,
        source_tokenizer=recipe.source_tokenizer or recipe.tokenizer,
        data=replace(recipe.data, joint=False),
        model=model,
    )


def adapt_encoder(recipe: TranslatorRecipe, other: LanguageModelRecipe) -> TranslatorRecipe:
    """A recipe whose encoder's forward direction is a language model of the source."""
    model = replace(
        recipe.model,
        encoder_cell=other.model.cell,
        encoder_layers=other.model.layers,
        encoder_hidden=other.model.hidden,
        embedding=other.model.embedding_size,
        tied="none" if recipe.model.tied == "all" else recipe.model.tied,
    )
    data = replace(recipe.data, joint=False)
    return replace(recipe, source_tokenizer=other.tokenizer, data=data, model=model)


_DECODER = {"embedding.": "target_embedding.", "stack.": "stack.", "projection.": "projection."}


def decoder_name(name: str) -> str | None:
    """Where a language model's weight belongs in a decoder."""
    for begin, new in {**_DECODER, "narrow.": "narrow."}.items():
        if name.startswith(begin):
            return new + name.removeprefix(begin)
    return None


def encoder_name(name: str) -> str | None:
    """Where a language model's weight belongs in an encoder: its forward direction."""
    if name.startswith("embedding."):
        return f"source_{name}"
    found = re.fullmatch(r"stack\.cells\.(\d+)\.(.*)", name)
    return None if found is None else f"encoder.cells.{found[1]}.0.{found[2]}"


def prepare(
    recipe: TranslatorRecipe,
    tokenizers: Mapping[str, TextTokenizer],
    train: ParallelSource,
    valid: ParallelSource | None,
) -> Prepared:
    """Encode both sets of pairs and cut them into batches; see ``Task.prepare``."""
    batches, notes, facts = _training_batches(recipe, tokenizers, train)
    validation = None
    if valid is not None:
        notes += _overlap_notes(train, valid)
        validation = _Validation(recipe, tokenizers, valid, facts)
        notes += validation.notes()
    return Prepared(
        batches=batches,
        objective=TokenLoss(recipe.training.label_smoothing),
        validate=validation,
        facts=facts,
        valid_digest="" if validation is None else validation.digest,
        notes=tuple(notes),
        criterion="-bleu" if recipe.validation.objective == "bleu" else "loss",
    )


def _limits(data: PairConfig) -> PairLimits:
    longest = data.max_length or 1 << 30
    return PairLimits(longest, longest, data.over_long)


def _training_batches(
    recipe: TranslatorRecipe, tokenizers: Mapping[str, TextTokenizer], train: ParallelSource
) -> tuple[PairBatches, list[str], dict[str, Any]]:
    """Batches, what people should know of them, and the facts by which they are known again."""
    data, source, target = recipe.data, tokenizers["source"], tokenizers["target"]
    sampling = data.subword_dropout or data.subword_sampling or 0.0
    limits = _limits(data)
    encoder = PairEncoder(
        train,
        source,
        target,
        limits,
        source_dropout=sampling,
        target_dropout=sampling,
        seed=recipe.training.seed,
    )
    pairs = encoder(0)
    batches = PairBatches(
        pairs,
        recipe.training.batch,
        target.special,
        recipe.training.seed,
        encoder if encoder.varies else None,
    )
    counts = pairs.statistics
    vocabulary = (
        f"one vocabulary of {target.size:,} tokens"
        if source is target
        else f"{source.size:,} source and {target.size:,} target tokens"
    )
    layout = f"{vocabulary}; {len(batches):,} batches, padding {batches.padding_ratio:.3f}."
    notes = [counts.describe(limits), layout]
    facts = {
        "pairs": counts.pairs,
        "source_tokens": counts.source.tokens,
        "target_tokens": counts.target.tokens,
        "target_ratio": (counts.target.tokens + counts.pairs)
        / (counts.source.tokens + counts.pairs),
        "source_digest": pairs.source.digest(source.special.eos),
        "target_digest": pairs.target.digest(target.special.eos),
    }
    return batches, notes, facts


def _overlap_notes(train: ParallelSource, valid: ParallelSource) -> Iterator[str]:
    overlap = find_overlap(train, valid)
    if overlap.sources:
        yield f"Warning: --valid: {overlap}"


class _Validation:
    """Validation: nats per token of all pairs, and BLEU of the first ones, really decoded."""

    def __init__(
        self,
        recipe: TranslatorRecipe,
        tokenizers: Mapping[str, TextTokenizer],
        valid: ParallelSource,
        facts: Mapping[str, Any],
    ) -> None:
        self.recipe = recipe
        self.source, self.target = tokenizers["source"], tokenizers["target"]
        self.ratio = float(facts["target_ratio"])
        self.mixed_precision = MixedPrecision(recipe.training)
        encoder = PairEncoder(valid, self.source, self.target, _limits(recipe.data))
        special = self.target.special
        encoded = encoder(0)
        self.batches = PairBatches(encoded, VALIDATION_TOKENS, special)
        self.pairs = list(itertools.islice(valid.pairs(), recipe.validation.bleu_pairs))
        self.counts = encoded.statistics
        sides = (encoded.source, self.source), (encoded.target, self.target)
        self.digest = digest(side.digest(own.special.eos) for side, own in sides)

    def notes(self) -> Iterator[str]:
        """What share of the validation pairs is judged."""
        text = f"Validation: {self.counts.describe(_limits(self.recipe.data))}"
        judged = len(self.pairs)
        if judged and judged < self.counts.pairs:
            text += f" BLEU is of the first {judged:,}."
        yield text

    def __call__(self, model: nn.Module) -> Mapping[str, float]:
        """The figures of a model in evaluation mode."""
        nats, tokens = total_loss(model, self.batches, self.mixed_precision)
        metrics = {"loss": nats / tokens}
        if self.pairs:
            metrics["bleu"] = self._bleu(model)
        return metrics

    def _bleu(self, model: nn.Module) -> float:
        from textgen.evaluation.translation_metrics import MetricOptions, score_translation
        from textgen.translation import translate

        loaded = LoadedModel(
            name="the model in training",
            folder=Path(),
            kind=TRANSLATOR,
            model=model,
            tokenizer=self.target,
            recipe=self.recipe,
            device=self.mixed_precision.device,
            source_tokenizer=self.source,
            target_ratio=self.ratio,
        )
        chain = resolve(self.recipe.validation.decode, [], default_registries())
        found = translate(loaded, (pair.source for pair in self.pairs), chain)
        scores = score_translation(
            [each.text for each in found],
            [[self.target.normalise(pair.target) for pair in self.pairs]],
            MetricOptions(metrics=("bleu",), tokenizer=self.recipe.validation.tokenizer),
        )
        return float(scores.scores["bleu"].score)
