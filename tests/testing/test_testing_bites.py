"""The kit bites: for each law there is a plugin that breaks it and no earlier one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from textgen.decoding import reorder, search, take
from textgen.decoding.plugin_errors import title
from textgen.errors import PluginError, UsageError
from textgen.protocols import Beam, Filter, Hypotheses, Pick, Session, Tokenizer
from textgen.testing import (
    FILTER_LAWS,
    STRATEGY_LAWS,
    TOY_SPECIAL,
    LawBroken,
    ToyTokenizer,
    check_filter,
    check_strategy,
)
from textgen_decoders.beam import BeamSearch
from textgen_decoders.greedy import Greedy
from textgen_decoders.sample import Sample

DEAD = float("-inf")


def raises_later(scores: Tensor, beam: Beam) -> Tensor:
    return scores if beam.step < 2 else scores[:, 5000:5001].squeeze(7)


def gives_a_list(scores: Tensor, beam: Beam) -> Any:
    del beam
    return scores.tolist()


def loses_a_token(scores: Tensor, beam: Beam) -> Tensor:
    del beam
    return scores[..., :-1]


def doubles(scores: Tensor, beam: Beam) -> Tensor:
    del beam
    return scores.double()


def writes_into_scores(scores: Tensor, beam: Beam) -> Tensor:
    del beam
    scores[..., 4] = DEAD
    return scores


def writes_into_the_beam(scores: Tensor, beam: Beam) -> Tensor:
    if beam.step:
        beam.tokens[:, :, -1] = 5
    return scores


def measures_entropy_of_nothing(scores: Tensor, beam: Beam) -> Tensor:
    del beam
    normal = scores.log_softmax(-1)
    entropy = -(normal.exp() * normal).sum(-1, keepdim=True)  # 0 · −∞
    return scores * entropy


def masks_by_a_big_number(scores: Tensor, beam: Beam) -> Tensor:
    del beam
    return scores.clamp(min=-1e9)


class Tired:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, scores: Tensor, beam: Beam) -> Tensor:
        del beam
        self.calls += 1
        return scores / self.calls


def throws_dice(scores: Tensor, beam: Beam) -> Tensor:
    del beam
    return scores + torch.rand(scores.shape)


def looks_at_padding(scores: Tensor, beam: Beam) -> Tensor:
    last = beam.prefix[:, -1:].unsqueeze(1).expand(-1, scores.shape[1], -1)
    return scores.scatter_add(2, last, torch.full(last.shape, -1.0))


def prefers_the_first_row(scores: Tensor, beam: Beam) -> Tensor:
    return scores / torch.arange(1, beam.width + 1).unsqueeze(1)


def counts_the_batch(scores: Tensor, beam: Beam) -> Tensor:
    return scores / len(beam.sources)


@dataclass
class Forgetful:
    """Keeps how much each row has said of token 4, and does not follow the rows."""

    counts: Tensor | None = None
    sources: Tensor | None = None
    follows: bool = False

    def start(self, session: Session) -> Forgetful:
        del session
        return Forgetful(follows=self.follows)

    def __call__(self, scores: Tensor, beam: Beam) -> Tensor:
        if self.counts is None or self.sources is None:
            self.counts = torch.zeros(beam.scores.shape)
        else:
            told = beam if self.follows else replace(beam, parents=None)
            kept = reorder(self.counts, self.sources, told)
            self.counts = kept + (beam.tokens[:, :, -1] % 2 == 0)
        self.sources = beam.sources
        return scores / (1 + self.counts.unsqueeze(2))


BAD_FILTERS: list[tuple[str, Filter]] = [
    ("answer", raises_later),
    ("answer", gives_a_list),
    ("shape", loses_a_token),
    ("shape", doubles),
    ("in-place", writes_into_scores),
    ("in-place", writes_into_the_beam),
    ("finite", measures_entropy_of_nothing),
    ("forbidden", masks_by_a_big_number),
    ("repeat", Tired()),
    ("repeat", throws_dice),
    ("padding", looks_at_padding),
    ("duplicates", prefers_the_first_row),
    ("neighbours", counts_the_batch),
    ("history", Forgetful()),
]


@pytest.mark.parametrize(("law", "bad"), BAD_FILTERS)
def test_a_bad_filter_breaks_its_law(law: str, bad: Filter) -> None:
    with pytest.raises(LawBroken) as caught:
        check_filter(bad)
    assert caught.value.law == law
    assert caught.value.evidence
    name = getattr(bad, "__name__", type(bad).__name__)
    message = str(caught.value)
    assert message.startswith(f"The filter {name}, of {__file__}, breaks the law '{law}': ")
    assert FILTER_LAWS[law].says in message


def test_every_law_of_filters_is_shown_to_bite() -> None:
    assert {law for law, _ in BAD_FILTERS} == set(FILTER_LAWS)


def test_what_is_right_passes() -> None:
    check_filter(Forgetful(follows=True))
    check_filter(masks_by_a_big_number, may_revive=True)
    check_filter(looks_at_padding, laws=["shape", "finite"])


class Around:
    """A strategy that changes what another one is given, or what it returns."""

    def __init__(
        self,
        inner: Any,
        before: Callable[[Session], Session] = lambda session: session,
        after: Callable[[Hypotheses], Any] = lambda found: found,
    ) -> None:
        self.inner, self.before, self.after = inner, before, after

    def __call__(self, session: Session) -> Any:
        """(B, some) hypotheses."""
        return self.after(self.inner(self.before(session)))


def divides(session: Session) -> Any:
    return session.samples / 0


def overwrites_pad(found: Hypotheses) -> Hypotheses:
    empty = found.tokens.clone()
    empty[found.tokens == TOY_SPECIAL.pad] = 6
    return replace(found, tokens=empty.masked_fill((found.scores == DEAD).unsqueeze(2), 0))


def reverses(found: Hypotheses) -> Hypotheses:
    order = torch.arange(found.tokens.shape[1] - 1, -1, -1)
    return take(found, order.expand(len(found.tokens), -1))


def turns_attention(found: Hypotheses) -> Hypotheses:
    seen = found.attention
    return found if seen is None else replace(found, attention=seen.roll(1, dims=2))


def longest_limit(session: Session) -> Session:
    limit = session.limit
    return replace(session, limit=limit.amax().expand(limit.shape)) if len(limit) else session


def forgets_the_prefix(session: Session) -> Session:
    return replace(
        session,
        prefix=session.prefix[:, :1],
        prefix_lengths=torch.ones_like(session.prefix_lengths),
    )


def reads_forced_tokens_as_a_prompt(session: Session) -> Hypotheses:
    """Beam search that pays for the forced tokens, but divides by the length of the rest."""
    found = BeamSearch(width=4)(session)
    if session.forced is None:
        return found
    given = (session.forced != TOY_SPECIAL.pad).sum(1, keepdim=True)
    lengths = found.lengths.float()
    factor = lengths / (lengths - given).clamp(min=1)
    return replace(found, scores=(found.scores * factor).nan_to_num(nan=DEAD))


def shortens_in_place(session: Session) -> Session:
    session.limit.clamp_(max=6)
    return session


def hides_start(session: Session) -> Session:
    hidden = tuple(lambda scores, beam, one=each: one(scores, beam) for each in session.filters)
    return replace(session, filters=hidden)


def overrules(session: Session) -> Session:
    """Takes no for an answer only where something else is left."""

    def soft(one: Filter) -> Filter:
        def call(scores: Tensor, beam: Beam) -> Tensor:
            result = one(scores, beam)
            return torch.where((result > DEAD).any(2, keepdim=True), result, scores)

        return call

    return replace(
        session,
        filters=tuple(each if hasattr(each, "start") else soft(each) for each in session.filters),
    )


def tells_tales(session: Session) -> Session:
    if session.on_stable_prefix is not None:
        size = len(session.limit)
        tokens, ones = torch.full((size, 1), 7), torch.ones(size, dtype=torch.int64)
        session.on_stable_prefix(torch.arange(size), tokens, ones)
    return replace(session, on_stable_prefix=None)


def of_the_global_generator(session: Session) -> Hypotheses:
    def pick(scores: Tensor, beam: Beam) -> Pick:
        del beam
        return Pick(None, (scores - torch.empty(scores.shape).exponential_().log()).argmax(2))

    return search(session, pick)


def counts_sources(session: Session) -> Hypotheses:
    even = len(session.limit) % 2 == 0

    def pick(scores: Tensor, beam: Beam) -> Pick:
        best, second = scores.topk(2).indices.unbind(2)
        possible = scores.gather(2, second.unsqueeze(2)).squeeze(2) > DEAD
        return Pick(None, torch.where(possible & even & ~beam.finished, second, best))

    return search(session, pick)


def fails_on_nothing(session: Session) -> Hypotheses:
    int(session.limit.max())
    return Greedy()(session)


def two(session: Session) -> Hypotheses:
    return search(session, lambda scores, _: Pick(None, scores.argmax(2)), width=2)


def refuses_translators(session: Session) -> Hypotheses:
    if session.batch is not None and session.batch.source is not None:
        raise UsageError("refuses-translators works with language models: use greedy.")
    return Greedy()(session)


def refuses_at_length(session: Session) -> Hypotheses:
    if session.batch is not None and session.batch.source is not None:
        raise UsageError("No.\nReally not.")
    return Greedy()(session)


BAD_STRATEGIES: list[tuple[str, Any, dict[str, Any]]] = [
    ("kinds", Greedy(), {"kinds": ["language-model"]}),
    ("kinds", refuses_at_length, {"kinds": ["language-model"]}),
    ("answer", divides, {}),
    ("answer", Around(Greedy(), after=lambda found: found.tokens), {}),
    ("answer", Around(Greedy(), after=lambda f: replace(f, tokens=f.tokens + 90)), {}),
    ("answer", Around(Greedy(), after=lambda f: replace(f, tokens=f.tokens[:, 0])), {}),
    ("hypotheses", Around(Greedy(), after=lambda f: replace(f, scores=f.scores.double())), {}),
    (
        "hypotheses",
        Around(Greedy(), after=lambda f: replace(f, scores=f.scores.clamp(max=DEAD))),
        {},
    ),
    (
        "dead-rows",
        Around(BeamSearch(width=4), after=lambda f: replace(f, scores=f.scores.clamp(min=-1e9))),
        {},
    ),
    ("best-first", Around(Sample(), after=reverses), {}),
    ("padding", Around(Greedy(), after=overwrites_pad), {}),
    (
        "eos",
        Around(Greedy(), after=lambda f: replace(f, finished=torch.zeros_like(f.finished))),
        {},
    ),
    ("limits", Around(Greedy(), before=longest_limit), {}),
    (
        "rescoring",
        Around(Greedy(), after=lambda f: replace(f, log_probs=f.log_probs / f.lengths.clamp(1))),
        {},
    ),
    ("prefix", Around(Greedy(), before=forgets_the_prefix), {}),
    ("no-sources", fails_on_nothing, {}),
    ("attention", Around(Greedy(), after=turns_attention), {}),
    ("attention", Around(Greedy(), after=lambda f: replace(f, attention=None)), {}),
    ("session", Around(Greedy(), before=shortens_in_place), {}),
    ("repeat", of_the_global_generator, {}),
    ("seeds", Sample(), {"random": False}),
    ("seeds", Greedy(), {"random": True}),
    ("neighbours", counts_sources, {}),
    ("samples", two, {}),
    ("filters", Around(Greedy(), before=lambda s: replace(s, filters=())), {}),
    ("start", Around(Greedy(), before=hides_start), {}),
    ("all-forbidden", Around(Greedy(), before=overrules), {}),
    ("eos-at-limit", Around(Greedy(), before=lambda s: replace(s, eos_at_limit=False)), {}),
    ("watch", Around(Greedy(), before=lambda s: replace(s, watch=None)), {}),
    ("settled", Around(Greedy(), before=tells_tales), {}),
    ("forced", Around(BeamSearch(width=4), before=lambda s: replace(s, forced=None)), {}),
    ("forced", reads_forced_tokens_as_a_prompt, {}),
]


@pytest.mark.parametrize(("law", "bad", "said"), BAD_STRATEGIES)
def test_a_bad_strategy_breaks_its_law(law: str, bad: Any, said: dict[str, Any]) -> None:
    with pytest.raises(LawBroken) as caught:
        check_strategy(bad, **said)
    assert caught.value.law == law, str(caught.value)
    assert caught.value.evidence
    assert str(caught.value).startswith(f"The strategy {title(bad)}, of ")
    assert STRATEGY_LAWS[law].says in str(caught.value)


def test_every_law_of_strategies_is_shown_to_bite() -> None:
    assert {law for law, _, _ in BAD_STRATEGIES} == set(STRATEGY_LAWS)


def test_a_strategy_may_refuse_what_it_says_it_refuses() -> None:
    check_strategy(refuses_translators, kinds=["language-model"], laws=["kinds", "answer"])

    def no_attention(session: Session) -> Hypotheses:
        """(B, 1) hypotheses."""
        if session.attention:
            raise UsageError("no-attention keeps none.")
        return Greedy()(session)

    check_strategy(no_attention, refuses=["attention"])
    with pytest.raises(LawBroken, match="It raised UsageError: no-attention keeps none") as caught:
        check_strategy(no_attention)
    assert caught.value.law == "attention"


def test_unknown_laws_are_told() -> None:
    with pytest.raises(UsageError, match="Did you mean 'rescoring'"):
        check_strategy(Greedy(), laws=["rescore"])
    with pytest.raises(UsageError, match="no law 'watches'"):
        check_strategy(Greedy(), refuses=["watches"])
    with pytest.raises(UsageError, match="no law 'nan'"):
        check_filter(doubles, laws=["nan"])


@dataclass(frozen=True)
class Spelt:
    """A filter that needs a tokenizer and another model."""

    text: str
    token: int = -1
    loaded: str = ""

    def setup_models(self, load: Any) -> Spelt:
        return replace(self, loaded=load("toy").kind)

    def setup_tokenizer(self, tokenizer: Tokenizer) -> Spelt:
        assert self.loaded == "language-model"
        (token,) = tokenizer.encode(self.text)
        return replace(self, token=token)

    def __call__(self, scores: Tensor, beam: Beam) -> Tensor:
        del beam
        assert self.token >= 0
        return scores.index_fill(-1, torch.tensor([self.token]), DEAD)


def test_plugins_are_made_ready_before_they_are_tried() -> None:
    check_filter(Spelt("ab"))
    with pytest.raises(PluginError, match=r"plugin Spelt, .*its setup_tokenizer raised ValueError"):
        check_filter(Spelt("ba"))


def test_the_toy_vocabulary_reads_what_it_writes() -> None:
    tokenizer = ToyTokenizer()
    for text in ("", "abba c.", "dad\n"):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode("abz") == [8, 3]
    assert [tokenizer.piece(token) for token in range(tokenizer.size)] == list(tokenizer.pieces)
