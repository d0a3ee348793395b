"""BLEU, chrF and TER of translations, computed by sacreBLEU, with its signatures.

Post 2018, "A Call for Clarity in Reporting BLEU Scores"; BLEU: Papineni et al. 2002; chrF: Popović
2015; TER: Snover et al. 2006. Paired tests against the first system: bootstrap resampling (Koehn
2004) and approximate randomisation (Riezler and Maxwell 2005). sacreBLEU draws its random numbers
from the seed in the environment variable ``SACREBLEU_SEED`` (12345 when unset); the signature
states it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge

from textgen.arguments import listed, refuse_text
from textgen.errors import DataError, UsageError, nearest
from textgen.evaluation.text_warnings import text_warnings, too_short_for_bleu

METRICS = ("bleu", "chrf", "ter")
Paired = Literal["bootstrap", "randomisation"]
PAIRED_TESTS = ("bootstrap", "randomisation")
DEFAULT_SAMPLES = {"bootstrap": 1000, "randomisation": 10000}


@dataclass(frozen=True)
class MetricOptions:
    """What is computed and how; the defaults are sacreBLEU's, so that scores compare."""

    metrics: Annotated[tuple[str, ...], "which of bleu, chrf, ter"] = METRICS
    tokenizer: Annotated[str, "BLEU's tokenizer"] = "13a"
    lowercase: Annotated[bool, "disregard case in BLEU and chrF (TER always does)"] = False
    chrf_word_order: Annotated[int, Ge(0), "word n-grams in chrF; 2 makes it chrF++"] = 0
    confidence: Annotated[int, Ge(0), "resamples for 95 % confidence intervals; 0: none"] = 0
    paired: Annotated[Paired | None, "test against the first system"] = None
    samples: Annotated[int, Ge(0), "samples of the paired test; 0: the usual number"] = 0


@dataclass(frozen=True)
class MetricScore:
    """One metric of one system.

    Attributes:
        name: as sacreBLEU writes it: "BLEU", "chrF2", "TER".
        score: in percent; TER may exceed 100, and lower is better.
        signature: all that somebody else needs to compute the same.
        mean: of the resamples, or None.
        interval: half the width of the 95 % interval around the mean, or None.
        p_value: of the paired test against the first system, or None.
        details: for BLEU its n-gram precisions, brevity penalty and lengths.
    """

    name: str
    score: float
    signature: str
    mean: float | None = None
    interval: float | None = None
    p_value: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """``score`` and ``signature``, and what else is known."""
        known = {"mean": self.mean, "interval": self.interval, "p_value": self.p_value}
        extra = {key: value for key, value in known.items() if value is not None}
        return {
            "score": self.score,
            "signature": self.signature,
            "name": self.name,
            **extra,
            **self.details,
        }


@dataclass(frozen=True)
class SystemScores:
    """All metrics of one system.

    Attributes:
        system: its name, or the name of its file.
        lines: number of lines scored.
        scores: by the names in ``METRICS``, in that order.
        warnings: what makes the scores hard to compare, one sentence each.
    """

    system: str
    lines: int
    scores: Mapping[str, MetricScore]
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """``system``, ``lines``, and ``bleu``, ``chrf``, ``ter`` with score and signature."""
        return {
            "system": self.system,
            "lines": self.lines,
            **{name: score.as_dict() for name, score in self.scores.items()},
        }


Texts = Mapping[str, Sequence[str]]


def score_translations(
    systems: Texts, references: Texts, options: MetricOptions | None = None
) -> list[SystemScores]:
    """Score one or more systems against one or more references.

    Args:
        systems: for each system's name its lines; the first is the baseline of a paired test.
        references: for each reference's name its lines; line n of each translates sentence n.
        options: what to compute; None means sacreBLEU's defaults.

    Returns:
        The scores in the order of the systems.

    Raises:
        DataError: if there are no lines or their numbers differ.
        UsageError: for unknown metrics or tokenizers, and tests that cannot be made.
    """
    options = options or MetricOptions()
    for name, text in [*systems.items(), *references.items()]:
        for _ in listed(refuse_text(text, name, "a list of lines"), name):
            pass  # each is seen to be a text
    _check_options(options, len(systems))
    lines = _check_lines(systems, references)
    _check_memory(options, lines)
    streams = [list(text) for text in references.values()]
    metrics = _make_metrics(options)
    if options.paired is None:
        found = {
            name: {
                key: _single(metric, text, streams, options.confidence)
                for key, metric in metrics.items()
            }
            for name, text in systems.items()
        }
    else:
        found = _paired(systems, streams, metrics, options)
    pairs = list(references.items())
    by_spaces = "bleu" in metrics and options.tokenizer == MetricOptions.tokenizer
    short = too_short_for_bleu(pairs) if by_spaces else ()
    return [
        SystemScores(
            name,
            lines,
            found[name],
            text_warnings(name, text, pairs, lowercase=options.lowercase)
            + short
            + _few_lines(options, lines),
        )
        for name, text in systems.items()
    ]


