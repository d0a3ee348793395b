"""A few lines of work for toy models: sources, prompts and limits of many kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

import torch

from textgen.decoding import make_session, padded
from textgen.protocols import Batch, Session
from textgen.testing.toy import TOY_SPECIAL, ToyModel
from textgen.testing.vocabulary import ToyTokenizer, toy_task_model

Kind: TypeAlias = Literal["language-model", "translator"]

KINDS: tuple[Kind, ...] = ("language-model", "translator")
SEED = 5
_TOKENIZER = ToyTokenizer()


class Line(NamedTuple):
    """One source, or one prompt; a translator reads the prefix before its output too."""

    source: str
    prefix: str
    limit: int


LINES = (
    Line("a", "", 5),
    Line("bca", "ab c", 9),
    Line("cd", "b", 3),
    Line(".b", "", 0),
    Line("dab", "da", 12),
    Line("c", "cccc.", 1),
    Line("ab", "", 6),
)
ROWS = tuple(range(len(LINES)))


@dataclass(frozen=True)
class Task:
    """Lines to decode with a toy model.

    Attributes:
        kind: of model; a language model reads prefixes alone.
        model: what decodes.
        lines: the work.
    """

    kind: Kind
    model: ToyModel = field(default_factory=toy_task_model)
    lines: tuple[Line, ...] = LINES

    def session(
        self, rows: Sequence[int] = ROWS, *, seed: int = SEED, seeds: Sequence[int] | None = None
    ) -> Session:
        """A session of some of the lines, each with the random numbers of its place in them.

        Args:
            rows: which lines, in the order of the batch.
            seed: of the job.
            seeds: one for each row, in place of the job's.
        """
        lines = [self.lines[row] for row in rows]
        translates = self.kind == "translator"
        return make_session(
            self.model,
            self._batch(lines) if translates else Batch(len(lines)),
            [[TOY_SPECIAL.bos, *_TOKENIZER.encode(line.prefix)] for line in lines],
            special=TOY_SPECIAL,
            limits=[line.limit for line in lines],
            seed=seed,
            indices=None if seeds else rows,
            seeds=seeds,
            texts=[line.source if translates else line.prefix for line in lines],
        )

    @staticmethod
    def _batch(lines: Sequence[Line]) -> Batch:
        source, lengths = padded(
            [_TOKENIZER.encode(line.source) for line in lines], TOY_SPECIAL.pad
        )
        if not lines:
            source = torch.zeros(0, 1, dtype=torch.int64)
        return Batch(len(lines), source, lengths)

    def positions(self, row: int) -> int:
        """Number of tokens of a line's source."""
        return len(_TOKENIZER.encode(self.lines[row].source))

    def name(self, row: int) -> str:
        """A line as an error names it."""
        line = self.lines[row]
        first = f"source {line.source!r}, prefix" if self.kind == "translator" else "prompt"
        return f"{first} {line.prefix!r}, limit {line.limit}"
