"""A task: lines to one label each, read as pairs (line, label)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from annotated_types import Ge, Lt
from torch import Tensor, nn
from torch.nn import functional as F

from textgen.components import ENCODERS, Registered
from textgen.data.batching import Batches, pad_rows
from textgen.data.documents import digest
from textgen.data.parallel import ParallelSource, hold_out_pairs
from textgen.data.tensor_batch import TensorBatch
from textgen.data.tokenizers import TextTokenizer, TokenizerConfig, train_tokenizer
from textgen.errors import DataError
from textgen.loaded import UsableModel
from textgen.models.config import EncoderConfig
from textgen.models.encoder import make_encoder
from textgen.recipes.training import TrainingConfig
from textgen.task import Prepared, Task
from textgen.training.objective import Loss
from textgen.training.precision import MixedPrecision


@dataclass(frozen=True)
class DataConfig:
    """How lines are held out."""

    valid_share: Annotated[float, Ge(0), Lt(1), "held out for validation"] = 0.1


@dataclass(frozen=True)
class ClassifierConfig(EncoderConfig):
    """An embedding, an encoder and a linear layer."""

    encoder: Annotated[str, Registered(ENCODERS), "what reads the line"] = "recurrent"
    embedding: Annotated[int, Ge(1), "width of the token vectors"] = 16


@dataclass(frozen=True)
class ClassifierRecipe:
    """All that makes a classifier out of labelled lines."""

    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    data: DataConfig = field(default_factory=DataConfig)
    model: ClassifierConfig = field(default_factory=ClassifierConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)


class Classifier(nn.Module):
    """Tokens (B, S) to logits (B, C)."""

    def __init__(self, config: ClassifierConfig, vocabulary: int, labels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, config.embedding)
        self.encoder = make_encoder(config.encoder, config.embedding, config)
        self.output = nn.Linear(self.encoder.size, labels)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Logits (B, C) of tokens (B, S) int64 with lengths (B,) int64."""
        logits: Tensor = self.output(self.encoder(self.embedding(tokens), lengths).summary)
        return logits


@dataclass(frozen=True)
class LabelledLines(TensorBatch):
    """B lines with their labels.

    Attributes:
        tokens: (B, S) int64, right-padded.
        lengths: (B,) int64.
        labels: (B,) int64.
    """

    tokens: Tensor
    lengths: Tensor
    labels: Tensor

    @property
    def count(self) -> int:
        """One prediction a line."""
        return len(self.labels)


class LineBatches:
    """Batches of labelled lines, in an order of their own in each epoch."""

    def __init__(self, lines: list[tuple[list[int], int]], size: int, seed: int | None) -> None:
        if not lines:
            raise DataError("There is no line to make batches of.")
        self.lines, self.size, self.seed = lines, size, seed

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return math.ceil(len(self.lines) / self.size)

    def iterate(self, epoch: int, start: int = 0) -> Iterator[LabelledLines]:
        """The batches of an epoch from number ``start`` on."""
        order = np.arange(len(self.lines))
        if self.seed is not None:
            order = np.random.default_rng([self.seed, epoch]).permutation(order)
        for begin in range(start * self.size, len(order), self.size):
            chosen = [self.lines[int(each)] for each in order[begin : begin + self.size]]
            yield LabelledLines(
                pad_rows([np.array(tokens, dtype=np.int32) for tokens, _ in chosen], 0),
                torch.tensor([len(tokens) for tokens, _ in chosen]),
                torch.tensor([label for _, label in chosen]),
            )


