"""A translator's strategies compared: the figures of each, and its point in the plot."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from textgen.decoding.chain import Chain
from textgen.evaluation.beam_plot import TranslationPoint
from textgen.evaluation.report import TranslationReport
from textgen.registry import parse_spec


@dataclass(frozen=True)
class TranslationRow:
    """What came of one way to translate.

    Attributes:
        name: as it was asked for.
        decode: the resolved chain.
        report: None if it failed.
        error: why it failed.
    """

    name: str
    decode: str
    report: TranslationReport | None = None
    error: str | None = None

    @property
    def length_ratio(self) -> float:
        """Tokens of the translations over those of the references, as BLEU counts them."""
        if self.report is None:
            return math.nan
        details = self.report.scores.scores["bleu"].details
        return float(details["hypothesis_length"]) / max(int(details["reference_length"]), 1)

    @property
    def log_prob(self) -> float:
        """Mean log-probability of a translation under the model, nats."""
        if self.report is None:
            return math.nan
        return self.report.log_prob / len(self.report.translations)

    @property
    def nats_per_token(self) -> float:
        """Negative log-likelihood over all tokens, eos counted."""
        if self.report is None or not self.report.tokens:
            return math.nan
        return -self.report.log_prob / self.report.tokens

    def as_dict(self) -> dict[str, Any]:
        """Plain data for --json."""
        told: dict[str, Any] = {"name": self.name, "decode": self.decode, "error": self.error}
        if self.report is None:
            return told
        scores = self.report.scores.scores
        return {
            **told,
            "bleu": scores["bleu"].as_dict(),
            "chrf": scores["chrf"].as_dict(),
            "exact": self.report.exact,
            "length_ratio": self.length_ratio,
            "log_prob": self.log_prob,
            "nats_per_token": self.nats_per_token,
            "seconds": self.report.seconds,
            "sentences_per_second": self.report.speed,
        }


def point_of(name: str, chain: Chain, report: TranslationReport) -> TranslationPoint:
    """Where a strategy stands in the plot; beams that differ in their width alone are one curve."""
    spec = parse_spec(chain.description[-1])
    width = spec.options.pop("width", None)
    if spec.name != "beam" or not isinstance(width, int):
        return TranslationPoint(name, report.bleu, report.speed)
    curve = " | ".join([*chain.description[:-1], str(spec)])
    return TranslationPoint(name, report.bleu, report.speed, curve, width)
