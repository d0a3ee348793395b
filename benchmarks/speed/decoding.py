"""Translating: sentences a second, against the bare products of the same steps and rows."""

from __future__ import annotations

import dataclasses
import functools
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmarks.measure import Product, Row, Work, interleaved, say
from benchmarks.speed import work
from benchmarks.speed.ceilings import Ceilings
from benchmarks.speed.settings import NUMBERS, Part, Settings, precisions
from benchmarks.speed.synthetic import pairs, sentences, word_tokenizer
from textgen.data.parallel import PairTexts
from textgen.data.tokenizers import save_tokenizer
from textgen.decoding.chain import Chain, default_registries, resolve
from textgen.errors import UsageError
from textgen.loading import LoadedModel, load_model
from textgen.recipes import load_translator_recipe
from textgen.tasks.translator import train_translator
from textgen.translation import Translation, TranslationOptions, translate

WORDS = 8000
USED = 300
"""So many of them occur in the made-up pairs: these are learnt within a minute."""
BATCH = 64
ALONE = TranslationOptions(batch_tokens=1)
"""Each line is decoded by itself."""


@dataclass
class Steps:
    """What a model was asked for in a decoding.

    Attributes:
        sources: how often (B, S) sources were encoded.
        steps: how often B sources with K hypotheses each went T tokens on, over S states.
        logits: how often the output layer saw so many rows, and how many tokens it had.
    """

    sources: Counter[tuple[int, int]] = field(default_factory=Counter)
    steps: Counter[tuple[int, int, int, int]] = field(default_factory=Counter)
    logits: Counter[tuple[int, int]] = field(default_factory=Counter)

    def products(self, config: Any, *, looked_up: bool = False) -> list[Product]:
        """All products of it: those of a translator; ``looked_up`` as for ``work.stack``."""
        found: list[Product] = []
        for (rows, length), times in self.sources.items():
            found += _repeated(work.encoding(config, rows, length), times)
        for (rows, width, tokens, length), times in self.steps.items():
            step = work.decoding(config, rows, width, length, tokens, looked_up=looked_up)
            found += _repeated(step, times)
        for (rows, size), times in self.logits.items():
            found += _repeated(work.translator_logits(config, size, rows), times)
        return found


def _repeated(products: Sequence[Product], times: int) -> list[Product]:
    return [product._replace(times=product.times * times) for product in products]


class Watched:
    """A model that notes what it is asked for; all else it leaves to the model.

    Args:
        model: a ``textgen.protocols.Model``.
        steps: where it is noted.
        length: S of the sources that were encoded last.
    """

    def __init__(self, model: Any, steps: Steps, length: int = 0) -> None:
        self._model, self._steps, self._length = model, steps, length

    def __getattr__(self, name: str) -> Any:
        """All that is not noted; models made of the model are noted as well."""
        found = getattr(self._model, name)
        if name not in {"for_decoding", "restricted"}:
            return found
        return lambda *options: Watched(found(*options), self._steps, self._length)

    def begin(self, batch: Any) -> Any:
        """Encode, and note how much."""
        if batch.source is not None:
            self._length = int(batch.source.shape[1])
            self._steps.sources[batch.source.shape[0], self._length] += 1
        return self._model.begin(batch)

    def features(self, tokens: Tensor, state: Any, *others: Any) -> Any:
        """Go on, and note how far."""
        rows, count = tokens.shape
        sources = rows // state.width
        self._steps.steps[sources, state.width, count, self._length] += 1
        return self._model.features(tokens, state, *others)

    def output(self, features: Tensor) -> Any:
        """Logits, and note how many."""
        logits = self._model.output(features)
        rows = features.numel() // features.shape[-1]
        self._steps.logits[rows, logits.shape[-1]] += 1
        return logits

    def __call__(self, tokens: Tensor, state: Any) -> Any:
        """Features and their logits."""
        features, state = self.features(tokens, state)
        return self.output(features), state


@dataclass(frozen=True)
class Way:
    """A way to decode.

    Attributes:
        name: in the table.
        decode: the strategy.
        options: of the translation.
        lines: how many are translated.
    """

    name: str
    decode: str
    options: TranslationOptions
    lines: int


def together(lines: Sequence[str], encode: Any) -> TranslationOptions:
    """Options by which about 64 lines are decoded at once."""
    mean = statistics.fmean(len(encode(line)) + 1 for line in lines)
    return TranslationOptions(batch_tokens=round(BATCH * mean))


