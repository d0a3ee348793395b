"""What commands that translate share: the models, the batches, and the measuring of it all."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.lazy import Several
from textgen.cli.options import Seed, all_of, kept_option
from textgen.cli.progress import counting

if TYPE_CHECKING:
    from textgen.data.parallel import ParallelSource
    from textgen.decoding.chain import Chain
    from textgen.evaluation.translation_metrics import SystemScores
    from textgen.loading import LoadedModel
    from textgen.translation import MaxLength, TranslationOptions
    from textgen.translation.crews import TranslatingCrew

DEFAULT_DECODE = "beam:width=5"

models_option = all_of(
    [
        kept_option(
            "--model",
            "models",
            cls=Several,
            multiple=True,
            required=True,
            metavar="DIR|NAME...",
            help="A model's folder, or a name of `models`; several decode as one, an ensemble.",
        ),
        kept_option(
            "--ensemble",
            type=click.Choice(["probabilities", "log-probabilities"]),
            default="probabilities",
            show_default=True,
            help="What is averaged over several models.",
        ),
        kept_option(
            "--device",
            type=click.Choice(["auto", "cpu", "cuda"]),
            default="auto",
            show_default=True,
            help="Where to compute.",
        ),
        kept_option(
            "--precision",
            type=click.Choice(["float32", "bfloat16", "int8"]),
            default="float32",
            show_default=True,
            help="Of the weights: fewer bits are faster on most processors, and less exact.",
        ),
    ]
)


@dataclass(frozen=True)
class Models:
    """What the options of ``models_option`` say."""

    models: tuple[str, ...]
    ensemble: Any
    device: str
    precision: str

    def load(self) -> LoadedModel:
        """Load the model, or the ensemble.

        Raises:
            CheckpointError: if one is missing or damaged.
            UsageError: if one is no translator, or they do not fit together.
        """
        from textgen.loading import load_ensemble

        loaded = load_ensemble(self.models, self.device, self.ensemble, self.precision)
        loaded.require_source()
        return loaded


translating_options = all_of(
    [
        kept_option(
            "--seed",
            type=Seed(),
            default=0,
            show_default=True,
            metavar="N|random",
            help="Random seed of strategies that draw; `random` draws one, told by -v and --json.",
        ),
        kept_option(
            "--batch-tokens",
            type=click.IntRange(min=1),
            default=1024,
            show_default=True,
            metavar="N",
            help="Source tokens at once; the translations do not depend on it.",
        ),
        kept_option(
            "--window",
            type=click.IntRange(min=1),
            default=1024,
            show_default=True,
            metavar="N",
            help="Most lines read ahead and grouped by length.",
        ),
        kept_option(
            "--max-source",
            type=click.IntRange(min=1),
            default=1000,
            show_default=True,
            metavar="N",
            help="Source tokens after which a line is cut.",
        ),
        kept_option(
            "--max-length",
            metavar="2x+10",
            help="Most tokens of a translation, from its source's: 2x+10, 1.5x or 100.  "
            "[default: 1.5 times what the training makes likely, and 10]",
        ),
        kept_option(
            "--shortlist",
            type=click.IntRange(min=1),
            metavar="N",
            help="Look only at the N likeliest target tokens of each source token, and at frequent "
            "ones: faster, see `textgen lexicon`. 10 is a good number.",
        ),
    ]
)


@dataclass(frozen=True)
class Translating:
    """What the options of ``translating_options`` say."""

    seed: int
    batch_tokens: int
    window: int
    max_source: int
    max_length: str | None
    shortlist: int | None

    def options(
        self, *, candidates: int | None = None, attention: bool = False
    ) -> TranslationOptions:
        """How lines are translated.

        Raises:
            UsageError: if the length is not understood.
        """
        from textgen.translation import MaxLength, TranslationOptions

        length: MaxLength | None = None
        if self.max_length is not None:
            length = MaxLength.parse(self.max_length)
        return TranslationOptions(
            candidates=candidates,
            batch_tokens=self.batch_tokens,
            window=self.window,
            max_source=self.max_source,
            max_length=length,
            attention=attention,
            seed=self.seed,
            shortlist=self.shortlist,
        )


@dataclass(frozen=True)
class Report:
    """What came of translating a text whose translations are known.

    Attributes:
        translations: one for each line.
        scores: BLEU, chrF and TER.
        exact: share of the lines that equal a reference, outer spaces aside.
        seconds: that it took to translate.
        decode: filters and strategy.
        log_prob: sum of the log-probabilities of all translations, nats.
        tokens: of all translations, eos counted.
    """

    translations: Sequence[str]
    scores: SystemScores
    exact: float
    seconds: float
    decode: Sequence[str]
    log_prob: float = 0.0
    tokens: int = 0

    @property
    def speed(self) -> float:
        """Sentences a second."""
        return len(self.translations) / max(self.seconds, 1e-9)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for --json."""
        return {
            **self.scores.as_dict(),
            "exact": self.exact,
            "decode": " | ".join(self.decode),
            "seconds": round(self.seconds, 3),
            "sentences_per_second": round(self.speed, 3),
            "log_prob": self.log_prob,
            "tokens": self.tokens,
        }

    def __str__(self) -> str:
        figures = [f"{each.name} {each.score:.2f}" for each in self.scores.scores.values()]
        return ", ".join([*figures, f"exact {self.exact:.2%} of {self.scores.lines:,} lines"])


