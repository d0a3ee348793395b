"""What plugins keep for each row follows the rows: checked against the beam's own history."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from fakes import SPECIAL, random_model
from textgen.decoding import decode, follow_state, make_session, reorder
from textgen.errors import PluginError
from textgen.protocols import Batch, Beam, Session
from textgen_decoders.beam import BeamSearch
from textgen_decoders.sample import Sample

LIMITS = [9, 3, 7, 0, 5]


@dataclass
class Diary:
    """Writes down every token of each row, and reads along with a model of its own."""

    session: Session | None = None
    calls: int = 0
    started: list[Any] = field(default_factory=list)
    kept: Tensor | None = None
    sources: Tensor | None = None
    state: Any = None

    def start(self, session: Session) -> Diary:
        own = Diary(session)
        self.started.append(own)
        return own

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        assert self.session is not None
        self.calls += 1
        model = self.session.model
        if self.kept is None:
            assert beam.step == 0
            assert beam.parents is None
            self.kept = beam.tokens
            state = self.session.state
            _, state = model.features(self.session.prefix, state, self.session.prefix_lengths)
            self.state = state.select(beam.prefix_lengths.new_zeros(len(LIMITS), beam.width))
        else:
            assert self.sources is not None
            newest = beam.tokens[:, :, -1:]
            self.kept = torch.cat([reorder(self.kept, self.sources, beam), newest], 2)
            state = follow_state(self.state, self.sources, beam)
            _, self.state = model.features(newest.flatten(0, 1), state)
        self.sources = beam.sources
        live = ~beam.finished
        assert torch.equal(self.kept[live], beam.tokens[live])
        assert torch.equal(self.state.memory[live], beam.state.memory[live])
        return log_probs


@pytest.mark.parametrize("strategy", [Sample(), BeamSearch(width=4), BeamSearch(width=1)])
def test_it_follows_rows_through_any_search(strategy: Any) -> None:
    diary = Diary()
    session = make_session(
        random_model(vocabulary=7, spread=2.0),
        Batch(len(LIMITS)),
        [[1], [1, 4], [1, 5, 6], [1], [1, 4]],
        special=SPECIAL,
        limits=LIMITS,
        samples=3,
        filters=[diary],
    )
    first, second = decode(strategy, session), decode(strategy, session)
    assert torch.equal(first.tokens, second.tokens)
    assert [each.calls > 3 for each in diary.started] == [True, True]
    assert diary.calls == 0


class Stubborn:
    def __init__(self, what: Any) -> None:
        self.what = what

    def start(self, session: Session) -> Any:
        return self.what(session)

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        raise AssertionError(log_probs, beam)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (lambda session: session.no, "its start raised AttributeError"),
        (lambda _: 3, "gave int, not a filter"),
    ],
)
def test_a_start_that_fails_is_named(what: Any, message: str) -> None:
    session = make_session(
        random_model(), Batch(1), [[1]], special=SPECIAL, limits=3, filters=[Stubborn(what)]
    )
    with pytest.raises(PluginError, match=f"The filter Stubborn.*{message}"):
        decode(Sample(), session)


@dataclass(frozen=True)
class Warm:
    """A filter with an option of that name."""

    start: float = 2.0

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        return log_probs / self.start if beam.step == 0 else log_probs


def test_an_option_may_be_called_start() -> None:
    session = make_session(
        random_model(), Batch(1), [[1]], special=SPECIAL, limits=3, filters=[Warm()]
    )
    assert decode(Sample(), session).tokens.shape[0] == 1
