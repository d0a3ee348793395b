"""What comes out of a line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textgen.arguments import shortened
from textgen.notebooks import attention_html, table_html


@dataclass(frozen=True)
class Candidate:
    """One translation of a line.

    Letters: T target tokens, S source tokens.

    Attributes:
        text: the translation, on one line.
        tokens: T target tokens, the forced beginning first, eos last where it was generated.
        score: by which candidates are ranked.
        log_prob: sum of the tokens' log-probabilities, nats.
        token_log_probs: of each token, nats, the forced ones included.
        finished: it ended with eos and not at its limit.
        attention: (T, S + 1) float32 weights, the last column is the source's eos; or None.
        pieces: the T tokens as text, where the attention was kept.
    """

    text: str
    tokens: tuple[int, ...]
    score: float
    log_prob: float
    token_log_probs: tuple[float, ...]
    finished: bool
    attention: NDArray[np.float32] | None = None
    pieces: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Candidate({shortened(self.text)!r}, score={self.score:.4g})"


@dataclass(frozen=True)
class Translation:
    """A line with its translations.

    Attributes:
        index: number of the line, from 0.
        source: the line.
        source_tokens: its S tokens, without eos; cut at the longest allowed.
        cut: whether it was cut.
        candidates: best first; at least one.
        prefix: the forced beginning of all candidates, as it was given.
        forced: number of tokens that are forced.
        source_pieces: the S source tokens and eos as text, where the attention was kept.
    """

    index: int
    source: str
    source_tokens: tuple[int, ...]
    cut: bool
    candidates: tuple[Candidate, ...]
    prefix: str = ""
    forced: int = 0
    source_pieces: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        more = "" if len(self.candidates) == 1 else f", {len(self.candidates)} candidates"
        score = f"score={self.candidates[0].score:.4g}"
        return f"Translation({shortened(self.source)!r} -> {shortened(self.text)!r}, {score}{more})"

    def _repr_html_(self) -> str:
        """The candidates for notebooks, and the attention of the best where it was kept."""
        rows = [
            (each.text, f"{each.score:.4f}", f"{each.log_prob:.4f}") for each in self.candidates
        ]
        shown = table_html((self.source, "score", "log-probability"), rows)
        best = self.candidates[0]
        if best.attention is None:
            return shown
        return shown + attention_html(self.source_pieces, best.pieces, best.attention.tolist())

    @property
    def text(self) -> str:
        """The best translation."""
        return self.candidates[0].text


NOTHING = Candidate("", (), 0.0, 0.0, (), finished=True)
"""What a blank line is translated to."""
