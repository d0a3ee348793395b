"""From sentence pairs to a trained translator in a folder."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from textgen.checkpoint import SOURCE_TOKENIZER, save_config
from textgen.config import as_dict
from textgen.data.documents import digest
from textgen.data.pair_batches import PairBatches
from textgen.data.pairs import PairEncoder, PairLimits
from textgen.data.parallel import ParallelSource, find_overlap, hold_out_pairs
from textgen.data.tokenizers import (
    TextTokenizer,
    fingerprints,
    load_tokenizer,
    save_tokenizer,
    train_tokenizer,
)
from textgen.decoding.chain import default_registries, resolve
from textgen.errors import ConfigError, UsageError
from textgen.evaluation.translation_metrics import check_tokenizer
from textgen.loading import LoadedModel
from textgen.models.translator import Translator
from textgen.recipes.recipe import TRANSLATOR, PairConfig, TranslatorRecipe
from textgen.training.events import Event, Note
from textgen.training.fit import fit
from textgen.training.folder import check_folder, judged_anew, saving, share, shared_state
from textgen.training.group import Group
from textgen.training.interrupts import Interrupts
from textgen.training.objective import total_loss
from textgen.training.precision import Arithmetic

VALIDATION_TOKENS = 4096


@dataclass(frozen=True)
class _Tokenizers:
    """Of both sides; one object where the vocabulary is joint."""

    source: TextTokenizer
    target: TextTokenizer

    @property
    def joint(self) -> bool:
        return self.source is self.target

    def save(self, folder: Path) -> None:
        save_tokenizer(self.target, folder)
        if not self.joint:
            save_tokenizer(self.source, folder, SOURCE_TOKENIZER)


def train_translator(
    recipe: TranslatorRecipe,
    train: ParallelSource,
    valid: ParallelSource | None,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    group: Group | None = None,
) -> Iterator[Event]:
    """Train a translator and save it.

    Seeds torch's generators. Tokenizers are learnt from the training pairs alone.

    Args:
        recipe: tokenizers, data, model, training.
        train: pairs; also the validation's, where that is None.
        valid: None holds out ``recipe.data.valid_share`` of ``train``.
        out: folder for the model, made if it is missing.
        resume: go on where the training in ``out`` was interrupted.
        overwrite: replace a model that is in ``out``, by the first weights that are saved; until
            then it stays as it is.
        group: of the processes that train together; the first one alone uses ``out``. None is
            this process alone.

    Returns:
        Events as they happen; iterating makes the training go on. Ctrl-C saves after the current
        step and is raised again.

    Raises:
        UsageError: if ``out`` holds a model and neither resume nor overwrite is given.
        ConfigError: if options contradict each other.
        DataError: if the pairs cannot be used.
        CheckpointError: if files cannot be written, or those to resume from cannot be read.
        TrainingError: if the loss is no longer finite, or another process of the group has ended;
            what was saved before is kept.
    """
    recipe.training.require_bound()
    _check(recipe)
    group = group or Group()
    if group.leads:
        check_folder(out, TRANSLATOR, as_dict(recipe), resume=resume, overwrite=overwrite)
    Arithmetic(recipe.training)  # no text is read for a device that is not there
    return _train(recipe, train, valid, out, group, resume=resume)


def _check(recipe: TranslatorRecipe) -> None:
    """Options that exclude each other."""
    problems = []
    if recipe.source_tokenizer is not None and recipe.data.joint:
        problems.append(
            "data.joint: one vocabulary has one tokenizer: set data.joint=false to have a "
            "source_tokenizer of its own."
        )
    if recipe.judge.objective == "bleu" and not recipe.judge.bleu_pairs:
        problems.append("judge.objective: bleu needs judge.bleu_pairs, the pairs to decode.")
    try:
        check_tokenizer(recipe.judge.tokenizer)
    except UsageError as error:
        problems.append(f"judge.tokenizer: {error}")
    if recipe.data.subword_dropout and recipe.data.subword_sampling:
        problems.append("data.subword_dropout and data.subword_sampling: give one of them.")
    if problems:
        raise ConfigError(problems)


def _train(
    recipe: TranslatorRecipe,
    train: ParallelSource,
    valid: ParallelSource | None,
    out: Path,
    group: Group,
    *,
    resume: bool,
) -> Iterator[Event]:
    held_out = valid is None and recipe.data.valid_share > 0
    if held_out:
        train, valid = hold_out_pairs(train, recipe.data.valid_share)
    tokenizers = share(
        group,
        lambda: _load_tokenizers(recipe, out) if resume else _make_tokenizers(recipe, train),
        _Tokenizers.save,
        functools.partial(_load_tokenizers, recipe),
    )
    batches, notes, facts = _training_batches(recipe, tokenizers, train)
    yield from map(Note, notes)
    if valid is not None:
        yield from _overlap_notes(train, valid)
    torch.manual_seed(recipe.training.seed)
    model = Translator(recipe.model, tokenizers.source.size, tokenizers.target.size)
    criterion = "-bleu" if recipe.judge.objective == "bleu" else "loss"
    state = shared_state(out, facts, group, resume=resume)
    judge = None if valid is None else _Judge(recipe, tokenizers, valid, out, facts)
    origin: dict[str, Any] = {"train": {"name": train.name, **_digests(facts)}, "valid": None}
    if valid is not None and judge is not None:
        yield from map(Note, judge.notes())
        origin["valid"] = {"name": valid.name, "digest": judge.digest, "held_out": held_out}
    state, note = judged_anew(
        state, out, model, judge, origin["valid"], criterion=criterion, group=group
    )
    if note is not None:
        yield Note(note)

    def describe(place: Path) -> None:
        if not resume:
            tokenizers.save(place)
        save_config(place, TRANSLATOR, as_dict(recipe), {**facts, **origin})

    with Interrupts() as interrupts:
        events = fit(
            model,
            batches,
            judge,
            recipe.training,
            state=state,
            criterion=criterion,
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


def _make_tokenizers(recipe: TranslatorRecipe, train: ParallelSource) -> _Tokenizers:
    """Learn both tokenizers from the training pairs."""

    def side(which: int) -> Iterator[str]:
        return (pair[which].strip() + "\n" for pair in train.pairs())

    if recipe.data.joint:
        joint = train_tokenizer(recipe.tokenizer, itertools.chain(side(0), side(1)))
        return _Tokenizers(joint, joint)
    source = train_tokenizer(recipe.source_tokenizer or recipe.tokenizer, side(0))
    return _Tokenizers(source, train_tokenizer(recipe.tokenizer, side(1)))


def _load_tokenizers(recipe: TranslatorRecipe, folder: Path) -> _Tokenizers:
    target = load_tokenizer(folder)
    if recipe.data.joint:
        return _Tokenizers(target, target)
    return _Tokenizers(load_tokenizer(folder, SOURCE_TOKENIZER), target)


def _limits(data: PairConfig) -> PairLimits:
    longest = data.max_length or 1 << 30
    return PairLimits(longest, longest, data.over_long)


def _training_batches(
    recipe: TranslatorRecipe, tokenizers: _Tokenizers, train: ParallelSource
) -> tuple[PairBatches, list[str], dict[str, Any]]:
    """Batches, what people should know of them, and the facts by which they are known again."""
    data = recipe.data
    sampling = data.subword_dropout or data.subword_sampling or 0.0
    limits = _limits(data)
    encoder = PairEncoder(
        train,
        tokenizers.source,
        tokenizers.target,
        limits,
        source_dropout=sampling,
        target_dropout=sampling,
        seed=recipe.training.seed,
    )
    pairs = encoder(0)
    batches = PairBatches(
        pairs,
        recipe.training.batch,
        tokenizers.target.marks,
        recipe.training.seed,
        encoder if encoder.varies else None,
    )
    counts = pairs.statistics
    vocabulary = (
        f"one vocabulary of {tokenizers.target.size:,} tokens"
        if tokenizers.joint
        else f"{tokenizers.source.size:,} source and {tokenizers.target.size:,} target tokens"
    )
    layout = f"{vocabulary}; {len(batches):,} batches, padding {batches.padding_ratio:.3f}."
    notes = [counts.describe(limits), layout]
    facts = {
        "pairs": counts.pairs,
        "source_tokens": counts.source.tokens,
        "target_tokens": counts.target.tokens,
        "target_ratio": (counts.target.tokens + counts.pairs)
        / (counts.source.tokens + counts.pairs),
        "source_digest": pairs.source.digest(tokenizers.source.marks.eos),
        "target_digest": pairs.target.digest(tokenizers.target.marks.eos),
        "tokenizers": fingerprints(tokenizers.target, tokenizers.source),
    }
    return batches, notes, facts


def _digests(facts: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in facts.items() if name.endswith("digest")}


def _overlap_notes(train: ParallelSource, valid: ParallelSource) -> Iterator[Note]:
    overlap = find_overlap(train, valid)
    if overlap.sources:
        yield Note(str(overlap))


class _Judge:
    """Validation: nats per token of all pairs, and BLEU of the first ones, really decoded."""

    def __init__(
        self,
        recipe: TranslatorRecipe,
        tokenizers: _Tokenizers,
        valid: ParallelSource,
        folder: Path,
        facts: Mapping[str, Any],
    ) -> None:
        self.recipe, self.tokenizers, self.folder = recipe, tokenizers, folder
        self.ratio = float(facts["target_ratio"])
        self.arithmetic = Arithmetic(recipe.training)
        encoder = PairEncoder(valid, tokenizers.source, tokenizers.target, _limits(recipe.data))
        marks = tokenizers.target.marks
        encoded = encoder(0)
        self.batches = PairBatches(encoded, VALIDATION_TOKENS, marks)
        self.pairs = list(itertools.islice(valid.pairs(), recipe.judge.bleu_pairs))
        self.counts = encoded.statistics
        sides = (encoded.source, tokenizers.source), (encoded.target, tokenizers.target)
        self.digest = digest(side.digest(own.marks.eos) for side, own in sides)

    def notes(self) -> Iterator[str]:
        """What share of the validation pairs is judged."""
        text = f"Validation: {self.counts.describe(_limits(self.recipe.data))}"
        judged = len(self.pairs)
        if judged and judged < self.counts.pairs:
            text += f" BLEU is of the first {judged:,}."
        yield text

    def __call__(self, model: nn.Module) -> Mapping[str, float]:
        """The figures of a model in evaluation mode."""
        nats, tokens = total_loss(model, self.batches, self.arithmetic)
        metrics = {"loss": nats / tokens}
        if self.pairs:
            metrics["bleu"] = self._bleu(model)
        return metrics

    def _bleu(self, model: nn.Module) -> float:
        from textgen.evaluation.translation_metrics import MetricOptions, score_translation
        from textgen.translation import translate

        loaded = LoadedModel(
            name=str(self.folder),
            folder=self.folder,
            kind=TRANSLATOR,
            model=model,
            tokenizer=self.tokenizers.target,
            recipe=self.recipe,
            device=self.arithmetic.device,
            source_tokenizer=self.tokenizers.source,
            target_ratio=self.ratio,
        )
        chain = resolve(self.recipe.judge.decode, [], default_registries())
        found = translate(loaded, (pair.source for pair in self.pairs), chain)
        scores = score_translation(
            [each.text for each in found],
            [[self.tokenizers.target.normalise(pair.target) for pair in self.pairs]],
            MetricOptions(metrics=("bleu",), tokenizer=self.recipe.judge.tokenizer),
        )
        return float(scores.scores["bleu"].score)