def score_translation(
    hypothesis: Sequence[str],
    references: Sequence[Sequence[str]],
    options: MetricOptions | None = None,
) -> SystemScores:
    """Score one system; the short form of ``score_translations`` for texts without names."""
    named = {f"reference {number}": text for number, text in enumerate(references, start=1)}
    return score_translations({"hypothesis": hypothesis}, named, options)[0]


_FEW_LINES = 50


def _few_lines(options: MetricOptions, lines: int) -> tuple[str, ...]:
    """Resampling a handful of lines gives figures that look exact and are not."""
    if lines >= _FEW_LINES or not (options.paired or options.confidence):
        return ()
    return (f"Intervals and tests of {lines} lines mean little: they need hundreds.",)


def tokenizer_names() -> list[str]:
    """BLEU's tokenizers that sacreBLEU knows; some need a package or a model from the network."""
    from sacrebleu.metrics.bleu import BLEU

    return list(BLEU.TOKENIZERS)


def _check_options(options: MetricOptions, systems: int) -> None:
    for name in options.metrics:
        if name not in METRICS:
            raise UsageError(f"There is no metric {name!r}.{nearest(name, METRICS)}")
    if not options.metrics:
        raise UsageError("No metric is asked for. Allowed: bleu, chrf, ter.")
    check_tokenizer(options.tokenizer)
    if options.paired is not None and options.paired not in PAIRED_TESTS:
        hint = nearest(options.paired, PAIRED_TESTS)
        raise UsageError(f"There is no paired test {options.paired!r}.{hint}")
    if options.paired is not None and systems < 2:
        raise UsageError("A paired test compares systems: give two or more hypotheses.")
    seed = os.environ.get("SACREBLEU_SEED", "12345")
    if seed.lower() != "none" and not seed.isdecimal():
        raise UsageError(f"SACREBLEU_SEED is {seed!r}; it must be a whole number or none.")


def check_tokenizer(name: str) -> None:
    """See that BLEU has a tokenizer of this name.

    Raises:
        UsageError: if it has not; names those that there are.
    """
    if name not in tokenizer_names():
        hint = nearest(name, tokenizer_names())
        raise UsageError(f"BLEU has no tokenizer {name!r}.{hint}")


def _check_lines(systems: Texts, references: Texts) -> int:
    """The number of lines that all texts have."""
    if not systems or not references:
        raise DataError("There must be at least one hypothesis and one reference.")
    counts = {name: len(text) for name, text in [*systems.items(), *references.items()]}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise DataError(
            f"The numbers of lines differ: {told}. Line n of a hypothesis is compared with line n "
            "of each reference, so a line is missing, or an empty one was dropped."
        )
    lines = next(iter(counts.values()))
    if not lines:
        raise DataError(f"There are no lines to score: {', '.join(counts)} are empty.")
    return lines


_EXTRAS = {"ja-mecab": "ja", "ko-mecab": "ko"}
_MOST_BYTES = 4 * 2**30
_ROUNDING = 1e-9  # of scores up to 100 whose sums are made in another order
_STATISTICS = 18  # numbers that chrF, the widest metric, keeps for each line


def _check_memory(options: MetricOptions, lines: int) -> None:
    """Resampling holds all samples at once; see that they fit before they are drawn."""
    samples = options.confidence
    if options.paired is not None:
        samples = max(samples, options.samples or DEFAULT_SAMPLES[options.paired])
    # bootstrap: each sample gathers float32 statistics; randomisation: int64 selectors
    numbers = 8 if options.paired == "randomisation" else 8 + 4 * _STATISTICS
    needed = samples * lines * numbers
    if needed > _MOST_BYTES:
        raise UsageError(
            f"{samples} samples of {lines} lines would need {needed / 2**30:.0f} GiB of memory; "
            f"at most {_MOST_BYTES // 2**30} are used. Ask for {_MOST_BYTES // (lines * numbers)} "
            "samples or fewer."
        )


