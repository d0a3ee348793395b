"""Values that grow by steps: what a moment showed stays what it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from checks import some
from fakes import SPECIAL, random_model
from textgen.decoding import decode, make_session
from textgen.decoding.token_buffer import TokenBuffer
from textgen.protocols import Batch, Beam
from textgen.rows import flat_rows
from textgen_decoders.beam import BeamSearch
from textgen_decoders.sample import Sample


def test_a_track_is_a_list_of_steps_however_rows_go() -> None:
    generator = torch.Generator().manual_seed(0)
    track = TokenBuffer(torch.zeros(3, 2))
    plain: list[list[list[float]]] = [[[] for _ in range(2)] for _ in range(3)]
    width, moments = 2, []
    for step in range(80):
        if step % 3 == 1:
            parents = torch.randint(0, width, (3, 1 + step % 4), generator=generator)
            track.take(flat_rows(parents, width), parents.shape[1])
            plain = [[list(plain[b][k]) for k in row] for b, row in enumerate(parents.tolist())]
            width = parents.shape[1]
        if step % 3 == 2 and width > 1:
            width -= 1  # an append of fewer rows drops the last
            plain = [rows[:width] for rows in plain]
        values = torch.randn(3, width, generator=generator)
        track.append(values)
        for b, row in enumerate(values.tolist()):
            for k, value in enumerate(row):
                plain[b][k].append(value)
        moments.append((track.moment(width), [[list(row) for row in rows] for rows in plain]))
    for moment, wanted in moments:
        assert moment.values().tolist() == wanted
    track.keep(torch.tensor([2, 0]))
    assert track.view(width).tolist() == [plain[2], plain[0]]


@pytest.mark.parametrize("strategy", [BeamSearch(width=3), Sample()])
def test_a_beam_looked_at_late_shows_its_own_step(strategy: BeamSearch | Sample) -> None:
    """A beam puts its tokens together when it is asked, whatever has happened since."""
    late: list[Beam] = []
    at_once: list[tuple[Tensor, Tensor]] = []
    batch = Batch(3, torch.tensor([[0, 4, 5], [1, 4, 5], [2, 4, 5]]), torch.tensor([1, 2, 3]))
    session = make_session(
        random_model(), batch, [[1]] * 3, special=SPECIAL, limits=[40, 5, 40], samples=2
    )

    def looks(beam: Beam) -> None:
        at_once.append((beam.tokens.clone(), beam.log_probs.clone()))

    decode(strategy, replace(session, watch=looks))
    decode(strategy, replace(session, watch=late.append))
    for beam, (tokens, log_probs) in some(zip(late, at_once, strict=True)):
        assert beam.step == tokens.shape[2]
        assert beam.width == tokens.shape[1]
        assert torch.equal(beam.tokens, tokens)
        assert torch.equal(beam.log_probs, log_probs)
        assert replace(beam, scores=beam.scores + 1).step == beam.step


def test_a_beam_has_no_other_attributes() -> None:
    seen: list[Beam] = []
    session = make_session(random_model(), Batch(1), [[1]], special=SPECIAL, limits=3)
    decode(Sample(), replace(session, watch=seen.append))
    with pytest.raises(AttributeError, match="a beam has no 'history'"):
        _ = seen[0].history  # type: ignore[attr-defined]
