"""Beam search for outputs that contain given phrases."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from textgen.decoding import FinishedHypotheses, best_moves, reorder, search
from textgen.errors import UsageError
from textgen.protocols import Beam, Hypotheses, Pick, Session, SpecialTokens, Tokenizer
from textgen_decoders.beam import (
    Alpha,
    BeamSearch,
    Length,
    NBest,
    Patience,
    RunningBeam,
    Stop,
    Width,
)
from textgen_decoders.candidates import beside, ranked
from textgen_decoders.phrases import Met, Phrase, Phrases, compiled
from textgen_decoders.words import numbers, one_is_a_list, spellings


@dataclass(frozen=True)
class Constrained:
    """Beam search among the outputs that contain all given phrases.

    A hypothesis stands in the bank of the phrase tokens that it has; a phrase that is begun counts
    by its tokens so far, and no longer once it is broken off. At each step every bank offers its
    best continuations, all tokens of phrases among them, and the K places go round: the first of
    each bank, fullest first, then the second of each, and so on. eos comes only after all phrases.
    A phrase counts where its tokens stand in a row, as it is or after a space. Phrases may
    overlap; one that is named twice must occur twice, at different ends. The width should exceed
    the tokens of all phrases. Where no output with all phrases is found within the limit, the one
    that lacks fewest tokens of them is returned, alone and with finished = false. Ranking and
    stopping are those of beam; without phrases it is beam.
    Hokamp & Liu 2017, "Lexically constrained decoding for sequence generation using grid beam
    search"; Post & Vilar 2018, "Fast lexically constrained decoding with dynamic beam allocation".

    Example: --decode 'constrained:["the","and"],width=20'
    """

    phrases: Annotated[list[str], "texts that must appear, or #NUMBER for a token"]
    width: Width = 10
    length: Length = "average"
    alpha: Alpha = 1.0
    n_best: NBest = None
    stop: Stop = "provable"
    patience: Patience = 1.0

    def __post_init__(self) -> None:
        """One text is a list of one."""
        one_is_a_list(self, "phrases")

    def setup_tokenizer(self, tokenizer: Tokenizer) -> ConstrainedTokens:
        """Put tokens in the place of texts."""
        found = [tuple(spellings(text, tokenizer)) for text in self.phrases]
        return ConstrainedTokens(self.beam(), tuple(found))

    def __call__(self, session: Session) -> Hypotheses:
        """Decode with phrases that are all token numbers: what is possible without a tokenizer."""
        found = [(tokens,) for tokens in numbers(self.phrases, "constrained")]
        return ConstrainedTokens(self.beam(), tuple(found))(session)

    def beam(self) -> BeamSearch:
        """The search as it is without phrases."""
        return BeamSearch(
            width=self.width,
            length=self.length,
            alpha=self.alpha,
            n_best=self.n_best,
            stop=self.stop,
            patience=self.patience,
        )


@dataclass(frozen=True)
class ConstrainedTokens:
    """``Constrained`` for one vocabulary.

    Attributes:
        beam: the search as it is without phrases.
        phrases: each with its spellings, in tokens.
    """

    beam: BeamSearch
    phrases: tuple[Phrase, ...]

    @property
    def n_best(self) -> int | None:
        """Hypotheses returned; None: as many as samples."""
        return self.beam.n_best

    def __call__(self, session: Session) -> Hypotheses:
        """Decode; (B, n_best) hypotheses.

        Raises:
            UsageError: if a phrase has a token that cannot be in an output.
        """
        if not self.phrases:
            return self.beam(session)
        _require_sayable(self.phrases, session.model.vocabulary_size, session.special)
        phrases = compiled(self.phrases, session.model.vocabulary_size)
        running = _Running(self.beam, session, phrases.to(session.limit.device))
        rest = search(session, running.pick, carry=self.beam.width, done=running.done)
        return running.result(rest)


class _Running(RunningBeam):
    """A beam search that knows what each row has of the phrases.

    Its own pool holds what has all of them, ``effort`` what has ended without.
    """

    def __init__(self, options: BeamSearch, session: Session, phrases: Phrases) -> None:
        super().__init__(options, session)
        self.phrases, self.special = phrases, session.special
        self.effort = FinishedHypotheses(session, self.n_best)
        self.sources = torch.arange(len(session.limit), device=session.limit.device)
        self.before: Met | None = None  # of the rows when the pick was called last

    def pick(self, log_probs: Tensor, beam: Beam) -> Pick:
        """Rows that go on, then rows that end."""
        met = self.met(beam)
        self.before, self.sources = met, beam.sources
        lacking = self.phrases.missing(met)
        scores = self.live(self.complete(beam, lacking))
        allowed = _end_when_met(log_probs, lacking, self.special.eos)
        return self.choose(self.moves(allowed, scores, met))

    def done(self, beam: Beam) -> Tensor:
        """(B,) bool: sources whose result is settled."""
        return super().done(self.complete(beam, self.phrases.missing(self.met(beam))))

    def met(self, beam: Beam) -> Met:
        """What the rows (B, K) of a beam have of the phrases."""
        if self.before is None or not beam.step:
            return self.phrases.start(beam.lengths)
        before = Met(*(reorder(values, self.sources, beam) for values in self.before))
        return self.phrases.after(before, beam.tokens[:, :, -1])

    def complete(self, beam: Beam, lacking: Tensor) -> Beam:
        """The beam without what has ended too early, which is kept apart: lacking (B, K)."""
        early = beam.finished & (lacking > 0)

        def fewest_missing(ended: Beam) -> Tensor:
            scores = self.rank(ended)
            return scores / (1 - scores) - lacking  # scores ≤ 0: the order of pairs

        self.effort.add(replace(beam, finished=early), fewest_missing)
        return replace(beam, scores=beam.scores.masked_fill(early, -torch.inf))

    def moves(self, allowed: Tensor, scores: Tensor, met: Met) -> _Moves:
        """What each bank may choose from: the best tokens of each row, and those of phrases.

        Args:
            allowed: (B, K, V) log-probabilities.
            scores: (B, K) of the rows; −inf for those that do not go on.
            met: what the rows have.
        """
        sources, width = scores.shape
        free = allowed.index_fill(2, self.phrases.tokens, -torch.inf).flatten(0, 1).unsqueeze(1)
        best = best_moves(free, scores.view(-1, 1), self.options.width + 1)  # (B·K, M)
        wanted = allowed[:, :, self.phrases.tokens] + scores.unsqueeze(2)  # (B, K, m)
        totals = torch.cat([best.scores.view(sources, width, -1), wanted], 2)
        tokens = torch.cat(
            [best.tokens.view(sources, width, -1), self.phrases.tokens.expand_as(wanted)], 2
        )
        after = self.phrases.after(Met(met.node.unsqueeze(2), met.counts.unsqueeze(2)), tokens)
        parents = torch.arange(width, device=tokens.device)[:, None].expand_as(tokens)
        lacking = self.phrases.missing(after)
        return _Moves(*(each.flatten(1) for each in (totals, parents, tokens, lacking)))

    def choose(self, moves: _Moves) -> Pick:
        """Deal the places out to the banks; spare rows get bos, which is forbidden: dead."""
        order = moves.totals.argsort(dim=1, descending=True, stable=True)
        banked = moves.lacking.gather(1, order).argsort(dim=1, stable=True)
        order = order.gather(1, banked)
        moves = _Moves(*(each.gather(1, order) for each in moves))
        alive = moves.totals > -torch.inf
        ends = alive & (moves.tokens == self.special.eos)
        width, banks = self.options.width, self.phrases.total + 1
        usual = alive & ~ends
        last = order.shape[1] * banks  # after every turn
        turns = torch.where(usual, _places(usual, moves.lacking) * banks + moves.lacking, last)
        places = _places(alive, moves.lacking)
        end_turns = torch.where(ends & (places < width), places * banks + moves.lacking, last)
        count = min(width, order.shape[1])
        chosen = [each.topk(count, 1, largest=False) for each in (turns, end_turns)]
        turn = torch.cat([each.values for each in chosen], 1)
        row = torch.cat([each.indices for each in chosen], 1)
        tokens = torch.where(turn < last, moves.tokens.gather(1, row), self.special.bos)
        return Pick(moves.parents.gather(1, row), tokens)

    def result(self, rest: Hypotheses) -> Hypotheses:
        """What has all phrases; for sources without any, the best of what ended too early."""
        whole, effort = self.pool.result(), self.effort.result()
        if effort is None:
            return whole or rest
        scores = effort.log_probs / self.options.penalty(effort.lengths)
        scores[:, 1:] = -torch.inf
        if whole is not None:
            scores = scores.masked_fill(whole.scores[:, :1] > -torch.inf, -torch.inf)
        effort = replace(effort, scores=scores, finished=torch.zeros_like(effort.finished))
        both = effort if whole is None else beside(whole, effort, self.special)
        return ranked(both, both.scores, self.n_best, self.special)


class _Moves(NamedTuple):
    """Continuations of each source; all (B, M).

    Attributes:
        totals: scores with the token; −inf for what is none.
        parents: int64 in [0, K).
        tokens: int64 in [0, V).
        lacking: int64, tokens of phrases still to come: the bank, 0 is the fullest.
    """

    totals: Tensor
    parents: Tensor
    tokens: Tensor
    lacking: Tensor


def _places(counted: Tensor, banks: Tensor) -> Tensor:
    """How many counted entries of its own bank stand before each: (B, M) sorted by bank."""
    before = counted.long().cumsum(1) - counted.long()
    first = torch.ones_like(counted)
    first[:, 1:] = banks[:, 1:] != banks[:, :-1]
    return before - torch.where(first, before, 0).cummax(1).values


def _end_when_met(log_probs: Tensor, lacking: Tensor, eos: int) -> Tensor:
    """(B, K, V) with eos only for rows (B, K) that lack nothing, or have nothing else left."""
    rest = log_probs.clone()
    rest[..., eos] = -torch.inf
    free = (lacking == 0) | (rest.amax(-1) == -torch.inf)
    rest[..., eos] = torch.where(free, log_probs[..., eos], -torch.inf)
    return rest


def _require_sayable(phrases: tuple[Phrase, ...], size: int, special: SpecialTokens) -> None:
    for token in {token for phrase in phrases for spelling in phrase for token in spelling}:
        if token >= size or token in {special.pad, special.bos, special.eos}:
            raise UsageError(
                f"constrained: token #{token} cannot be in an output; the vocabulary has {size} "
                f"tokens, of which #{special.pad}, #{special.bos} and #{special.eos} are special."
            )
