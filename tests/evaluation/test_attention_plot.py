"""Attention pictures: that they say what the matrix says, whatever the tokens are."""

import io
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from textgen.errors import DataError, UsageError
from textgen.evaluation.alignment import GoldAlignment
from textgen.evaluation.attention_layout import cell_size, slanted
from textgen.evaluation.attention_picture import AttentionPicture, readable
from textgen.evaluation.attention_plot import write_attention
from textgen.evaluation.attention_theme import DARK, LIGHT, Theme, colour
from textgen.translation.links import make_links

CROSSED = AttentionPicture([[0.0, 1.0], [1.0, 0.0]], ["рано", "вставай"], ["up", "early"])
ODD = AttentionPicture(
    np.full((6, 6), 1 / 6),
    ["$5^2$", " ", "\n", "a_very_long_token_that_never_ends_at_all", "\x00", "\u0301"],
    ["<unk>", "▁the", "", "x & y", "مرحبا", "\ud800"],
    "$title$ <b>&amp;</b> \ud800",
    GoldAlignment(make_links([(0, 0)]), make_links([(1, 1), (9, 9)])),
)


class Page(HTMLParser):
    """Collects what a reader of the page would see of the tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.cells: list[str] = []
        self.text: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        if "data-weights" in values:
            self.rows.append(values["data-weights"].split())
        if tag == "td" and "class" in values:
            self.cells.append(values["class"])
        self.links += [values[key] for key in ("src", "href") if key in values]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def drawn(path: Path, *pictures: AttentionPicture, theme: str = "auto", title: str = "") -> bytes:
    write_attention(path, pictures, theme=theme, title=title)
    return path.read_bytes()


def pixels(data: bytes, shade: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels of a colour."""
    image = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    wanted = [int(shade[start : start + 2], 16) for start in (1, 3, 5)]
    rows, columns = np.nonzero((image == wanted).all(axis=2))
    return rows, columns


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_a_crossing_is_drawn_as_a_crossing(tmp_path: Path, theme: Theme) -> None:
    data = drawn(tmp_path / "a.png", CROSSED, theme=theme.name)
    rows, columns = pixels(data, theme.ramp[-1])
    rows, columns = rows[rows < np.quantile(rows, 0.98)], columns[rows < np.quantile(rows, 0.98)]
    upper = rows < (rows.min() + rows.max()) / 2
    # the first target word looked at the second source word: up right, then down left
    assert columns[upper].min() > columns[~upper].max()
    assert len(pixels(data, theme.page)[0]) > 1000


def test_pages_grow_with_the_sentences(tmp_path: Path) -> None:
    def size(tokens: int, count: int) -> tuple[int, int]:
        words = ["слово"] * tokens
        picture = AttentionPicture(np.eye(tokens), words, words, "A title")
        data = drawn(tmp_path / "a.png", *[picture] * count)
        return Image.open(io.BytesIO(data)).size

    small, large, many = size(4, 1), size(30, 1), size(4, 12)
    assert large[0] > 2 * small[0]
    assert large[1] > 2 * small[1]
    assert many[0] > small[0]
    assert many[1] > small[1]


@pytest.mark.parametrize("suffix", ["png", "svg", "html"])
def test_odd_tokens_and_empty_sentences_are_drawn_the_same_each_time(
    tmp_path: Path, suffix: str
) -> None:
    empty = AttentionPicture(np.zeros((0, 2)), ["a", "b"], [], "Empty")
    nothing = AttentionPicture([], [], [])
    path = tmp_path / f"a.{suffix}"
    first = drawn(path, ODD, empty, nothing, title="A $page$ & <more>")
    assert first == drawn(path, ODD, empty, nothing, title="A $page$ & <more>")
    assert len(first) > 1000


def test_svg_is_xml_with_a_shape_for_each_cell(tmp_path: Path) -> None:
    data = drawn(tmp_path / "a.SVG", CROSSED, theme="dark")
    styles = [each.get("style", "") for each in ET.fromstring(data).iter()]  # noqa: S314  # our own
    assert sum(f"fill: {DARK.ramp[-1]}" in style for style in styles) >= 2
    assert sum(f"fill: {DARK.ramp[0]}" in style for style in styles) >= 2


def test_a_page_has_every_weight_word_and_link(tmp_path: Path) -> None:
    gold = GoldAlignment(make_links([(1, 0)]), make_links([(0, 0)]))
    picture = AttentionPicture(
        [[0.25, 0.75], [1.0, 0.0]], ["рано", "вставай"], ["up", "b<c"], "T", gold
    )
    page = Page(drawn(tmp_path / "a.html", picture, CROSSED, title="Von → to").decode())
    assert page.rows == [
        ["0.250", "0.750"],
        ["1.000", "0.000"],
        ["0.000", "1.000"],
        ["1.000", "0.000"],
    ]
    assert page.cells[:4] == ["w25 possible", "w75 sure", "w100", "w0"]
    assert page.links == []
    assert {"рано", "вставай", "up", "b<c", "T", "Von → to"} <= set(page.text)


