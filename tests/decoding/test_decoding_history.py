"""What was said last: prompt and output as one, nothing before them."""

from __future__ import annotations

from fakes import make_beam
from textgen.decoding.history import last_said


def test_where_fewer_tokens_were_said_there_is_minus_one() -> None:
    beam = make_beam([[[3, 4]]])
    assert last_said(beam, 2).tolist() == [[[3, 4]]]
    assert last_said(beam, 4).tolist() == [[[-1, -1, 3, 4]]]