@dataclass(frozen=True)
class LabelLoss:
    """Cross-entropy of the labels, nats per line."""

    unit: ClassVar[str] = "line"

    def loss(self, model: Any, batch: LabelledLines, carried: Any) -> Loss:
        """See ``textgen.training.objective.Objective``."""
        del carried
        logits = model(batch.tokens, batch.lengths).float()
        mean = F.cross_entropy(logits, batch.labels)
        return Loss(mean, mean.detach() * batch.count)

    def measure(
        self, model: nn.Module, batches: Batches[LabelledLines], mixed_precision: MixedPrecision
    ) -> Mapping[str, float]:
        """Nats per line, and the share of right labels."""
        nats = right = lines = 0.0
        for given in batches.iterate(0):
            batch = given.to(mixed_precision.device)
            with torch.no_grad(), mixed_precision.autocast():
                logits = model(batch.tokens, batch.lengths).float()
            nats += F.cross_entropy(logits, batch.labels, reduction="sum").item()
            right += (logits.argmax(1) == batch.labels).sum().item()
            lines += batch.count
        return {"loss": nats / lines, "accuracy": right / lines}


@dataclass(frozen=True, repr=False)
class LoadedClassifier(UsableModel):
    """A classifier with its verb."""

    def predict(self, line: str) -> str:
        """The likeliest label of a line."""
        tokens = torch.tensor([self.vocabularies["text"].encode(line)], device=self.device)
        lengths = torch.tensor([tokens.shape[1]], device=self.device)
        labels = self.vocabularies["label"]
        with torch.no_grad():
            logits = self.model(tokens, lengths)[0]
        logits[[mark for mark in labels.special if mark is not None]] = -torch.inf
        return labels.decode([int(logits.argmax())])


def _hold_out(
    recipe: ClassifierRecipe, train: ParallelSource
) -> tuple[ParallelSource, ParallelSource]:
    return hold_out_pairs(train, recipe.data.valid_share)


def _learn(recipe: ClassifierRecipe, train: ParallelSource) -> dict[str, TextTokenizer]:
    lines, labels = zip(*train.pairs(), strict=True)
    words = TokenizerConfig(kind="words")
    return {
        "text": train_tokenizer(recipe.tokenizer, (f"{line}\n" for line in lines)),
        "label": train_tokenizer(words, (f"{label} " for label in labels)),
    }


def _prepare(
    recipe: ClassifierRecipe,
    vocabularies: Mapping[str, TextTokenizer],
    train: ParallelSource,
    valid: ParallelSource | None,
) -> Prepared:
    text, label = vocabularies["text"], vocabularies["label"]
    digests: list[str] = []

    def batches(source: ParallelSource, seed: int | None) -> LineBatches:
        pairs = list(itertools.islice(source.pairs(), 1 << 20))
        digests.append(digest(side for pair in pairs for side in pair))
        lines = [(text.encode(line), label.encode(name)[0]) for line, name in pairs]
        return LineBatches(lines, recipe.training.batch, seed)

    objective, made = LabelLoss(), batches(train, recipe.training.seed)
    held_out = None if valid is None else batches(valid, None)

    def validate(model: nn.Module) -> Mapping[str, float]:
        assert held_out is not None
        return objective.measure(model, held_out, MixedPrecision(recipe.training))

    return Prepared(
        batches=made,
        objective=objective,
        validate=None if valid is None else validate,
        facts={"lines": len(made.lines), "digest": digests[0]},
        valid_digest=digests[-1],
        notes=(f"{len(made.lines)} lines to learn from.",),
        criterion="-accuracy" if valid is not None else "loss",
    )


def _build(recipe: ClassifierRecipe, vocabularies: Mapping[str, TextTokenizer]) -> Classifier:
    return Classifier(recipe.model, vocabularies["text"].size, vocabularies["label"].size)


TASK = Task(
    name="line-classifier",
    command="line-classifier",
    about="Train a classifier of lines.",
    examples=("textgen train line-classifier --train lines.txt labels.txt --out labels",),
    reads="pairs",
    default_recipe=str(Path(__file__).with_name("line_classifier.toml")),
    recipe="textgen_example.classifier:ClassifierRecipe",
    vocabularies=lambda _: {"text": "tokenizer", "label": "label_tokenizer"},
    check=lambda _: None,
    hold_out=_hold_out,
    learn=_learn,
    prepare=_prepare,
    build=_build,
    display=lambda _: lambda nats: f"odds {math.exp(-nats):.1%}",
    loaded="textgen_example.classifier:LoadedClassifier",
)
