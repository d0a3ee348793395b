"""The loop that all strategies share: filter, pick, record, rearrange, read, until done.

The rules, in the order of a step:

1. The model's log-probabilities, pad and bos forbidden: what is *unfiltered* from here on.
2. The filters in their order. Pad and bos stay forbidden; where nothing is left, eos is forced.
3. Sources whose ``limit`` leaves one token get eos forced if the session asks for it. A forced
   beginning leaves its own token alone, whatever was forbidden. Finished rows go on with pad at
   no cost.
4. The pick. What it records is the **unfiltered** log-probability of the token; a pick of a
   forbidden token (there were fewer moves than rows) is dead: score −inf for good.
5. Rows with eos, at their limit, or stopped by the watch are finished. Sources that are done
   leave the batch.
6. The model reads the tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from textgen.decoding.hypotheses import best_first, join
from textgen.decoding.lazy_beam import LazyBeam
from textgen.decoding.scoring import chosen, normalised
from textgen.decoding.token_buffer import TokenBuffer
from textgen.decoding.validation import (
    anywhere,
    apply_filters,
    call_done,
    call_pick,
    check_range,
    not_a_number,
    started,
)
from textgen.native import kernels
from textgen.protocols import Beam, Hypotheses, Pick, Session
from textgen.rows import flat_rows

Picker: TypeAlias = "Callable[[Tensor, Beam], Pick]"
"""Filtered log-probabilities (B, K, V) and the beam to the next tokens."""

Done: TypeAlias = "Callable[[Beam], Tensor]"
"""The beam after a step to (B,) bool: sources that need no further step."""

_LEAVE_SHARE = 0.75
_INFINITY = float("inf")


def search(
    session: Session,
    pick: Picker,
    *,
    width: int = 1,
    carry: int | None = None,
    done: Done | None = None,
) -> Hypotheses:
    """Decode all sources of a session with a pick.

    Args:
        session: what is decoded.
        pick: chooses parents and tokens; called once a step.
        width: rows of each source before the first step; a pick may change it later.
        carry: only the first so many rows of each source go on to the next step; the others,
            hypotheses that just ended, are shown to ``watch`` and ``done`` and then dropped.
        done: called after each step with all rows; else a source is done when its rows are.
            Here, and in the session's ``watch``, the beam's ``features`` and ``state`` are
            those before the newest token.

    Returns:
        The rows of each source as they ended, best sum of log-probabilities first.

    Raises:
        PluginError: if the pick or a filter breaks its contract.
        TextgenError: if the model's output is not a number.
    """
    with torch.inference_mode():
        running = _Search(session, width, carry)
        while running.going:
            running.advance(pick, done)
        return running.result()


class _Part(NamedTuple):
    """Rows of sources that have left."""

    sources: Tensor
    tokens: Tensor
    token_log_probs: Tensor
    scores: Tensor
    lengths: Tensor
    ended: Tensor
    attention: Tensor | None


class _Search:
    """A running search; the attributes are those of ``Beam``."""

    def __init__(self, session: Session, width: int, carry: int | None) -> None:
        self.session, self.model, self.special = session, session.model, session.special
        self.carry = carry
        self.filters = tuple(started(each, session) for each in session.filters)
        self.parents: Tensor | None = None
        self.log_normaliser: Tensor | None = None
        self.prefix, self.prefix_lengths = session.prefix, session.prefix_lengths
        self.limit = session.limit
        device, sources = self.limit.device, self.limit.shape[0]
        self.size = sources
        self.sources = torch.arange(sources, device=device)
        self.forbidden = torch.tensor(session.forbidden, device=device)
        self.unknown = unknown = -1 if self.special.unknown is None else self.special.unknown
        # forced unknown tokens cost what the model says, though nobody may choose them
        self.forced_unknown = (
            session.forced == unknown
            if session.forced is not None and unknown in session.forbidden
            else None
        )
        self.parts: list[_Part] = []
        self.cut: Tensor | None = None
        rows = (sources, width)
        self.scores = torch.zeros(rows, device=device)
        self.lengths = torch.zeros(rows, dtype=torch.int64, device=device)
        self.finished = (self.limit == 0).unsqueeze(1).expand(rows)
        self.tokens, self.log_probs = TokenBuffer(self.lengths), TokenBuffer(self.scores)
        self.attention: TokenBuffer | None = None
        self.focus: Tensor | None = None
        self._measure_limits()
        self.some_finished = self.first_limit == 0
        if self.some_finished:
            self.cut = self.finished
        self.going = self.last_limit > 0
        if sources:
            self._read_prefix(width)

    def _measure_limits(self) -> None:
        """The nearest and the farthest limit as plain numbers: most steps need no more."""
        self.first_limit = int(self.limit.min()) if self.limit.numel() else 0
        self.last_limit = int(self.limit.max()) if self.limit.numel() else 0

    def _read_prefix(self, width: int) -> None:
        """Read all prefixes in one call and stand at the last real token of each."""
        session, lengths = self.session, self.prefix_lengths
        ragged = lengths if self.prefix.shape[1] > 1 else None
        features, state = self.model.features(self.prefix, session.state, ragged)
        last = lengths - 1
        self.features = features[self.sources, last].unsqueeze(1)  # (B, 1, F)
        if session.attention and state.attention is not None:
            self.focus = state.attention[self.sources, last].unsqueeze(1)  # (B, 1, S)
        if width != 1:
            state = state.select(last.new_zeros(len(last), width))
            self.features = self.features.expand(-1, width, -1)
            if self.focus is not None:
                self.focus = self.focus.expand(-1, width, -1)
        if self.focus is not None:
            self.attention = TokenBuffer(self.focus)
        self.state = state

    def beam(self) -> Beam:
        """The hypotheses as plugins see them."""
        width = self.scores.shape[1]
        beam = object.__new__(LazyBeam)
        vars(beam).update(
            tokens_then=self.tokens.moment(width),
            log_probs_then=self.log_probs.moment(width),
            scores=self.scores,
            lengths=self.lengths,
            finished=self.finished,
            sources=self.sources,
            prefix=self.prefix,
            prefix_lengths=self.prefix_lengths,
            limit=self.limit,
            features=self.features,
            state=self.state,
            attention=self.attention.view(width) if self.attention is not None else None,
            random=self.session.random,
            special=self.special,
            parents=self.parents,
            log_normaliser=self.log_normaliser,
        )
        return beam

    def advance(self, pick: Picker, done: Done | None) -> None:
        """One step."""
        logits = self.model.output(self.features)  # (B, K, V)
        one = logits.select(-1, self.special.eos).float().clone() if self.filters else None
        unfiltered = normalised(logits)
        if one is not None:
            self.log_normaliser = one - unfiltered.select(-1, self.special.eos)
        price = self._price_of_unknown(unfiltered)
        unfiltered.index_fill_(-1, self.forbidden, -_INFINITY)
        if price is not None:
            unfiltered.select(-1, self.unknown).copy_(price)
        beam = self.beam()
        allowed = self._allowed(unfiltered, beam)
        parents, tokens = call_pick(pick, allowed, beam)
        try:
            self._record(parents, tokens, unfiltered, allowed)
            self._finish()
            if self.session.on_stable_prefix is not None:
                self._tell_settled()
            leaving = self._leaving(done)
            if self.going:
                self._continue(parents, tokens, leaving)
        except (IndexError, RuntimeError):
            check_range(pick, parents, tokens, allowed)
            raise

    def _price_of_unknown(self, log_probs: Tensor) -> Tensor | None:
        """(B, K) of the unknown token where it is forced now, else −∞; None where nothing is."""
        forced, step = self.forced_unknown, self.tokens.steps
        if forced is None or step >= forced.shape[1] or not bool(forced[:, step].any()):
            return None
        due = forced[self.sources, step].unsqueeze(1)
        return log_probs.select(-1, self.unknown).masked_fill(~due, -_INFINITY)

    def _allowed(self, unfiltered: Tensor, beam: Beam) -> Tensor:
        """Steps 2 and 3: what the pick may choose from, (B, K, V)."""
        allowed = unfiltered
        if self.filters:
            allowed = apply_filters(
                self.filters, unfiltered, beam, self.forbidden, self.special.eos
            )
        if self.session.eos_at_limit and self.tokens.steps + 1 >= self.first_limit:
            last = (self.limit <= self.tokens.steps + 1)[:, None, None]
            others = last.expand_as(allowed).clone()
            others.select(-1, self.special.eos).fill_(value=False)
            allowed = allowed.masked_fill(others, -_INFINITY)
            eos = torch.where(
                last[:, :, 0],
                unfiltered.select(-1, self.special.eos),
                allowed.select(-1, self.special.eos),
            )
            allowed.select(-1, self.special.eos).copy_(eos)
        forced = self.session.forced
        if forced is not None and self.tokens.steps < forced.shape[1]:
            allowed = self._only_forced(
                forced[self.sources, self.tokens.steps], unfiltered, allowed
            )
        if self.some_finished:  # in place: what finished rows would have paid is not asked for
            allowed.masked_fill_(self.finished.unsqueeze(2), -_INFINITY)
            allowed.select(-1, self.special.pad).masked_fill_(self.finished, 0.0)
        return allowed

    def _only_forced(self, due: Tensor, unfiltered: Tensor, allowed: Tensor) -> Tensor:
        """``allowed`` where nothing is due; else the due token (B,) alone, at the model's cost."""
        due = due[:, None, None]
        only = torch.full_like(allowed, -_INFINITY)
        place = due.expand(-1, allowed.shape[1], 1)
        only.scatter_(2, place, unfiltered.gather(2, place).to(only.dtype))
        return torch.where(due == self.special.pad, allowed, only)

    def _record(
        self, parents: Tensor | None, tokens: Tensor, unfiltered: Tensor, allowed: Tensor
    ) -> None:
        """Steps 4 and 5: scores, lengths and finished rows after the picked tokens (B, K')."""
        if self._recorded(parents, tokens, unfiltered, allowed):
            return
        offered = chosen(allowed, parents, tokens)
        log_probs = offered if allowed is unfiltered else chosen(unfiltered, parents, tokens)
        self.parents = parents
        if parents is not None:
            self._rearrange(parents)
        if self.attention is not None and self.focus is not None:
            self.attention.append(self.focus)
        if allowed is not unfiltered:
            # forbidden or NaN stays so, finished rows pay nothing, all others what the model says
            paid = offered > -_INFINITY
            paid = paid & ~self.finished if self.some_finished else paid
            log_probs = torch.where(paid, log_probs, offered)
        self.scores = self.scores + log_probs
        self.tokens.append(tokens)
        self.log_probs.append(log_probs)
        ended = tokens == self.special.eos
        if self.some_finished:
            self.lengths = self.lengths + ~self.finished
            ended = ended | self.finished
        else:  # all rows are as long
            self.lengths = torch.full_like(tokens, self.tokens.steps)
        if parents is not None:
            ended = ended | (self.scores == -_INFINITY)
        self.finished = ended

    def _recorded(
        self, parents: Tensor | None, tokens: Tensor, unfiltered: Tensor, allowed: Tensor
    ) -> bool:
        """``_record`` natively, where that is compiled and nothing but tokens is kept."""
        said, paid = self.tokens, self.log_probs
        plain = not self.some_finished and self.attention is None and self.cut is None
        plain = plain and said.steps < said.capacity and unfiltered.is_cpu
        plain = plain and (parents is not None or said.width == tokens.shape[1])
        plain = plain and allowed.dtype == self.scores.dtype == torch.float32
        compiled = kernels() if plain else None
        if compiled is None:
            return False
        found = compiled.record(
            (unfiltered, allowed),
            (parents, tokens),
            self.scores,
            (said.buffer, paid.buffer),
            steps=said.steps,
            eos=self.special.eos,
        )
        self.parents, self.scores, self.finished = parents, found.scores, found.finished
        said.went_on(found.tokens, tokens.shape[1])
        paid.went_on(found.log_probs, tokens.shape[1])
        self.lengths = torch.full_like(tokens, said.steps)
        return True

    def _rearrange(self, parents: Tensor) -> None:
        """Let every row continue its parent."""
        self.scores = self.scores.gather(1, parents)
        if self.some_finished:
            self.lengths = self.lengths.gather(1, parents)
            self.finished = self.finished.gather(1, parents)
        if self.cut is not None:
            self.cut = self.cut.gather(1, parents)
        rows, width = flat_rows(parents, self.tokens.width), parents.shape[1]
        self.tokens.take(rows, width)
        self.log_probs.take(rows, width)
        if self.attention is not None and self.focus is not None:
            self.attention.take(rows, width)
            rows = flat_rows(parents, self.focus.shape[1])
            self.focus = self.focus.flatten(0, 1).index_select(0, rows).view(*parents.shape, -1)

    def _finish(self) -> None:
        """Step 5: rows at their limit, and what the watch stops."""
        if self.tokens.steps >= self.first_limit:
            at_limit = (self.limit <= self.tokens.steps).unsqueeze(1) & ~self.finished
            self.cut = at_limit if self.cut is None else self.cut | at_limit
            self.finished = self.finished | at_limit
        watch = self.session.watch
        stopped = watch(self.beam()) if watch is not None else None
        if stopped is not None:
            self.finished = self.finished | stopped
            if self.cut is not None:
                self.cut = self.cut & ~stopped

    def _tell_settled(self) -> None:
        """A source's only row is what it will begin with: every later row continues it."""
        on_stable_prefix = self.session.on_stable_prefix
        if on_stable_prefix is not None and self.scores.shape[1] == 1 and self.session.samples == 1:
            on_stable_prefix(self.sources, self.tokens.view(1)[:, 0], self.lengths[:, 0])

    def _leaving(self, done: Done | None) -> Tensor | None:
        """(B,) bool, which sources leave now; None for none. Ends the search after the last."""
        leaving = call_done(done, self.beam()) if done is not None else None
        if self.tokens.steps >= self.last_limit:
            self.going = False
            return None
        going_on = self.finished
        if leaving is None:
            if going_on.is_cpu and not bool(going_on.any()):
                self.some_finished = False
                return None
            leaving = going_on.all(1)
        elif self.carry is not None:
            going_on = going_on[:, : self.carry]
        self.some_finished, some_leave = anywhere(going_on, leaving)
        if not some_leave:
            return None
        count = int(leaving.sum())
        self.going = count < len(leaving)
        if count and len(leaving) - count <= _LEAVE_SHARE * len(leaving):
            return leaving
        return None

    def _continue(self, parents: Tensor | None, tokens: Tensor, leaving: Tensor | None) -> None:
        """Step 6: narrow to what goes on, and read its tokens."""
        if self.carry is not None and self.scores.shape[1] > self.carry:
            tokens = tokens[:, : self.carry]
            parents = parents[:, : self.carry] if parents is not None else None
            self.scores, self.lengths, self.finished = (
                values[:, : self.carry] for values in (self.scores, self.lengths, self.finished)
            )
            self.cut = self.cut[:, : self.carry] if self.cut is not None else None
        if parents is not None:
            self.state = self.state.select(parents)
        self.parents = parents
        if leaving is not None:
            tokens = self._leave(leaving, tokens)
        rows = tuple(tokens.shape)
        features, self.state = self.model.features(tokens.reshape(-1, 1), self.state)
        self.features = features.reshape(*rows, -1)  # (B, K, F)
        if self.focus is not None:
            self.focus = self.state.attention[:, -1].unflatten(0, rows)

    def _leave(self, leaving: Tensor, tokens: Tensor) -> Tensor:
        """Put the rows of leaving sources aside; the tokens of those that stay."""
        self.parts.append(self._part(leaving.nonzero().squeeze(1)))
        stay = (~leaving).nonzero().squeeze(1)
        self.sources, self.limit = self.sources[stay], self.limit[stay]
        self.prefix, self.prefix_lengths = self.prefix[stay], self.prefix_lengths[stay]
        self.parents = self.parents[stay] if self.parents is not None else None
        self.scores, self.lengths = self.scores[stay], self.lengths[stay]
        self.finished = self.finished[stay]
        self.cut = self.cut[stay] if self.cut is not None else None
        for track in (self.tokens, self.log_probs, self.attention):
            if track is not None:
                track.keep(stay)
        self.state = self.state.keep(stay)
        self._measure_limits()
        self.some_finished = bool(self.finished.any())
        return tokens[stay]

    def _part(self, rows: Tensor) -> _Part:
        width = self.scores.shape[1]
        ended = self.finished if self.cut is None else self.finished & ~self.cut
        attention = self.attention.view(width)[rows] if self.attention is not None else None
        return _Part(
            self.sources[rows],
            self.tokens.view(width)[rows],
            self.log_probs.view(width)[rows],
            self.scores[rows],
            self.lengths[rows],
            ended[rows],
            attention,
        )

    def result(self) -> Hypotheses:
        """The rows of all sources in the session's order, best first."""
        everything = torch.arange(len(self.sources), device=self.sources.device)
        parts = [*self.parts, self._part(everything)]
        order = torch.cat([part.sources for part in parts]).argsort()

        def joined(name: str, fill: float) -> Tensor:
            return join([getattr(part, name) for part in parts], fill)[order]

        scores = joined("scores", -_INFINITY)
        if bool(scores.isnan().any()):
            raise not_a_number()
        hypotheses = Hypotheses(
            tokens=joined("tokens", self.special.pad),
            lengths=joined("lengths", 0),
            scores=scores,
            log_probs=scores,
            token_log_probs=joined("token_log_probs", 0.0),
            finished=joined("ended", fill=False),
            attention=joined("attention", 0.0) if self.attention is not None else None,
        )
        return best_first(hypotheses, self.special.pad)
