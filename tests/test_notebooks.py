"""HTML for notebooks: self-contained, and no text becomes markup."""

from __future__ import annotations

import math
from html.parser import HTMLParser

import numpy as np
import pytest

from textgen.inference import Generation
from textgen.loaded.history import TrainingHistory
from textgen.loaded.language_model import Samples
from textgen.notebooks import MAX_TOKENS, Curve, attention_html, curves_html
from textgen.training.events import Improved, Step, Validated
from textgen.translation import Candidate, Translation

EVIL = "<script>alert('x')</script>\x1b[31m\"&"


class Reader(HTMLParser):
    """What a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if not (self.get_starttag_text() or "").endswith("/>"):
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            assert "http" not in (value or "")

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == [], "every tag is closed"
    assert "script" not in reader.tags
    assert "\x1b" not in html
    return reader


def step(number: int, loss: float) -> Step:
    return Step(number, 0, loss, 10, 1.0, 0.1, 0.1, float(number), 0.5, None)


def test_a_generation_is_coloured_by_surprise() -> None:
    pieces = ("a", "", EVIL)
    text = "".join(pieces)
    found = Generation(EVIL, 0, 0, text, (5, 6, 7), -9.0, "eos", b"", pieces, (-0.5, -0.5, -99.0))
    html = found._repr_html_()
    reader = read(html)
    assert reader.tags.count("span") == 3, "the prompt and two pieces that are seen"
    assert "".join(reader.text).count("<script>") == 2
    assert "rgba(214,72,61,0.06)" in html
    assert "rgba(214,72,61,1.00)" in html
    assert "99.00 nats" in html


def test_samples_are_a_table() -> None:
    found = Samples([Generation(EVIL, 0, 0, EVIL, (5,), -1.0, "eos") for _ in range(2)])
    assert found == list(found)
    reader = read(found._repr_html_())
    assert reader.tags.count("tr") == 3
    assert "".join(reader.text).count("<script>") == 3
    assert read(Samples()._repr_html_()).tags.count("tr") == 1


def test_a_generation_without_pieces_shows_its_text() -> None:
    assert "words" in read(Generation("", 0, 0, "words", (5,), -1.0, "eos")._repr_html_()).text


def test_a_translation_shows_candidates_and_attention() -> None:
    weights = np.array([[0.9, 0.1], [0.0, 1.0]], dtype=np.float32)
    best = Candidate(EVIL, (5, 2), -1.0, -2.0, (-1.0, -1.0), True, weights, (EVIL, "</s>"))
    other = Candidate("other", (6,), -3.0, -3.0, (-3.0,), True)
    found = Translation(0, EVIL, (7,), False, (best, other), source_pieces=(EVIL, "</s>"))
    reader = read(found._repr_html_())
    assert reader.tags.count("table") == 2
    assert "".join(reader.text).count("<script>") == 4
    assert "other" in reader.text
    plain = Translation(0, EVIL, (7,), False, (other,))
    assert read(plain._repr_html_()).tags.count("table") == 1


def test_a_large_heat_map_is_cut_and_says_so() -> None:
    many = ["x"] * (MAX_TOKENS + 5)
    reader = read(attention_html(many, many, [[0.5] * len(many)] * len(many)))
    assert reader.tags.count("td") == MAX_TOKENS**2
    assert any("first 60 tokens" in text for text in reader.text)


def test_a_history_draws_its_curves() -> None:
    history = TrainingHistory()
    for event in (step(1, 3.0), step(2, 2.0), Validated(2, {"loss": 2.5}), Improved(2, 2.5)):
        history.listen(event)
    html = history._repr_html_()
    reader = read(html)
    assert reader.tags.count("polyline") == 2
    assert {"training", "validation"} <= set(reader.text)
    assert "2 steps in 0:02; kept the weights of step 2 (loss 2.5000)" in reader.text


@pytest.mark.parametrize("points", [[], [(1.0, math.nan)], [(1.0, 2.0)], [(1.0, math.inf), (2, 2)]])
def test_curves_of_odd_points(points: list[tuple[float, float]]) -> None:
    html = curves_html([Curve(EVIL, points)], EVIL, EVIL)
    read(html)
    assert "nan" not in html
    assert "inf" not in html