def test_a_page_is_complete_in_itself_and_has_both_themes(tmp_path: Path) -> None:
    text = drawn(tmp_path / "a.html", CROSSED).decode()
    assert 'data-theme="auto"' in text
    assert LIGHT.page in text
    assert DARK.page in text
    assert not re.search(r"https?:|@import|url\(", text)
    assert "$" not in text
    assert 'data-theme="dark"' in drawn(tmp_path / "a.html", CROSSED, theme="dark").decode()


def test_a_title_cannot_break_out_of_the_page(tmp_path: Path) -> None:
    evil = "</title><script>alert(1)</script>"
    picture = AttentionPicture([[1.0]], ['"><script>'], [evil], evil)
    text = drawn(tmp_path / "a.html", picture, title=evil).decode()
    assert text.count("<script>") == 1


def test_shortened_words_are_whole_under_the_pointer(tmp_path: Path) -> None:
    word = "Donaudampfschifffahrtsgesellschaft"
    text = drawn(tmp_path / "a.html", AttentionPicture([[1.0]], [word], ["x"])).decode()
    assert f'title="{word}"' in text


def test_drawing_leaves_matplotlib_as_it_was(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, matplotlib\n"
        "from textgen.evaluation.attention_plot import AttentionPicture, write_attention\n"
        "assert 'matplotlib.figure' not in sys.modules\n"
        "names = [name for name in matplotlib.rcParams if name != 'backend']\n"
        "before = [matplotlib.rcParams[name] for name in names]\n"
        "write_attention(pathlib.Path(sys.argv[1]), [AttentionPicture([[1.0]], ['a'], ['b'])])\n"
        "assert [matplotlib.rcParams[name] for name in names] == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path / "a.svg")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"drawn as \.html, \.png, \.svg\. Did you mean '\.png'"):
        write_attention(tmp_path / "a.pngg", [CROSSED])
    with pytest.raises(UsageError, match=r"no theme 'drak'\. Did you mean 'dark'"):
        write_attention(tmp_path / "a.png", [CROSSED], theme="drak")
    with pytest.raises(DataError, match="no attention to draw"):
        write_attention(tmp_path / "a.png", [])
    with pytest.raises(DataError, match="cannot be written: No such file"):
        write_attention(tmp_path / "no" / "a.html", [CROSSED])
    with pytest.raises(DataError, match=r"shape \(1, 2\) does not fit 2 target and 1 source"):
        AttentionPicture([[0.5, 0.5]], ["a"], ["b", "c"])
    with pytest.raises(DataError, match="not finite"):
        AttentionPicture([[float("nan")]], ["a"], ["b"])


def test_a_page_too_large_is_refused_before_it_is_drawn(tmp_path: Path) -> None:
    words = ["w"] * 3000
    large = AttentionPicture(np.zeros((3000, 3000)), words, words)
    with pytest.raises(UsageError, match=r"write \.html"):
        write_attention(tmp_path / "a.png", [large])


@pytest.mark.parametrize(
    ("token", "label"),
    [
        ("слово", "слово"),
        (" the", "␣the"),
        (" ", "␣"),
        ("New York", "New York"),
        ("", "∅"),
        ("\n", "↵"),
        ("a\tb", "a⇥b"),
        ("\x07", "�"),
        ("\u0301", "◌\u0301"),
        ("abcdefghij" * 4, "abcdefghijab…jabcdefghij"[:12] + "…" + "jabcdefghij"[-11:]),
    ],
)
def test_labels_are_readable(token: str, label: str) -> None:
    assert readable(token) == label


@given(st.text(max_size=60))
def test_no_label_is_empty_or_long(token: str) -> None:
    assert 1 <= len(readable(token)) <= 25


@given(st.floats(0, 1), st.floats(0, 1))
def test_lightness_runs_one_way_with_the_weight(one: float, other: float) -> None:
    low, high = sorted((one, other))

    def lightness(theme: Theme, weight: float) -> float:
        shade = colour(theme.ramp, weight)
        red, green, blue = (int(shade[start : start + 2], 16) for start in (1, 3, 5))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    assert lightness(LIGHT, low) >= lightness(LIGHT, high) - 1
    assert lightness(DARK, low) <= lightness(DARK, high) + 1


def test_colours_end_where_the_ramp_ends() -> None:
    assert colour(LIGHT.ramp, 0) == LIGHT.ramp[0] == LIGHT.cell
    assert colour(LIGHT.ramp, 1) == colour(LIGHT.ramp, 7) == LIGHT.ramp[-1]
    assert colour(("#000000", "#0000ff"), 0.5) == "#000080"


def test_cells_shrink_with_length_and_labels_of_characters_stand_upright() -> None:
    assert cell_size(5) == cell_size(20) > cell_size(40) > cell_size(60) == cell_size(500)
    assert slanted([0.1, 0.1, 0.1, 0.5], 0.3) == [False, False, False, True]
    assert slanted([0.1, 0.5, 0.5], 0.3) == [True, True, True]
