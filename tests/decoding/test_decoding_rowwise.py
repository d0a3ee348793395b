"""Filters of each source's own in one search: as in a search of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from fakes import SPECIAL, FixedRandom, random_model
from textgen.decoding import decode, make_session, reorder
from textgen.decoding.binding import Binder
from textgen.decoding.chain import Chain
from textgen.decoding.rowwise import Rowwise, part_of, rowwise
from textgen.errors import PluginError, UsageError
from textgen.protocols import Batch, Beam, Filter, Hypotheses, Session
from textgen_decoders.beam import BeamSearch
from textgen_decoders.greedy import Greedy
from textgen_decoders.no_repeat_ngram import NoRepeatNgram
from textgen_decoders.repetition_penalty import RepetitionPenalty
from textgen_decoders.sample import Sample
from textgen_decoders.temperature import Temperature
from textgen_decoders.top_k import TopK
from textgen_decoders.xtc import XTC

LIMITS = [9, 3, 14, 0, 6, 1, 11]
PREFIXES = [[1], [1, 4], [1, 5, 6], [1], [1, 4], [1, 3, 3, 3], [1, 6]]
SEEDS = [5, 6, 5, 1, 1, 2, 9]


@dataclass
class Tally:
    """Keeps each row's tokens by itself and makes what came before dearer; reads the batch too."""

    cost: float = 1.0
    counts: Tensor | None = None
    sources: Tensor | None = None
    languages: Tensor | None = None
    session: Session | None = None

    def start(self, session: Session) -> Tally:
        assert session.batch is not None
        assert session.batch.source is not None
        assert len(session.texts) == session.batch.size == len(session.limit)
        return Tally(self.cost, languages=session.batch.source[:, 0], session=session)

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        assert self.session is not None
        assert self.languages is not None
        assert torch.equal(beam.limit, self.session.limit[beam.sources])
        assert torch.equal(beam.state.language, self.languages[beam.sources])
        if self.counts is None or self.sources is None:
            self.counts = torch.zeros_like(log_probs)
        else:
            new = torch.nn.functional.one_hot(beam.tokens[:, :, -1], log_probs.shape[2])
            self.counts = reorder(self.counts, self.sources, beam) + new
        self.sources = beam.sources
        return log_probs - self.cost * self.counts


def chains() -> list[tuple[Filter, ...]]:
    shy, warm = Tally(0.7), Temperature(1.7)
    first = (shy, warm)
    return [
        first,
        (XTC(q=0.5, t=0.1), TopK(4)),
        (),
        (NoRepeatNgram(2),),
        first,
        (Tally(2.0), RepetitionPenalty(1.5)),
        (XTC(q=0.7, t=0.2),),
    ]


def session_of(rows: Sequence[int], filters: tuple[Filter, ...], **options: Any) -> Session:
    sources = torch.tensor([[row % 3, 4, 5] for row in range(len(LIMITS))])
    batch = Batch(len(rows), sources[list(rows)], torch.tensor([1 + row % 3 for row in rows]))
    return make_session(
        random_model(vocabulary=8, spread=2.0),
        batch,
        [PREFIXES[row] for row in rows],
        special=SPECIAL,
        limits=[LIMITS[row] for row in rows],
        seeds=[SEEDS[row] for row in rows],
        filters=filters,
        texts=[str(row) for row in rows],
        **options,
    )


def row_of(found: Hypotheses, row: int) -> list[Any]:
    """What was found of one source, without padding."""
    alive = found.scores[row] > float("-inf")
    lengths = found.lengths[row, alive].tolist()
    tokens = [found.tokens[row, k, :length].tolist() for k, length in enumerate(lengths)]
    return [tokens, found.scores[row, alive].tolist(), found.finished[row, alive].tolist()]


@pytest.mark.parametrize(
    "strategy", [Greedy(), Sample(), BeamSearch(width=3), BeamSearch(width=4, n_best=2)]
)
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("attention", [False, True])
def test_each_source_gets_what_it_gets_alone(
    strategy: Any, samples: int, *, attention: bool
) -> None:
    mine = chains()
    alone = [
        row_of(decode(strategy, session_of([row], mine[row], samples=samples)), 0)
        for row in range(len(LIMITS))
    ]
    for order in ([0, 1, 2, 3, 4, 5, 6], [6, 2, 0, 5, 3, 1, 4], [4, 0], [1, 1, 2, 1]):
        filters = rowwise([mine[row] for row in order])
        session = session_of(order, filters, samples=samples, attention=attention)
        found = decode(strategy, session)
        for place, row in enumerate(order):
            assert row_of(found, place) == alone[row]
    assert len({str(each) for each in alone}) >= len(LIMITS) - 1


def test_a_chain_that_all_share_stays_as_it_is() -> None:
    chain = (Temperature(2.0), TopK(3))
    assert rowwise([chain] * 3) is chain
    assert rowwise([]) == ()
    (one,) = rowwise([chain, (), chain])
    assert isinstance(one, Rowwise)
    assert one.owners == (0, 1, 0)


