"""How translations are written: plain lines, n-best lists, scores, JSON, and word links."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from textgen.cli.output import print_json

if TYPE_CHECKING:
    from textgen.loading import LoadedModel
    from textgen.translation import Candidate, Translation

SEPARATOR = " ||| "
DIGITS = 6
"""Digits after the point of a weight in JSON."""


@dataclass(frozen=True)
class Layout:
    """What is written of each line.

    Attributes:
        n_best: write numbered lists instead of the best translation.
        scores: write scores too.
        as_json: write an object for each line.
        dictionary: for unknown words, None where they stay.
        decode: filters and strategy in words.
        seed: of the random numbers.
    """

    n_best: bool = False
    scores: bool = False
    as_json: bool = False
    dictionary: Mapping[str, str] | None = None
    decode: str = ""
    seed: int = 0


class Writer:
    """Writes translations to stdout, and their word links to a file.

    Args:
        loaded: the translator.
        layout: see there.
        alignments: open for writing, or None.
    """

    def __init__(self, loaded: LoadedModel, layout: Layout, alignments: IO[str] | None) -> None:
        self.loaded, self.layout, self.alignments = loaded, layout, alignments

    def write(self, translation: Translation) -> None:
        """Write one line's translations at once."""
        best = translation.candidates[0]
        if self.layout.as_json:
            print_json(self.as_dict(translation))
            self._align(translation, best)
        elif self.layout.n_best:
            for candidate in translation.candidates:
                parts = [str(translation.index), self._text(translation, candidate)]
                self._print(SEPARATOR.join([*parts, *self._scores(candidate)]))
                self._align(translation, candidate)
        else:
            scores = self._scores(best) if self.layout.scores else []
            self._print("\t".join([*scores, self._text(translation, best)]))
            self._align(translation, best)

    def _print(self, line: str) -> None:
        """Text as it is: escape sequences are not taken out of a translation."""
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def _scores(self, candidate: Candidate) -> list[str]:
        """The score, and with --scores the raw sum and that of each token."""
        score = f"{candidate.score:.6f}"
        if not self.layout.scores:
            return [score]
        each = " ".join(f"{value:.4f}" for value in candidate.token_log_probs)
        return [score, f"{candidate.log_prob:.6f}", each]

    def _text(self, translation: Translation, candidate: Candidate) -> str:
        from textgen.translation import replace_unknown

        if self.layout.dictionary is None:
            return candidate.text
        return replace_unknown(self.loaded, translation, candidate, self.layout.dictionary)

    def _align(self, translation: Translation, candidate: Candidate) -> None:
        """One line of links for each line of output."""
        from textgen.evaluation.alignment_files import format_pharaoh
        from textgen.translation import word_links

        if self.alignments is not None:
            links = word_links(self.loaded, translation, candidate)
            self.alignments.write(format_pharaoh(links) + "\n")

    def as_dict(self, translation: Translation) -> dict[str, Any]:
        """What --json tells of one line: the best translation, then all if several are wanted."""
        tokenizer = self.loaded.require_source()
        tokens = [tokenizer.piece(token) for token in translation.source_tokens]
        candidates = [self._candidate(translation, each) for each in translation.candidates]
        found: dict[str, Any] = {
            "index": translation.index,
            "source": translation.source,
            "source_tokens": [*tokens, tokenizer.piece(tokenizer.special.eos)],
            "cut": translation.cut,
            "forced_tokens": translation.forced,
            **candidates[0],
            "decode": self.layout.decode,
            "seed": self.layout.seed,
        }
        if self.layout.n_best:
            found["candidates"] = candidates
        return found

    def _candidate(self, translation: Translation, candidate: Candidate) -> dict[str, Any]:
        attention = candidate.attention
        return {
            "translation": self._text(translation, candidate),
            "tokens": [self.loaded.tokenizer.piece(token) for token in candidate.tokens],
            "score": candidate.score,
            "log_prob": candidate.log_prob,
            "token_log_probs": list(candidate.token_log_probs),
            "finished": candidate.finished,
            "attention": None if attention is None else attention.round(DIGITS).tolist(),
        }
