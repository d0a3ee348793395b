"""Searches in which a filter is called as in real use, and every call is written down."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from textgen.decoding import RowRandom, row_seeds, search
from textgen.protocols import Beam, Filter, Pick, Session

_PARENT, _TOKEN = 1, 2
_SCRIPT_SEED = 11


@dataclass(frozen=True)
class Call:
    """One call of a filter.

    Attributes:
        beam: as it was before the call.
        given: (B, K, V) scores that it got.
        result: what it returned; None where it raised.
        error: what it raised.
        changed: what of its input it changed in place, or nothing.
    """

    beam: Beam
    given: Tensor
    result: Any
    error: Exception | None
    changed: str

    def live(self) -> Tensor:
        """(B, K) bool, rows that go on."""
        return ~self.beam.finished & (self.beam.scores > -torch.inf)

    def history(self, source: int, row: int) -> tuple[int, ...]:
        """Tokens that a row has generated."""
        return tuple(self.beam.tokens[source, row].tolist())


class Probe:
    """Stands before a filter in a search and writes down its calls.

    After a call that raised or gave no scores the filter is left in peace: the search goes on
    with what it was given.
    """

    def __init__(self, plugin: Filter) -> None:
        self.plugin = plugin
        self.calls: list[Call] = []

    def start(self, session: Session) -> Filter:
        """Begin the filter's own search."""
        start = getattr(self.plugin, "start", None)
        return self._calling(start(session) if callable(start) else self.plugin)

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) to (B, K, V), without a start."""
        return self._calling(self.plugin)(log_probs, beam)

    def _calling(self, one: Filter) -> Filter:
        def call(log_probs: Tensor, beam: Beam) -> Tensor:
            if self.calls and not _is_answer(self.calls[-1]):
                return log_probs
            made = _call(one, log_probs, beam)
            self.calls.append(made)
            return made.result.clone() if _is_answer(made) else made.given.clone()

        return call


def _is_answer(call: Call) -> bool:
    """Whether a search can go on with what a filter gave."""
    result = call.result
    good = isinstance(result, Tensor) and result.shape == call.given.shape
    return good and result.dtype == call.given.dtype and bool((result < float("inf")).all())


def _call(one: Filter, log_probs: Tensor, beam: Beam) -> Call:
    tensors = {
        field.name: value
        for field in dataclasses.fields(beam)
        if isinstance(value := getattr(beam, field.name), Tensor)
    }
    before = {name: value.clone() for name, value in tensors.items()}
    given = log_probs.clone()
    error: Exception | None = None
    result: Any = None
    try:
        result = one(log_probs, beam)
    except Exception as raised:  # noqa: BLE001 whatever it is, it is the evidence
        error = raised
    changed = [name for name, value in tensors.items() if not _same(value, before[name])]
    if not _same(log_probs, given):
        changed.insert(0, "its scores")
    if isinstance(result, Tensor):
        result = result.clone()
    return Call(replace(beam, **before), given, result, error, ", ".join(changed))  # type: ignore[arg-type]


def _same(left: Tensor, right: Tensor) -> bool:
    return bool(((left == right) | (left.isnan() & right.isnan())).all())


def play(plugin: Filter, session: Session, before: Filter, pick: Script) -> list[Call]:
    """Search with a filter and a script that says how rows go on.

    Args:
        plugin: the filter.
        session: what is decoded; its own filters are left out.
        before: stands before the plugin in the chain.
        pick: how rows go on.
    """
    probe = Probe(plugin)
    search(replace(session, filters=(before, probe)), pick.pick, width=pick.width)
    return probe.calls


class Script:
    """How the rows of a search go on: here, at random among what is allowed.

    Rows move: each continues any row of its source.

    Args:
        lines: (B) numbers that the random numbers of the sources belong to.
        width: rows K of each source.
        moves: whether rows continue others than themselves.
    """

    def __init__(self, lines: Sequence[int], width: int, *, moves: bool = True) -> None:
        self.width, self.moves = width, moves
        self.random = RowRandom(row_seeds(_SCRIPT_SEED, torch.tensor(lines, dtype=torch.int64)))

    def pick(self, log_probs: Tensor, beam: Beam) -> Pick:
        """Parents (B, K) and tokens (B, K)."""
        allowed = (log_probs > -torch.inf).double()
        parents = None
        if self.moves:
            parents = (self.random.uniform(beam, stream=_PARENT) * beam.width).long()
            allowed = allowed.gather(1, parents.unsqueeze(2).expand_as(allowed))
        mass = allowed.cumsum(2)
        aim = self.random.uniform(beam, stream=_TOKEN).unsqueeze(2) * mass[..., -1:]
        tokens = torch.searchsorted(mass, aim, right=True).squeeze(2)
        return Pick(parents, tokens.clamp(max=log_probs.shape[2] - 1))


class Chorus(Script):
    """All rows of a source say the same."""

    def pick(self, log_probs: Tensor, beam: Beam) -> Pick:
        """What the first row says, for each row."""
        tokens = super().pick(log_probs, beam).tokens
        return Pick(None, torch.where(beam.finished, tokens, tokens[:, :1]))


class Replay(Script):
    """One row says what is written."""

    def __init__(self, tokens: Sequence[int]) -> None:
        super().__init__([0], 1)
        self.tokens = tokens

    def pick(self, log_probs: Tensor, beam: Beam) -> Pick:
        """The next token, and anything after the last."""
        if beam.step < len(self.tokens):
            return Pick(None, torch.full_like(beam.lengths, self.tokens[beam.step]))
        return Pick(None, log_probs.argmax(2))


def _last(beam: Beam) -> Tensor:
    """(B, K) the newest token, or 0."""
    return beam.tokens[:, :, -1] if beam.step else torch.zeros_like(beam.lengths)


def _with_forbidden(scores: Tensor, beam: Beam) -> Tensor:
    """Every third token is forbidden, another third after each token."""
    place = torch.arange(scores.shape[2])
    gone = (place + _last(beam).unsqueeze(2) + beam.step) % 3 == 0
    return scores.masked_fill(gone, -torch.inf)


def _not_normalised(scores: Tensor, beam: Beam) -> Tensor:
    del beam
    return scores * 1.7 + 6.0


def _one_sure(scores: Tensor, beam: Beam) -> Tensor:
    """One token with almost all the probability."""
    best = (_last(beam).unsqueeze(2) * 5 + beam.step) % (scores.shape[2] - 4) + 4
    return (scores - 900.0).scatter(2, best, 0.0)


def _all_equal(scores: Tensor, beam: Beam) -> Tensor:
    del beam
    return torch.where(scores > -torch.inf, -2.0, scores)


def _only_one(scores: Tensor, beam: Beam) -> Tensor:
    """One token is left."""
    best = (_last(beam).unsqueeze(2) * 3 + beam.step) % (scores.shape[2] - 4) + 4
    return torch.full_like(scores, -torch.inf).scatter(2, best, scores.gather(2, best))


def _nothing_left(scores: Tensor, beam: Beam) -> Tensor:
    """Nothing is left in rows whose newest token is even, from the second step on."""
    gone = (_last(beam) % 2 == 0) & (beam.step > 0)
    return scores.masked_fill(gone.unsqueeze(2), -torch.inf)


def unchanged(scores: Tensor, beam: Beam) -> Tensor:
    """The model's own log-probabilities."""
    del beam
    return scores


MANNERS: dict[str, Callable[[Tensor, Beam], Tensor]] = {
    "scores as the model gives them": unchanged,
    "scores of which some are forbidden": _with_forbidden,
    "scores that are not normalised": _not_normalised,
    "one token almost sure": _one_sure,
    "all tokens alike": _all_equal,
    "one token left": _only_one,
    "no token left": _nothing_left,
}