def test_filters_that_are_not_started_work_too() -> None:
    filters = rowwise([(Temperature(2.0),), ()])
    seen: list[Tensor] = []

    def look(log_probs: Tensor, beam: Beam) -> Tensor:
        (seen_by,) = filters
        seen.append(seen_by(log_probs, beam))
        for place, source in enumerate(beam.sources.tolist()):
            warmth = 2.0 if source == 0 else 1.0
            assert torch.equal(seen[-1][place], log_probs[place] / warmth)
        return log_probs

    decode(Greedy(), session_of([0, 2], (look,)))
    assert len(seen) > 3


def test_the_broken_filter_is_named_and_not_its_neighbour() -> None:
    def broken(log_probs: Tensor, beam: Beam) -> Tensor:
        del beam
        return log_probs * float("nan")

    def narrow(log_probs: Tensor, beam: Beam) -> Tensor:
        del beam
        return log_probs[:, :, 1:]

    for bad, said in ((broken, "broken.*NaN"), (narrow, "narrow.*shape")):
        with pytest.raises(PluginError, match=said):
            decode(Greedy(), session_of([0, 2], rowwise([(bad,), (TopK(3),)])))


def test_a_strategy_with_other_sources_says_so() -> None:
    (filters,) = rowwise([(TopK(3),), (), ()])
    with pytest.raises(UsageError, match="one at a time"):
        decode(Greedy(), session_of([0, 2], (filters,)))


def test_a_part_of_a_session_is_decoded_as_the_whole() -> None:
    order = list(range(len(LIMITS)))
    whole = session_of(order, (), samples=2)
    everybody = decode(Sample(), whole)
    rows = torch.tensor([1, 2, 6])
    some = decode(Sample(), part_of(whole, rows))
    for place, row in enumerate(rows.tolist()):
        assert row_of(some, place) == row_of(everybody, row)
    fixed = replace(whole, random=FixedRandom(0.3))
    some = decode(Sample(), part_of(fixed, rows))
    assert row_of(some, 1) == row_of(decode(Sample(), fixed), 2)


def test_any_random_numbers_are_asked_for_under_their_own_sources() -> None:
    class Numbered:
        def uniform(self, beam: Beam, count: int | None = None, stream: int = 0) -> Tensor:
            del count, stream
            return (beam.sources.double() / 10 + 0.05).unsqueeze(1).expand_as(beam.scores)

    plain = replace(session_of([0, 1, 2], ()), random=Numbered())
    seen: list[list[float]] = []

    def look(log_probs: Tensor, beam: Beam) -> Tensor:
        seen.append(beam.random.uniform(beam)[:, 0].tolist())
        return log_probs

    mixed = replace(plain, filters=rowwise([(), (look,), (look,)]))
    decode(Greedy(), mixed)
    assert seen[0] == pytest.approx([0.15, 0.25])


class Named:
    """A strategy that is no dataclass."""

    def __call__(self, session: Session) -> Hypotheses:
        return Greedy()(session)


class Letters:
    """As much of a tokenizer as binding needs."""


@dataclass(frozen=True)
class Bindable:
    words: tuple[str, ...] = ()
    table: Any = None

    def setup_tokenizer(self, tokenizer: Any) -> Bindable:
        return replace(self, words=(*self.words, type(tokenizer).__name__))

    def setup_models(self, load: Any) -> Bindable:
        return replace(self, words=(*self.words, load("x")))

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        del beam
        return log_probs


def test_equal_plugins_are_bound_once_and_others_apart() -> None:
    loads: list[str] = []

    def load(name: str) -> Any:
        loads.append(name)
        return name

    binder = Binder(Letters(), load)  # type: ignore[arg-type]

    def filters_of(*filters: Filter) -> tuple[Filter, ...]:
        return binder(Chain(Named(), filters, [])).filters

    one, two = filters_of(Bindable(("a",)), TopK(3))
    assert filters_of(TopK(3), Bindable(("a",)), TopK(4))[:2] == (two, one)
    assert filters_of(TopK(3))[0] is two
    assert one == Bindable(("a", "x", "Letters"))
    tables = torch.zeros(2000), torch.zeros(2000)
    tables[1][1000] = 1  # written alike
    three, four = filters_of(*(Bindable(table=table) for table in tables))
    assert three is not four
    assert loads == ["x"]  # one model, however many plugins ask for it
    same = Named()
    assert binder(Chain(same, (), [])).strategy is binder(Chain(same, (), [])).strategy is same
    assert binder(Chain(Named(), (), [])).strategy is not same


def test_what_is_bound_is_forgotten_in_time() -> None:
    binder = Binder(Letters())  # type: ignore[arg-type]
    for k in range(1, 2000):
        binder(Chain(Greedy(), (TopK(k),), []))
    assert len(binder._known) <= 512
