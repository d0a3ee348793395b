"""Filters that differ between the sources of one batch: each source's own, in one search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from textgen.decoding.random import RowRandom
from textgen.decoding.validation import apply_one, plugin_name, started
from textgen.errors import UsageError
from textgen.protocols import Batch, Beam, Filter, Random, Session

_INFINITY = float("inf")


def rowwise(chains: Sequence[tuple[Filter, ...]]) -> tuple[Filter, ...]:
    """Filters for a session whose source b is to have ``chains[b]``.

    Args:
        chains: (B) filters of each source; chains of the same objects count as one.

    Returns:
        The chain itself where all have the same; else one filter that applies them all.
    """
    numbers: dict[tuple[int, ...], int] = {}
    distinct: list[tuple[Filter, ...]] = []
    owners: list[int] = []
    for chain in chains:
        key = tuple(map(id, chain))
        if key not in numbers:
            numbers[key] = len(distinct)
            distinct.append(chain)
        owners.append(numbers[key])
    if len(distinct) <= 1:
        return distinct[0] if distinct else ()
    return (Rowwise(tuple(distinct), tuple(owners)),)


@dataclass(frozen=True)
class Rowwise:
    """Several chains of filters, each for its own sources.

    A chain sees a beam that holds its own sources alone, numbered from 0, as it would in a search
    of its own; so filters that keep something for each row work as they are.

    Attributes:
        chains: the distinct chains.
        owners: (B) for each source of the session the number of its chain.
    """

    chains: tuple[tuple[Filter, ...], ...]
    owners: tuple[int, ...]

    def start(self, session: Session) -> Filter:
        """Start every chain with the part of the session that is its own.

        Raises:
            UsageError: if the session has other sources than the requests.
        """
        if len(self.owners) != len(session.limit):
            raise UsageError(
                "This strategy decodes other sources than the requests: it cannot have filters "
                "that differ between the requests of a batch. Decode them one at a time."
            )
        parts = self._parts(session.random, session.limit.device)
        return _Started([part.started(session) for part in parts])

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, by filters that have not been started."""
        return _Started(self._parts(beam.random, log_probs.device))(log_probs, beam)

    def _parts(self, random: Random, device: torch.device) -> list[_Part]:
        owners = torch.tensor(self.owners, dtype=torch.int64, device=device)
        return [
            _Part(chain, (owners == number).nonzero().squeeze(1), random)
            for number, chain in enumerate(self.chains)
        ]


class _Started:
    """The chains of one search."""

    def __init__(self, parts: Sequence[_Part]) -> None:
        self.parts = parts
        self._seen: Tensor | None = None
        self._order: Tensor | None = None

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        """(B, K, V) scores, each source's by its own chain."""
        pieces = [piece for part in self.parts if (piece := part.piece(log_probs, beam))]
        if self._order is None or self._seen is not beam.sources:
            self._order = torch.cat([piece.rows for piece in pieces]).argsort()
            self._seen = beam.sources
        return torch.cat([piece.scores for piece in pieces])[self._order]


class _Piece(NamedTuple):
    """What a chain made of its rows: (B',) int64 places in the batch, (B', K, V) scores."""

    rows: Tensor
    scores: Tensor


class _Part:
    """One chain and its sources.

    Args:
        filters: the chain.
        sources: (B',) int64, ascending numbers in the session.
        random: of the session.
    """

    def __init__(self, filters: tuple[Filter, ...], sources: Tensor, random: Random) -> None:
        self.filters, self.sources = filters, sources
        self.random = _random_of(random, sources)
        self._seen: Tensor | None = None
        self._rows = self._own = sources

    def started(self, session: Session) -> _Part:
        """The same with filters for one search."""
        own = part_of(session, self.sources)
        ready = tuple(started(each, own) for each in self.filters)
        return _Part(ready, self.sources, session.random)

    def piece(self, log_probs: Tensor, beam: Beam) -> _Piece | None:
        """The chain's rows of the scores (B, K, V), filtered; None if all its sources are done."""
        if self._seen is not beam.sources:
            self._rows = torch.isin(beam.sources, self.sources).nonzero().squeeze(1)
            self._own = torch.searchsorted(self.sources, beam.sources[self._rows])
            self._seen = beam.sources
        if not len(self._rows):
            return None
        given = scores = log_probs[self._rows]
        if not self.filters:
            return _Piece(self._rows, scores)
        own = replace(_kept(beam, self._rows), sources=self._own, random=self.random)
        for each in self.filters:
            scores = apply_one(each, scores, own)
        if scores.is_cpu and not bool((scores.amax(-1) < _INFINITY).all()):
            raise plugin_name(self.filters, given, own)
        return _Piece(self._rows, scores)


def _kept(beam: Beam, rows: Tensor) -> Beam:
    """The beam of the sources at places ``rows`` (B',) int64."""
    if len(rows) == len(beam.sources):
        return beam
    return replace(
        beam,
        tokens=beam.tokens[rows],
        log_probs=beam.log_probs[rows],
        scores=beam.scores[rows],
        lengths=beam.lengths[rows],
        finished=beam.finished[rows],
        sources=beam.sources[rows],
        prefix=beam.prefix[rows],
        prefix_lengths=beam.prefix_lengths[rows],
        limit=beam.limit[rows],
        features=beam.features[rows],
        state=beam.state.keep(rows),
        attention=None if beam.attention is None else beam.attention[rows],
        parents=None if beam.parents is None else beam.parents[rows],
        log_normaliser=None if beam.log_normaliser is None else beam.log_normaliser[rows],
    )


def part_of(session: Session, sources: Tensor) -> Session:
    """A session of some of the sources, numbered from 0, each with the random numbers it had.

    Args:
        session: before it is decoded; its watch and its ``on_stable_prefix`` know other numbers:
            they go.
        sources: (B',) int64 in [0, B).
    """
    batch = session.batch
    if batch is not None:
        batch = Batch(
            len(sources),
            None if batch.source is None else batch.source[sources],
            None if batch.source_lengths is None else batch.source_lengths[sources],
        )
    return replace(
        session,
        state=session.state.keep(sources),
        prefix=session.prefix[sources],
        prefix_lengths=session.prefix_lengths[sources],
        limit=session.limit[sources],
        forced=None if session.forced is None else session.forced[sources],
        random=_random_of(session.random, sources),
        watch=None,
        on_stable_prefix=None,
        texts=tuple(session.texts[source] for source in sources.tolist()) if session.texts else (),
        batch=batch,
    )


def _random_of(random: Random, sources: Tensor) -> Random:
    """The random numbers of sources (B',), which are called 0 … B' − 1."""
    if isinstance(random, RowRandom):
        return RowRandom(random.seeds[sources])
    return _PartRandom(random, sources)


class _PartRandom:
    """Any random numbers, asked for under other numbers of the sources."""

    def __init__(self, random: Random, sources: Tensor) -> None:
        self.random, self.sources = random, sources

    def uniform(self, beam: Beam, count: int | None = None, stream: int = 0) -> Tensor:
        """(B', K), or (B', K, count), float64 in (0, 1)."""
        whole = replace(beam, sources=self.sources[beam.sources])
        return self.random.uniform(whole, count, stream)