def translate_and_score(
    loaded: LoadedModel,
    lines: Sequence[str],
    references: Sequence[Sequence[str]],
    chain: Chain,
    options: TranslationOptions,
    *,
    crew: TranslatingCrew | None = None,
    tokenizer: str = "13a",
) -> Report:
    """Translate lines and score what comes out.

    Args:
        loaded: the translator.
        lines: to translate.
        references: right translations, as many of each line.
        chain: how to decode.
        options: likewise.
        crew: decodes in the place of this process.
        tokenizer: of BLEU.

    Raises:
        DataError: if the numbers of lines differ, or there is none.
    """
    from textgen.errors import DataError
    from textgen.evaluation.translation_metrics import MetricOptions, score_translations
    from textgen.translation import translate

    for text in references:
        if len(text) != len(lines):
            raise DataError(
                f"There are {len(lines):,} lines to translate, but {len(text):,} references."
            )
    if not lines:
        raise DataError("There are no lines to translate.")
    began = time.perf_counter()
    found: list[str] = []
    log_prob, tokens = 0.0, 0
    with (
        counting("lines") as progress,
        contextlib.closing(translate(loaded, lines, chain, options, crew=crew)) as translations,
    ):
        for translation in translations:
            found.append(translation.text)
            log_prob += translation.candidates[0].log_prob
            tokens += len(translation.candidates[0].tokens)
            progress(len(found), len(lines))
    seconds = time.perf_counter() - began
    # what the model writes is in its own normal form
    references = [[loaded.tokenizer.normalise(line) for line in text] for text in references]
    named = {f"reference {number}": text for number, text in enumerate(references, start=1)}
    options_of_scores = MetricOptions(tokenizer=tokenizer)
    scores = score_translations({loaded.name: found}, named, options_of_scores)[0]
    exact = _exact(found, references)
    return Report(found, scores, exact, seconds, chain.description, log_prob, tokens)


def _exact(found: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Share of the lines that equal a reference."""
    allowed: Iterable[tuple[str, ...]] = zip(*references, strict=True)
    right = [
        text.strip() in {each.strip() for each in others}
        for text, others in zip(found, allowed, strict=True)
    ]
    return sum(right) / len(right)


def measure(name: str, test: ParallelSource) -> Report:
    """Translate and score a test as people do by default: with a beam of 5."""
    from textgen.cli.many_cores import usual_workers
    from textgen.decoding.chain import default_registries, resolve
    from textgen.loading import load_model
    from textgen.translation import TranslationOptions

    options = TranslationOptions(workers=usual_workers())
    pairs = list(test.pairs())
    chain = resolve(DEFAULT_DECODE, [], default_registries())
    sources, targets = [pair.source for pair in pairs], [pair.target for pair in pairs]
    return translate_and_score(load_model(name), sources, [targets], chain, options)
