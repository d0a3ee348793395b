"""What other models think of finished hypotheses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from textgen.decoding import padded, rescore, score
from textgen.decoding.session import device_of
from textgen.errors import UsageError
from textgen.protocols import AuxiliaryModel, Batch, Hypotheses, Session, Tokenizer

_POSITIONS = 1 << 15
_MOST_SOURCE = 1000  # tokens of a source that are read, as in translating


@dataclass(frozen=True)
class Task:
    """A text to score: log P(tokens | prefix, source).

    Attributes:
        prefix: begins with bos.
        tokens: what is scored.
        source: eos included; None for a language model.
    """

    prefix: Sequence[int]
    tokens: Sequence[int]
    source: Sequence[int] | None = None

    @property
    def positions(self) -> int:
        """How many tokens are read."""
        return len(self.prefix) + len(self.tokens) + len(self.source or ())


def log_probs(auxiliary: AuxiliaryModel, tasks: Sequence[Task]) -> list[float]:
    """Log-probability of each task's tokens, nats; like lengths are read together."""
    found = [0.0] * len(tasks)
    waiting = sorted(range(len(tasks)), key=lambda at: (tasks[at].positions, at))
    while waiting:
        # sorted by length, so the last of a piece is the longest: all are padded to it
        count = max(
            (
                number
                for number in range(1, len(waiting) + 1)
                if number * tasks[waiting[number - 1]].positions <= _POSITIONS
            ),
            default=1,
        )
        here, waiting = waiting[:count], waiting[count:]
        totals = _totals(auxiliary, [tasks[at] for at in here])
        for at, total in zip(here, totals, strict=True):
            found[at] = total
    return found


def _totals(auxiliary: AuxiliaryModel, tasks: Sequence[Task]) -> list[float]:
    device = device_of(auxiliary.model)
    batch = Batch(len(tasks))
    if auxiliary.source_tokenizer is not None:
        pad = auxiliary.source_tokenizer.special.pad
        sources = [task.source or () for task in tasks]
        batch = Batch(len(tasks), *padded(sources, pad, device))
    prefixes, tokens = [task.prefix for task in tasks], [task.tokens for task in tasks]
    found = score(auxiliary.model, batch, prefixes, tokens).double().sum(1)
    totals: list[float] = found.tolist()
    return totals


def second_opinion(auxiliary: AuxiliaryModel, session: Session, hypotheses: Hypotheses) -> Tensor:
    """(B, K) float64, log-probabilities under another model of the same vocabulary.

    Raises:
        UsageError: if it is a translator and there is no source text.
    """
    device = session.limit.device
    batch = Batch(len(session.limit))
    if not batch.size:
        return hypotheses.log_probs.double()
    tokenizer = auxiliary.source_tokenizer
    if tokenizer is not None:
        texts = source_texts(session, f"model={auxiliary.name}")
        sources = [source_tokens(text, tokenizer) for text in texts]
        batch = Batch(len(sources), *padded(sources, tokenizer.special.pad, device))
    with torch.inference_mode():
        state = auxiliary.model.begin(batch)
    other = replace(session, model=auxiliary.model, state=state)
    return rescore(other, hypotheses).double().sum(2)


def source_texts(session: Session, what: str) -> tuple[str, ...]:
    """The source sentences of a session.

    Args:
        session: whose.
        what: the option that needs them, for the error.

    Raises:
        UsageError: if they are not known, or a language model decodes.
    """
    if session.batch is not None and session.batch.source is None:
        raise UsageError(
            f"best-of: {what} reads source sentences, but the model that decodes is a language "
            "model. Use a language model: model=DIR or lm=DIR."
        )
    return known_texts(session, what)


def known_texts(session: Session, what: str) -> tuple[str, ...]:
    """The texts of a session; a UsageError where they are not known."""
    if len(session.texts) != len(session.limit):
        raise UsageError(f"best-of: {what} needs the source texts, but the session has none.")
    return session.texts


def source_tokens(text: str, tokenizer: Tokenizer) -> list[int]:
    """A source as a translator reads it, eos at its end; one that is over-long is cut."""
    return [*tokenizer.encode(text)[:_MOST_SOURCE], tokenizer.special.eos]
