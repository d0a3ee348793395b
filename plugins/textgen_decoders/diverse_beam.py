"""Diverse beam search."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor
from torch.nn import functional as F

from textgen.decoding import best_first, continuations, search, take
from textgen.errors import UsageError
from textgen.protocols import Beam, Hypotheses, Pick, Session
from textgen_decoders.beam import (
    Alpha,
    BeamSearch,
    Coverage,
    Length,
    NBest,
    Patience,
    RunningBeam,
    Stop,
)


@dataclass(frozen=True)
class DiverseBeam:
    """G beam searches side by side, each shy of the tokens that the ones before it just chose.

    At each step the groups g = 1 … G choose in turn, each among its own K/G hypotheses, by
    log P + s_v − λ · n_v, where n_v is how often the groups before it chose v at this very step,
    to go on or to end with. The penalty counts for this choice alone: the scores of hypotheses are
    the model's. Each group ranks, finishes and stops as a beam of width K/G does that is asked for
    ⌈n_best/G⌉ hypotheses; a group that has stopped chooses nothing more.
    Returned are the best of each group, then the best of the others as far as n_best goes, the
    same text never twice, all ranked by score. One group is plain beam search.
    Vijayakumar et al. 2016, "Diverse beam search: decoding diverse solutions from neural sequence
    models".

    Example: --decode diverse-beam:width=6,groups=3,strength=0.5,n_best=3
    """

    width: Annotated[int, Ge(1), "hypotheses K of all groups; a multiple of groups"] = 6
    groups: Annotated[int, Ge(1), "groups G"] = 3
    strength: Annotated[float, Ge(0), "nats λ for each time that a token was chosen"] = 0.5
    length: Length = "average"
    alpha: Alpha = 1.0
    coverage: Coverage = 0.0
    n_best: NBest = None
    stop: Stop = "provable"
    patience: Patience = 1.0

    def __post_init__(self) -> None:
        """Refuse groups of different sizes."""
        if self.width % self.groups:
            sizes = [size for size in range(1, self.width + 1) if self.width % size == 0]
            raise UsageError(
                f"diverse-beam: {self.width} hypotheses cannot be shared out evenly among "
                f"{self.groups} groups. Choose groups from {', '.join(map(str, sizes))}, or "
                f"a width that is a multiple of {self.groups}."
            )

    def __call__(self, session: Session) -> Hypotheses:
        """Decode; (B, n_best) hypotheses."""
        wanted = session if self.coverage == 0 else replace(session, attention=True)
        running = _Groups(self, wanted)
        rest = search(wanted, running.pick, width=self.groups, carry=self.width, done=running.done)
        found = running.result(rest)
        return found if session.attention else replace(found, attention=None)

    def group(self, n_best: int) -> BeamSearch:
        """The beam search that each group is, asked for so many hypotheses."""
        return BeamSearch(
            width=self.width // self.groups,
            length=self.length,
            alpha=self.alpha,
            coverage=self.coverage,
            n_best=n_best,
            stop=self.stop,
            patience=self.patience,
        )


class _Groups:
    """The groups of one search: for ranking and stopping each is a source of its own."""

    def __init__(self, options: DiverseBeam, session: Session) -> None:
        self.options, self.pad = options, session.special.pad
        self.n_best = session.samples if options.n_best is None else options.n_best
        count = options.groups
        self.group = options.group(-(-self.n_best // count))
        apart = replace(session, limit=session.limit.repeat_interleave(count))
        self.running = RunningBeam(self.group, apart, kept=self.n_best)

    def pick(self, log_probs: Tensor, beam: Beam) -> Pick:
        """(B, 2K): all groups' rows that go on, then all groups' rows that end."""
        count, width, bos = self.options.groups, self.group.width, beam.special.bos
        sources, _, size = log_probs.shape
        scores = self.running.live(self._apart(beam, 1)).reshape(sources, count, -1)  # (B, G, W)
        offered = log_probs.reshape(sources, count, -1, size)  # (B, G, W, V)
        chosen = log_probs.new_zeros(sources, size)  # times
        all_parents, all_tokens = [], []
        for group in range(count):
            shy = offered[:, group] - self.options.strength * chosen.unsqueeze(1)
            parents, tokens = continuations(shy, scores[:, group], width, beam.special)
            chosen = chosen.scatter_add(1, tokens, (tokens != bos).to(chosen.dtype))
            own = group * scores.shape[2]
            spare = (0, 2 * width - tokens.shape[1])
            all_parents.append(F.pad(parents + own, spare, value=own).view(sources, 2, width))
            all_tokens.append(F.pad(tokens, spare, value=bos).view(sources, 2, width))
        return Pick(torch.stack(all_parents, 2).flatten(1), torch.stack(all_tokens, 2).flatten(1))

    def done(self, beam: Beam) -> Tensor:
        """(B,) bool: sources of which all groups are settled."""
        ended = self.running.done(self._apart(beam, 2))
        return ended.view(-1, self.options.groups).all(1)

    def _apart(self, beam: Beam, parts: int) -> Beam:
        """The beam with every group as a source: B·G sources × K/G rows, or twice as many.

        Args:
            beam: (B, parts · K) rows: part by part, in each group by group.
            parts: one, or two where rows that have just ended come after those that go on.
        """
        count = self.options.groups

        def split(rows: Tensor) -> Tensor:
            sizes = (len(rows), parts, count, rows.shape[1] // (parts * count), *rows.shape[2:])
            return rows.reshape(sizes).transpose(1, 2).flatten(2, 3).flatten(0, 1)

        numbers = torch.arange(count, device=beam.sources.device)
        return replace(
            beam,
            tokens=split(beam.tokens),
            log_probs=split(beam.log_probs),
            scores=split(beam.scores),
            lengths=split(beam.lengths),
            finished=split(beam.finished),
            sources=(beam.sources.unsqueeze(1) * count + numbers).flatten(),
            prefix=beam.prefix.repeat_interleave(count, 0),
            prefix_lengths=beam.prefix_lengths.repeat_interleave(count),
            limit=beam.limit.repeat_interleave(count),
            attention=None if beam.attention is None else split(beam.attention),
        )

    def result(self, rest: Hypotheses) -> Hypotheses:
        """(B, n_best): the groups' hypotheses put together; ``rest`` if nothing ever ended."""
        found, count = self.running.pool.result(), rest.scores.shape[1]
        if found is not None:
            count = self.options.groups
            found = _together(found, count)
        found = _once(found or rest)
        sources, places = found.scores.shape
        alive = (found.scores > -torch.inf).view(sources, places // count, count)  # (B, M, G)
        leads = (alive & (alive.cumsum(1) == 1)).flatten(1)
        order = found.scores.argsort(dim=1, descending=True, stable=True)
        follows = (~leads.gather(1, order)).byte().argsort(dim=1, stable=True)
        return best_first(take(found, order.gather(1, follows)[:, : self.n_best]), self.pad)


def _together(found: Hypotheses, count: int) -> Hypotheses:
    """(B·G, M) hypotheses as (B, M·G): the best of all groups, then the second, and so on."""

    def joined(values: Tensor) -> Tensor:
        apart = values.view(len(values) // count, count, *values.shape[1:])
        return apart.transpose(1, 2).flatten(1, 2)

    return Hypotheses(
        tokens=joined(found.tokens),
        lengths=joined(found.lengths),
        scores=joined(found.scores),
        log_probs=joined(found.log_probs),
        token_log_probs=joined(found.token_log_probs),
        finished=joined(found.finished),
        attention=None if found.attention is None else joined(found.attention),
    )


def _once(found: Hypotheses) -> Hypotheses:
    """What is said a second time, (B, K), made no hypothesis."""
    alive = found.scores > -torch.inf
    same = (found.tokens.unsqueeze(2) == found.tokens.unsqueeze(1)).all(3)  # (B, K, K)
    said = (same & alive.unsqueeze(1)).tril(-1).any(2)
    return replace(found, scores=found.scores.masked_fill(said, -torch.inf))
