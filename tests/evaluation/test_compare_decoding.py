"""Human text cut into pieces and scored; pictures of the comparison."""

from pathlib import Path

import pytest

from checks import some
from small_models import TEXT, save_language_model
from textgen.data.documents import Texts
from textgen.errors import DataError, UsageError
from textgen.evaluation.beam_plot import TranslationPoint, plot_translations, short_names
from textgen.evaluation.compare_decoding import CONTEXT, Row, cut_excerpts, measure_people
from textgen.evaluation.decoding_plot import plot_texts
from textgen.evaluation.diversity import measure_texts
from textgen.evaluation.label_placement import Box, place_labels
from textgen.evaluation.perplexity import perplexity
from textgen.loading import LoadedModel, load_model


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(str(save_language_model(tmp_path_factory.mktemp("stream"))), "cpu")


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = save_language_model(tmp_path_factory.mktemp("lines"), kind="words", unit="lines")
    return load_model(str(folder), "cpu")


def test_pieces_follow_each_other_without_overlap(stream: LoadedModel) -> None:
    text = TEXT * 9
    pieces = cut_excerpts(stream, Texts([text]), 7, 30)
    assert len(pieces) == 7
    place = 0
    for piece in pieces:
        assert len(piece.prompt) >= CONTEXT
        assert piece.prompt[-1].isspace()
        assert len(piece.tokens) == len(piece.text) == 30
        found = text.index(piece.prompt + piece.text, place)
        place = found + len(piece.prompt) + 30
    assert text.endswith(pieces[-1].text[-5:]) or place <= len(text)


def test_a_short_text_gives_fewer_pieces_or_none(stream: LoadedModel, lines: LoadedModel) -> None:
    assert len(cut_excerpts(stream, Texts([TEXT]), 9, 5)) == 1
    with pytest.raises(DataError, match="too few for a prompt"):
        cut_excerpts(stream, Texts([TEXT]), 9, 500)
    with pytest.raises(DataError, match="too few for a prompt"):
        cut_excerpts(lines, Texts(["To\nbe\n"]), 9, 5)


def test_lines_are_cut_in_halves_and_keep_their_eos(lines: LoadedModel) -> None:
    pieces = cut_excerpts(lines, Texts([TEXT]), 9, 100)
    assert len(pieces) == 3
    for piece, line in zip(pieces, TEXT.splitlines(), strict=True):
        assert piece.tokens[-1] == lines.tokenizer.special.eos
        assert f"{piece.prompt} {piece.text.strip()}" == lines.tokenizer.decode(
            lines.tokenizer.encode(line)
        )
    assert all(len(piece.tokens) <= 2 for piece in cut_excerpts(lines, Texts([TEXT]), 9, 2))


def test_people_are_scored_as_perplexity_scores_them(stream: LoadedModel) -> None:
    pieces = cut_excerpts(stream, Texts([TEXT * 9]), 4, 30)
    row = measure_people(stream, pieces)
    assert row.figures is not None
    nll = 0.0
    for piece in pieces:
        whole = perplexity(stream, Texts([piece.prompt + piece.text])).nll
        nll += whole - perplexity(stream, Texts([piece.prompt])).nll
    assert row.figures.nats_per_token == pytest.approx(nll / 120, rel=1e-4)


def rows() -> list[Row]:
    texts = ["the cat sat on the mat", "a dog ran to the house"]
    figures = [measure_texts(texts, float(nll), 12) for nll in (20, 9, 21, 21)]
    found = [Row(f"way $x_{n}$", "sample", each, 1.0) for n, each in enumerate(figures[1:])]
    return [Row("human text", "", figures[0]), *found, Row("bad", "greedy", error="no")]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_pictures_are_the_same_bytes_each_time(suffix: str, tmp_path: Path) -> None:
    points = [
        TranslationPoint("beam:width=2", 30.0, 9.0, "beam:alpha=1.0", 2),
        TranslationPoint("beam:width=5", 31.0, 4.0, "beam:alpha=1.0", 5),
        TranslationPoint("sample", 3.0, 12.0),
    ]
    pictures = []
    for number in range(2):
        path = tmp_path / f"{number}.{suffix}"
        plot_texts(path, rows(), "model")
        first = path.read_bytes()
        plot_translations(path, points, "model")
        pictures.append((first, path.read_bytes()))
    assert pictures[0] == pictures[1]


def test_pictures_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.png or an \.svg"):
        plot_texts(tmp_path / "x.gif", rows(), "")
    with pytest.raises(DataError, match="nothing to draw"):
        plot_texts(tmp_path / "x.png", rows()[-1:], "")
    with pytest.raises(DataError, match="nothing to draw"):
        plot_translations(tmp_path / "x.png", [], "")


def test_curves_are_told_apart_by_what_differs() -> None:
    same = "beam:length=average,alpha=1.0"
    assert short_names([same]) == ["beam"]
    other = "top-k:k=4 | beam:length=none,alpha=1.0"
    assert short_names([same, other]) == ["beam length=average", "beam top-k:k=4 length=none"]


def test_names_cover_neither_each_other_nor_points() -> None:
    points = [(100.0 + 7 * (n % 4), 100.0 + 6 * (n // 4)) for n in range(12)]
    page = Box(0, 0, 300, 220)
    spots = place_labels(points, [(40.0, 9.0)] * 12, page, {5})
    boxes = [spot.box for spot in spots]
    for at, box in some(enumerate(boxes)):
        assert box.inside(page)
        assert not any(box.overlaps(other) for other in boxes[at + 1 :])
        assert not any(box.overlaps(Box(x, y, x, y)) for x, y in points)


def test_a_name_without_room_stays_beside_its_point() -> None:
    (spot,) = place_labels([(5.0, 5.0)], [(400.0, 9.0)], Box(0, 0, 50, 50))
    assert spot.box.left < 5 + 10 < spot.box.right