def _why_not(tokenizer: str, error: Exception) -> str:
    """Why a tokenizer of sacreBLEU cannot be made, and what to do."""
    if tokenizer in _EXTRAS:
        return f"install it: pip install 'sacrebleu[{_EXTRAS[tokenizer]}]'."
    reason = " ".join(str(error).split())
    if isinstance(error, OSError):  # urllib's among them
        return f"sacreBLEU has to download its model once, which failed ({reason})."
    return reason


def _make_metrics(options: MetricOptions) -> dict[str, Any]:
    """The metric objects of sacreBLEU, in the order of ``METRICS``."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    made: dict[str, Any] = {}
    if "bleu" in options.metrics:
        try:  # force: its own warning is ours, and better told
            made["bleu"] = BLEU(lowercase=options.lowercase, tokenize=options.tokenizer, force=True)
        except (ImportError, RuntimeError, OSError) as error:
            raise UsageError(
                f"BLEU's tokenizer {options.tokenizer!r} cannot be used here: "
                f"{_why_not(options.tokenizer, error)}"
            ) from None
    if "chrf" in options.metrics:
        made["chrf"] = CHRF(lowercase=options.lowercase, word_order=options.chrf_word_order)
    if "ter" in options.metrics:
        made["ter"] = TER()
    return made


def _single(
    metric: Any, lines: Sequence[str], references: Sequence[Sequence[str]], resamples: int
) -> MetricScore:
    score = metric.corpus_score(list(lines), references, n_bootstrap=max(resamples, 1))
    resampled = resamples > 1
    return MetricScore(
        name=score.name,
        score=float(score.score),
        signature=str(metric.get_signature()),
        mean=float(score._mean) if resampled else None,  # noqa: SLF001 - sacreBLEU's only way
        interval=float(score._ci) if resampled else None,  # noqa: SLF001 - likewise
        details=_details(score),
    )


def _details(score: Any) -> dict[str, Any]:
    if not hasattr(score, "precisions"):
        return {}
    return {
        "precisions": [float(each) for each in score.precisions],
        "brevity_penalty": float(score.bp),
        "hypothesis_length": int(score.sys_len),
        "reference_length": int(score.ref_len),
    }


def _paired(
    systems: Texts,
    references: Sequence[Sequence[str]],
    metrics: Mapping[str, Any],
    options: MetricOptions,
) -> dict[str, dict[str, MetricScore]]:
    """Scores with a p-value for each system but the first."""
    from sacrebleu.significance import PairedTest

    test = PairedTest(
        [(name, list(text)) for name, text in systems.items()],
        metrics,
        references,
        test_type="bs" if options.paired == "bootstrap" else "ar",
        n_samples=options.samples,
        n_ar_confidence=options.confidence or -1,
    )
    with _counting_ties():
        signatures, columns = test()
    results: dict[str, list[Any]] = dict(columns)
    found: dict[str, dict[str, MetricScore]] = {name: {} for name in systems}
    for key, label in zip(metrics, signatures, strict=True):
        for name, result in zip(systems, results[label], strict=True):
            found[name][key] = MetricScore(
                name=label,
                score=float(result.score),
                signature=str(signatures[label]),
                mean=_number(result.mean),
                interval=_number(result.ci),
                p_value=_p_value(result, results[label][0]),
            )
    return found


@contextmanager
def _counting_ties() -> Iterator[None]:
    """Samples that differ as much as the systems do speak for chance, as in the exact test.

    sacreBLEU counts those alone that differ by more.
    """
    from sacrebleu import significance

    before = significance._compute_p_value  # noqa: SLF001 - sacreBLEU has no option for it
    significance._compute_p_value = _with_ties  # type: ignore[assignment] # noqa: SLF001
    try:
        yield
    finally:
        significance._compute_p_value = before  # noqa: SLF001


def _with_ties(samples: Any, difference: float) -> float:
    """(1 + the samples at least as large as the difference) / (1 + all samples)."""
    return float(((samples >= difference - _ROUNDING).sum() + 1) / (len(samples) + 1))


def _p_value(result: Any, baseline: Any) -> float | None:
    """The p-value of a system, None for the baseline itself; 1 for a difference of nothing."""
    if result.p_value is None:
        return None
    return 1.0 if result.score == baseline.score else float(result.p_value)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