def run(
    loaded: LoadedModel, lines: Sequence[str], chain: Chain, options: TranslationOptions
) -> list[Translation]:
    """Translate all lines."""
    return list(translate(loaded, lines, chain, options))


def counted(
    loaded: LoadedModel, lines: Sequence[str], chain: Chain, options: TranslationOptions
) -> Steps:
    """What the model is asked for while lines are translated.

    Raises:
        RuntimeError: if it is asked for nothing: then something else decodes.
    """
    steps = Steps()
    watched = dataclasses.replace(loaded, model=Watched(loaded.model, steps))
    run(watched, lines, chain, options)
    if not steps.logits:
        raise RuntimeError("no step of the model was seen")
    return steps


def trained(settings: Settings) -> str:
    """A folder with a translator of the reference sizes that has learnt some seconds long."""
    folder = settings.folder / "translator"
    if folder.exists():
        return str(folder)
    say(f"  training a translator for {settings.seconds:g} s")
    corpus = PairTexts(pairs(settings.pick(20_000, 2_000), USED))
    tokenizer = settings.folder / "words"
    tokenizer.mkdir(exist_ok=True)
    save_tokenizer(word_tokenizer(WORDS), tokenizer)
    recipe = load_translator_recipe(
        "translator-small",
        [
            "tokenizer.kind=words",
            f"tokenizer.size={WORDS}",
            f"training.minutes={settings.seconds / 60}",
            "training.batch=1200",
            "training.learning_rate=4e-3",
            "training.validate_every=0",
            "data.valid_share=0",
        ],
    )
    for _ in train_translator(recipe, corpus, None, folder):
        pass
    return str(folder)


def measure(settings: Settings) -> Part:
    """Beam 1 and 5, 64 sentences at once and one at a time, in all types of numbers."""
    folder = settings.model or trained(settings)
    lines = some_lines(settings)
    models = {}
    for name in precisions("float32", "bfloat16", "int8"):
        try:
            models[name] = load_model(folder, "cpu", precision=name)
        except UsageError:
            continue  # not every version of textgen has all of them
    encode = next(iter(models.values())).require_source().encode
    batch = together(lines, encode)
    ways = [
        Way(f"greedy, {BATCH} at once", "greedy", batch, settings.pick(320, 64)),
        Way(f"beam of 5, {BATCH} at once", "beam:width=5", batch, settings.pick(320, 64)),
        Way("greedy, one at a time", "greedy", ALONE, settings.pick(64, 4)),
        Way("beam of 5, one at a time", "beam:width=5", ALONE, settings.pick(48, 4)),
    ]
    ceilings = {name: Ceilings(NUMBERS[name]) for name in models}
    rows: list[Row] = []
    notes: list[str] = []
    for way in ways:
        rows += _rows(way, models, ceilings, lines[: way.lines], settings)
    chain = resolve("beam:width=5", [], default_registries())
    found = run(models["float32"], lines[:128], chain, batch)
    source = statistics.fmean(len(each.source_tokens) for each in found)
    target = statistics.fmean(len(each.candidates[0].tokens) for each in found)
    notes.append(f"Mean lengths: sources {source:.1f} tokens, translations {target:.1f} tokens.")
    return Part("Translating", rows, notes, data={"source": source, "target": target})


def _rows(
    way: Way,
    models: dict[str, LoadedModel],
    ceilings: dict[str, Ceilings],
    lines: Sequence[str],
    settings: Settings,
) -> list[Row]:
    """One way to decode in all types of numbers, timed in turn."""
    chain = resolve(way.decode, [], default_registries())
    works: dict[str, Work] = {
        name: functools.partial(run, loaded, lines, chain, way.options)
        for name, loaded in models.items()
    }
    spent = interleaved(works, warmup=0, rounds=settings.pick(3, 1))
    rows = []
    for name, loaded in models.items():
        steps = counted(loaded, lines, chain, way.options)
        products = steps.products(loaded.recipe.model, looked_up=True)
        allowed = len(lines) / ceilings[name].seconds(products)
        speed = len(lines) / spent[name]
        title = f"{way.name}, {name}"
        say(f"  {title}: {speed:,.0f} sentences/s of {allowed:,.0f}")
        rows.append(Row(title, speed, "sentences/s", allowed, "the products of its steps"))
    return rows


def some_lines(settings: Settings) -> list[str]:
    """What is translated; random order, as lengths come in a text."""
    if settings.source is not None:
        return Path(settings.source).read_text(encoding="utf-8").splitlines()
    return sentences(settings.pick(320, 64), USED, seed=1)
