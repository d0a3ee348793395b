"""Lines whose translations are known, translated and scored."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from textgen.data.parallel import ParallelSource
from textgen.decoding.chain import Chain, default_registries, resolve
from textgen.errors import DataError
from textgen.evaluation.translation_metrics import (
    MetricOptions,
    SystemScores,
    score_translations,
)
from textgen.loading import LoadedModel
from textgen.short_options import DEFAULT_TRANSLATING
from textgen.translation.grouping import TranslationOptions
from textgen.translation.lines import translate
from textgen.translation.pools import TranslationPool
from textgen.workers.cores import default_threads

Progress = Callable[[int, int], None]
"""Told the lines done and the lines in all."""


@dataclass(frozen=True)
class TranslationReport:
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

    def __repr__(self) -> str:
        return f"TranslationReport({self})"

    @property
    def bleu(self) -> float:
        """BLEU in percent; its signature is in ``scores``."""
        return self.scores.scores["bleu"].score

    @property
    def chrf(self) -> float:
        """The chrF score in percent."""
        return self.scores.scores["chrf"].score

    @property
    def ter(self) -> float:
        """TER in percent; lower is better."""
        return self.scores.scores["ter"].score

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
    pool: TranslationPool | None = None,
    tokenizer: str = "13a",
    progress: Progress | None = None,
) -> TranslationReport:
    """Translate lines and score what comes out.

    Args:
        loaded: the translator.
        lines: to translate.
        references: right translations, as many of each line.
        chain: how to decode.
        options: likewise.
        pool: decodes in the place of this process.
        tokenizer: of BLEU.
        progress: told the lines done and the lines in all.

    Raises:
        DataError: if the numbers of lines differ, or there is none.
    """
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
    with contextlib.closing(translate(loaded, lines, chain, options, pool=pool)) as translations:
        for translation in translations:
            found.append(translation.text)
            log_prob += translation.candidates[0].log_prob
            tokens += len(translation.candidates[0].tokens)
            if progress is not None:
                progress(len(found), len(lines))
    seconds = time.perf_counter() - began
    # what the model writes is in its own normal form
    references = [[loaded.tokenizer.normalise(line) for line in text] for text in references]
    named = {f"reference {number}": text for number, text in enumerate(references, start=1)}
    options_of_scores = MetricOptions(tokenizer=tokenizer)
    scores = score_translations({loaded.name: found}, named, options_of_scores)[0]
    exact = _exact(found, references)
    return TranslationReport(found, scores, exact, seconds, chain.description, log_prob, tokens)


def _exact(found: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Share of the lines that equal a reference."""
    allowed: Iterable[tuple[str, ...]] = zip(*references, strict=True)
    right = [
        text.strip() in {each.strip() for each in others}
        for text, others in zip(found, allowed, strict=True)
    ]
    return sum(right) / len(right)


def measure_translator(
    loaded: LoadedModel, test: ParallelSource, progress: Progress | None = None
) -> TranslationReport:
    """Translate and score a test as people do by default: with a beam of 5."""
    options = TranslationOptions(workers=default_threads())
    pairs = list(test.pairs())
    chain = resolve(DEFAULT_TRANSLATING, [], default_registries())
    sources, targets = [pair.source for pair in pairs], [pair.target for pair in pairs]
    return translate_and_score(loaded, sources, [targets], chain, options, progress=progress)
