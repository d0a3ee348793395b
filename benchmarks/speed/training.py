"""Training: the real loop on made-up data, against the bare products of its steps."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.measure import Product, Row, gemm_rate, operations, say
from benchmarks.speed import work
from benchmarks.speed.ceilings import Ceilings
from benchmarks.speed.settings import NUMBERS, Part, Settings, precisions
from benchmarks.speed.synthetic import character_tokenizer, pairs, word_tokenizer, zipf
from textgen.data.batching import Batches, LaneBatches
from textgen.data.pair_batches import PairBatches
from textgen.data.pairs import PairEncoder
from textgen.data.parallel import PairTexts
from textgen.data.streams import stream_of
from textgen.models.language_model import LanguageModel
from textgen.models.translator import Translator
from textgen.protocols import SpecialTokens
from textgen.recipes import load_recipe, load_translator_recipe
from textgen.recipes.training import TrainingConfig
from textgen.training.events import Event, Step
from textgen.training.fit import fit

WORDS = 8000
SENTENCES = 80
"""Of a translator's batch, as far as they fit into 15 target tokens for each."""
FOREVER = 1_000_000


@dataclass(frozen=True)
class Job:
    """A training to be timed.

    Attributes:
        name: in the table.
        model: that is trained.
        batches: of the data.
        config: of the training.
        products: of a forward pass over rows, (S, T), and real tokens.
    """

    name: str
    model: nn.Module
    batches: Batches
    config: TrainingConfig
    products: Callable[[int, tuple[int, int], int], list[Product]]


class Shape(NamedTuple):
    """Of one batch."""

    rows: int
    source: int
    target: int
    tokens: int


