"""How time grows with batch, beam, sizes, lengths and corpus, beside how the work grows."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing

import torch

from benchmarks.measure import Product, Work, interleaved, operations, say
from benchmarks.speed import work
from benchmarks.speed.curves import Curve, exponent, exponent_table, faster_than_work
from benchmarks.speed.decoding import Steps, Watched
from benchmarks.speed.growth_plot import plot_curves
from benchmarks.speed.settings import Part, Settings
from benchmarks.speed.synthetic import pairs, save_translator, sentences, word_tokenizer
from benchmarks.speed.training import Job, Run
from textgen.data.batching import Batches, TrainingBatch
from textgen.data.documents import Texts
from textgen.data.pair_batches import PairBatches
from textgen.data.pairs import PairEncoder
from textgen.data.parallel import PairTexts
from textgen.data.tokenising import tokenise_stream
from textgen.decoding.chain import default_registries, resolve
from textgen.loading import LoadedModel, load_model
from textgen.models.translator import Translator
from textgen.recipes import TranslatorRecipe, load_translator_recipe
from textgen.translation import MaxLength, TranslationOptions
from textgen.translation.grouping import SourceLine
from textgen.translation.lines import translate_windows

WORDS, HIDDEN, LENGTH, TOKENS = 8000, 512, 14, 12
ALL = 1 << 30
DECODING, TRAINING = "decoding", "training step"
UPDATE = 14
"""Numbers moved to update one parameter: clipping reads the gradient and writes it smaller, Adam
reads and writes weight and moments, the moving average itself, and the gradient becomes 0."""
ORDERS = {"hidden size": 2}
"""Power of the size in the largest term of the work, where it is not 1."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Of one measurement.

    Attributes:
        batch: sources.
        beam: hypotheses of each.
        hidden: H; the embeddings are half as wide.
        vocabulary: V.
        length: S, without eos.
        tokens: T.
    """

    batch: int = 16
    beam: int = 1
    hidden: int = HIDDEN
    vocabulary: int = WORDS
    length: int = LENGTH
    tokens: int = TOKENS


GROWING: dict[str, tuple[str, tuple[int, ...], Sizes]] = {
    "sources in a batch": ("batch", (1, 4, 16, 64, 256), Sizes()),
    "width of the beam": ("beam", (1, 2, 5, 10, 20, 50), Sizes(batch=8)),
    "hidden size": ("hidden", (64, 128, 256, 512, 1024), Sizes()),
    "vocabulary": ("vocabulary", (4_000, 8_000, 16_000, 32_000, 64_000, 128_000), Sizes()),
    "length of the source": ("length", (10, 30, 100, 300, 999), Sizes(batch=4)),
}
"""Axis, the field of ``Sizes`` that grows, its values, and all the others."""
QUICK = 2


def measure(settings: Settings) -> Part:
    """All curves, as a table, a picture and data."""
    curves: list[Curve] = []
    for grows, (name, values, base) in GROWING.items():
        several = [
            dataclasses.replace(base, **{name: value})
            for value in (values[:QUICK] if settings.quick else values)
        ]
        curves.append(_decoding_curve(grows, several, settings))
        say(f"  {grows}, {DECODING}: {_summary(curves[-1])}")
        if name != "beam":
            curves.append(_training_curve(grows, several, settings))
            say(f"  {grows}, {TRAINING}: {_summary(curves[-1])}")
    curves += _corpus_curves(settings)
    if settings.plot:
        plot_curves(settings.plot, curves)
    fast = [f"{curve.name} with {curve.grows}" for curve in faster_than_work(curves)]
    said = (
        f"Time grows faster than the order of its work here: {', '.join(fast)}."
        if fast
        else "No time grows faster than the order of its work (0.1 in the exponent is noise)."
    )
    work_is = (
        "Work is operations of products, or numbers moved in memory, whichever grows more; of a "
        "corpus, its lines. Order is the power of the size in the largest term of the work."
    )
    data = {"curves": [curve.data() for curve in curves], "picture": bool(settings.plot)}
    return Part("Growth", notes=[said, work_is], extra=exponent_table(curves), data=data)


def _values(grows: str, several: Sequence[Sizes]) -> tuple[int, ...]:
    """What grows, from the smallest on."""
    return tuple(getattr(each, GROWING[grows][0]) for each in several)


def _work(products: Sequence[Product], numbers: float = 0.0) -> tuple[float, float]:
    """Floating-point operations of products, and numbers moved by them and beside them."""
    return operations(products), work.moved(products) + numbers


def largest(sizes: Sequence[int], done: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    """Of the kinds of work that a curve has at each size, the one that grows the most at the end.

    Less would be no bound: what grows slower is lost beside it as sizes grow.
    """
    kinds = list(zip(*done, strict=True))
    return max(kinds, key=lambda kind: exponent(sizes[-3:], kind[-3:]))


def _parameters(run: Run) -> int:
    return sum(each.numel() for each in run.job.model.parameters())


def _summary(curve: Curve) -> str:
    time, done = curve.exponents
    return f"time ^{time:.2f}, work ^{done:.2f}"


def _recipe(sizes: Sizes) -> TranslatorRecipe:
    return load_translator_recipe(
        "translator-small",
        [
            f"model.hidden={sizes.hidden}",
            f"model.embedding={max(1, sizes.hidden // 2)}",
            "training.precision=float32",
        ],
    )


def _loaded(sizes: Sizes, settings: Settings) -> LoadedModel:
    """A translator of seeded random weights that goes on to its limit."""
    folder = settings.folder / f"growth-{sizes.hidden}-{sizes.vocabulary}"
    if not folder.exists():
        save_translator(folder, _recipe(sizes), word_tokenizer(sizes.vocabulary))
    return load_model(str(folder), "cpu")


def decode(loaded: LoadedModel, lines: Sequence[str], beam: int, tokens: int) -> None:
    """Translate all lines at once into ``tokens`` tokens each."""
    name = "greedy" if beam == 1 else f"beam:width={beam}"
    chain = resolve(name, [], default_registries())
    options = TranslationOptions(batch_tokens=ALL, max_length=MaxLength(0, tokens))
    for _ in translate_windows(loaded, [[SourceLine(line) for line in lines]], chain, options):
        pass


def _decoding_curve(grows: str, several: Sequence[Sizes], settings: Settings) -> Curve:
    sizes = _values(grows, several)
    works: dict[str, Work] = {}
    done = []
    for size, each in zip(sizes, several, strict=True):
        loaded = _loaded(each, settings)
        lines = _lines(each)
        works[str(size)] = functools.partial(decode, loaded, lines, each.beam, each.tokens)
        steps = Steps()
        watched = dataclasses.replace(loaded, model=Watched(loaded.model, steps))
        decode(watched, lines, each.beam, each.tokens)
        done.append(_work(steps.products(loaded.recipe.model)))
    spent = interleaved(works, warmup=0, rounds=settings.pick(3, 1))
    return Curve(
        grows, DECODING, sizes, tuple(spent.values()), largest(sizes, done), ORDERS.get(grows, 1)
    )


def _lines(sizes: Sizes) -> list[str]:
    """Sources of the same length; no two are alike."""
    words = sizes.vocabulary - 5
    return [
        " ".join(f"w{(31 * row + 7 * place) % words}" for place in range(sizes.length))
        for row in range(sizes.batch)
    ]


class Repeated(Batches):
    """The same batch again and again."""

    def __init__(self, batch: TrainingBatch) -> None:
        self.batch = batch

    def __len__(self) -> int:
        """Batches of an epoch."""
        return 1000

    def iterate(self, epoch: int, start: int = 0) -> Iterator[TrainingBatch]:
        """The batch."""
        del epoch
        for _ in range(start, len(self)):
            yield self.batch


def training_job(sizes: Sizes) -> Job:
    """A translator trained on one batch of random pairs of the same lengths."""
    recipe = _recipe(sizes)
    torch.manual_seed(0)
    model = Translator(recipe.model, sizes.vocabulary, sizes.vocabulary)
    inputs = torch.randint(5, sizes.vocabulary, (sizes.batch, sizes.tokens))
    batch = TrainingBatch(
        inputs=inputs,
        targets=inputs.roll(-1, 1),
        lengths=torch.full((sizes.batch,), sizes.tokens),
        continues=False,
        count=inputs.numel(),
        source=torch.randint(5, sizes.vocabulary, (sizes.batch, sizes.length + 1)),
        source_lengths=torch.full((sizes.batch,), sizes.length + 1),
    )

    def products(rows: int, lengths: tuple[int, int], tokens: int) -> list[Product]:
        return work.translator(recipe.model, sizes.vocabulary, rows, lengths, tokens)

    return Job("", model, Repeated(batch), recipe.training, products)


def _training_curve(grows: str, several: Sequence[Sizes], settings: Settings) -> Curve:
    sizes = _values(grows, several)
    with ExitStack() as stack:
        runs = [stack.enter_context(closing(Run(training_job(each)))) for each in several]
        works: dict[str, Work] = {
            str(size): run.step for size, run in zip(sizes, runs, strict=True)
        }
        spent = interleaved(works, warmup=2, rounds=settings.pick(3, 1))
        done = [_work(run.products(run.mean_shape()), UPDATE * _parameters(run)) for run in runs]
    return Curve(
        grows, TRAINING, sizes, tuple(spent.values()), largest(sizes, done), ORDERS.get(grows, 1)
    )


def _corpus_curves(settings: Settings) -> list[Curve]:
    """Tokenising, preparing pairs, and translating ever more lines; their work is the lines."""
    counts = (100, 1_000) if settings.quick else (100, 300, 1_000, 3_000, 10_000)
    small = Sizes(hidden=64, vocabulary=1_000, tokens=6)
    loaded = _loaded(small, settings)
    tokenizer = word_tokenizer(small.vocabulary)
    words = small.vocabulary - 5

    def tokenise(count: int) -> Work:
        text = "\n".join(sentences(count, words))
        return lambda: tokenise_stream(Texts([text]), tokenizer)

    def prepare(count: int) -> Work:
        corpus = PairTexts(pairs(count, words))
        encoder = PairEncoder(corpus, tokenizer, tokenizer)
        return lambda: PairBatches(encoder(0), 1200, tokenizer.special, 0)

    def translate(count: int) -> Work:
        return functools.partial(_translate_all, loaded, sentences(count, words), small.tokens)

    makers: dict[str, Callable[[int], Work]] = {
        "tokenising": tokenise,
        "preparing pairs": prepare,
        "translating": translate,
    }
    curves = []
    for name, make in makers.items():
        works = {str(count): make(count) for count in counts}
        spent = interleaved(works, warmup=0, rounds=settings.pick(3, 1))
        done = tuple(float(count) for count in counts)
        curves.append(Curve("lines of the corpus", name, counts, tuple(spent.values()), done, 1))
        say(f"  lines, {name}: {_summary(curves[-1])}")
    return curves


def _translate_all(loaded: LoadedModel, lines: Sequence[str], tokens: int) -> None:
    """Translate a file's lines, as the command line does."""
    chain = resolve("greedy", [], default_registries())
    options = TranslationOptions(max_length=MaxLength(0, tokens))
    windows = (
        [SourceLine(line) for line in lines[at : at + options.window]]
        for at in range(0, len(lines), options.window)
    )
    for _ in translate_windows(loaded, windows, chain, options):
        pass