class Run:
    """A training that goes on a few steps at a time.

    Attributes:
        shapes: of the batches so far.
        steps: seconds of each step.
        waits: of these, seconds from the end of the step before to the model's first call.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.shapes: list[Shape] = []
        self.steps: list[float] = []
        self.waits: list[float] = []
        self._resumed = 0.0
        self._called: float | None = None
        self._source = 0
        self._tokens = 0
        self._watch(job.model)
        config = replace(
            job.config, steps=FOREVER, epochs=None, minutes=None, log_every=1, validate_every=0
        )
        self.events: Iterator[Event] = fit(job.model, job.batches, None, config)

    def close(self) -> None:
        """End the training."""
        self.events.close()  # type: ignore[attr-defined]

    def go_on(self, seconds: float, least: int = 3) -> None:
        """Train for some seconds, and for some steps at least."""
        until, made = time.perf_counter() + seconds, 0
        while made < least or time.perf_counter() < until:
            self.step()
            made += 1

    def step(self) -> None:
        """One step, with its times."""
        self._called, self._resumed = None, time.perf_counter()
        event = next(each for each in self.events if isinstance(each, Step))
        self.steps.append(time.perf_counter() - self._resumed)
        self.waits.append((self._called or self._resumed) - self._resumed)
        rows, target = self._read
        self.shapes.append(Shape(rows, self._source, target, event.tokens - self._tokens))
        self._tokens = event.tokens

    def forget(self) -> None:
        """What was so far was a warm-up."""
        self.shapes, self.steps, self.waits = [], [], []

    def _watch(self, model: Any) -> None:
        """Note when the model is first called in a step, and with what."""
        begin, features = model.begin, model.features

        def noted_begin(batch: Any) -> Any:
            self._note()
            self._source = 0 if batch.source is None else batch.source.shape[1]
            return begin(batch)

        def noted_features(tokens: Tensor, *others: Any) -> Any:
            self._note()
            self._read = (tokens.shape[0], tokens.shape[1])
            return features(tokens, *others)

        model.begin, model.features = noted_begin, noted_features

    def _note(self) -> None:
        if self._called is None:
            self._called = time.perf_counter()

    @property
    def speed(self) -> float:
        """Target tokens a second."""
        return sum(shape.tokens for shape in self.shapes) / sum(self.steps)

    def mean_shape(self) -> Shape:
        """The mean batch."""
        return Shape(*(round(statistics.fmean(each)) for each in zip(*self.shapes, strict=True)))

    def products(self, shape: Shape) -> list[Product]:
        """Of a step on a batch, gradients included."""
        rows, source, target, tokens = shape
        return work.with_backward(self.job.products(rows, (source, target), tokens))


def translator_job(
    name: str, precision: str, settings: Sequence[str], *, batches: int, words: int = WORDS
) -> Job:
    """The translator of the reference sizes; ``settings`` change the recipe translator-small."""
    recipe = load_translator_recipe(
        "translator-small", [f"training.precision={precision}", *settings]
    )
    torch.manual_seed(0)
    tokenizer = word_tokenizer(words)
    texts = PairTexts(pairs(batches * SENTENCES, words - 5))
    encoded = PairEncoder(texts, tokenizer, tokenizer)(0)
    made = PairBatches(encoded, SENTENCES * 15, tokenizer.special, 0)
    model = Translator(recipe.model, words, words)

    def products(rows: int, lengths: tuple[int, int], tokens: int) -> list[Product]:
        return work.translator(recipe.model, words, rows, lengths, tokens)

    return Job(name, model, made, recipe.training, products)


def language_job(name: str, precision: str, vocabulary: int, settings: Sequence[str]) -> Job:
    """A language model on a stream of random tokens; ``settings`` change the recipe char-small."""
    recipe = load_recipe("char-small", [f"training.precision={precision}", *settings])
    torch.manual_seed(0)
    tokens = zipf(400_000, vocabulary - 4, np.random.default_rng(0)) + 4
    training = recipe.training
    made = LaneBatches(
        stream_of(tokens.astype(np.int32)),
        training.batch,
        training.bptt_length,
        SpecialTokens(0, 1, 2, 3),
        0,
        reset=training.reset_probability,
    )
    model = LanguageModel(recipe.model, vocabulary)

    def products(rows: int, lengths: tuple[int, int], tokens: int) -> list[Product]:
        del tokens
        return work.language_model(recipe.model, vocabulary, rows, lengths[1])

    return Job(name, model, made, training, products)


def jobs(precision: str, settings: Settings) -> list[Job]:
    """All trainings of the table in one type of numbers."""
    batches = settings.pick(24, 3)
    wide = ["model.layers=2", "model.hidden=650", "model.embedding=650", "model.dropout=0.5"]
    wide += ["training.batch=20", "training.bptt_length=35"]
    characters = character_tokenizer().size
    return [
        translator_job(f"translator, general, tied, {precision}", precision, [], batches=batches),
        translator_job(
            f"translator, additive, 13 M parameters, {precision}",
            precision,
            ["model.attention=additive", "model.tied=none"],
            batches=batches,
        ),
        *(
            language_job(
                f"characters, LSTM 2 × {hidden}, {precision}",
                precision,
                characters,
                ["model.layers=2", f"model.hidden={hidden}"],
            )
            for hidden in (256, 512)
        ),
        language_job(f"10,000 words, LSTM 2 × 650, {precision}", precision, 10_000, wide),
    ]


def measure(settings: Settings) -> Part:
    """Train all in turn, a few steps at a time, and time the bare products of their steps."""
    names = precisions("float32", "bfloat16")
    ceilings = {name: Ceilings(NUMBERS[name]) for name in names}
    peaks = dict.fromkeys(names, 0.0)
    rows: list[Row] = []
    data: dict[str, Any] = {"gemm_peak": peaks}
    waits: list[tuple[str, float]] = []
    for several in zip(*(jobs(name, settings) for name in names), strict=True):
        for name in names:  # again and again: somebody else may want the processor at times
            peaks[name] = max(peaks[name], gemm_rate(2048, 2048, 2048, NUMBERS[name]))
        for name, run in zip(names, _timed(several, settings), strict=True):
            job = run.job
            say(f"  {job.name}: {run.speed:,.0f} tokens/s")
            shape = run.mean_shape()
            products = run.products(shape)
            allowed = shape.tokens / ceilings[name].seconds(products)
            rate = operations(products) / shape.tokens * run.speed
            rows.append(Row(job.name, run.speed, "tokens/s", allowed, "its products alone"))
            rows.append(
                Row("↳ operations", rate / 1e9, "GFLOP/s", peaks[name] / 1e9, "product of 2048³")
            )
            waits.append((job.name, sum(run.waits) / sum(run.steps)))
            data[job.name] = {"shape": shape._asdict(), "steps": len(run.steps)}
    longest = max(waits, key=lambda each: each[1])
    data["waiting"] = dict(waits)
    rows.append(Row("waiting for data, share of the time", 100 * longest[1], "%"))
    notes = [f"The longest waits are those of: {longest[0]}."]
    return Part("Training", rows, notes, data=data)


def _timed(several: Sequence[Job], settings: Settings) -> list[Run]:
    """Runs of the same training in several types of numbers, timed in turn."""
    rounds, seconds = settings.pick(4, 1), 0.1 if settings.quick else 2.0
    with ExitStack() as stack:
        # a training sets torch's products when it begins and resets them when it ends
        runs = [stack.enter_context(closing(Run(job))) for job in several]
        for run in runs:
            warmup = min(len(run.job.batches), settings.pick(24, 3))
            run.go_on(0.0, warmup)
            run.forget()
        for _ in range(rounds):
            for run in runs:
                run.go_on(seconds)
    return runs
