"""Whatever fails or is killed while a file is written: it is the old one or the new one."""

import contextlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from faults import CLEANING, Killed, injected
from small_models import save_translator
from textgen.checkpoint import LEXICON
from textgen.cli.evaluate_translation import _written
from textgen.cli.logs import json_log
from textgen.errors import TextgenError
from textgen.evaluation.alignment import GoldAlignment
from textgen.evaluation.alignment_files import write_alignments
from textgen.evaluation.attention_picture import AttentionPicture
from textgen.evaluation.attention_plot import write_attention
from textgen.evaluation.plot_page import new_figure, save
from textgen.loading import load_model
from textgen.training.events import Note, Stopped
from textgen.training.gradient_flow import FlowRow, plot_flow
from textgen.translation.lexicon import learn_lexicon, save_lexicon
from textgen.translation.links import Link

Writer = Callable[[Path], object]


def alignments(path: Path) -> None:
    write_alignments(path, [GoldAlignment(frozenset({Link(0, n)})) for n in range(3)])


def attention(path: Path) -> None:
    write_attention(path, [AttentionPicture(np.eye(2), ["a", "b"], ["c", "d"])])


def translations(path: Path) -> None:
    with _written(path) as write:
        write(["one", "two"])


def log(path: Path) -> None:
    with json_log(path, append=False) as listener:
        listener(Note("of a new training"))
        listener(Stopped(5, "steps"))


WRITERS: dict[str, Writer] = {
    "links": alignments,
    "page.html": attention,
    "page.svg": attention,
    "flow.png": partial(plot_flow, {"gru": [FlowRow(1, 0.5, (0.5,)), FlowRow(2, 0.25, (0.25,))]}),
    "plot.svg": lambda path: save(new_figure(2.0, 2.0, "plot"), path),
    "translations": translations,
}


def outcomes(path: Path, write: Writer, *, kill: bool) -> int:
    """Let each operation go wrong; returns how many there are."""
    path.unlink(missing_ok=True)
    write(path)
    new, at = path.read_bytes(), 0
    while True:
        path.write_bytes(b"old")
        stop: BaseException | None = None
        with injected(at, kill=kill) as faults:
            try:
                write(path)
            except (Killed, TextgenError) as error:  # anything else is a fault of its own
                stop = error
        if not faults.hit:
            return at
        assert isinstance(stop, Killed) == kill
        assert stop is None or kill or path.name in str(stop)
        assert path.read_bytes() in {b"old", new}, (faults.hit, at)
        if not kill and faults.hit not in CLEANING:
            assert not list(path.parent.glob(".*.part")), (faults.hit, at)
        at += 1


@pytest.mark.parametrize("kill", [False, True], ids=["fail", "kill"])
@pytest.mark.parametrize("name", WRITERS)
def test_an_output_file_is_the_old_one_or_the_new_one(
    tmp_path: Path, name: str, *, kill: bool
) -> None:
    assert outcomes(tmp_path / name, WRITERS[name], kill=kill) >= 5


@pytest.mark.parametrize("kill", [False, True], ids=["fail", "kill"])
def test_a_log_is_the_old_one_or_the_new_one(tmp_path: Path, *, kill: bool) -> None:
    path, at = tmp_path / "log", 0
    while True:
        path.write_text('{"old": 1}\n')
        with injected(at, kill=kill) as faults, contextlib.suppress(Killed, TextgenError):
            log(path)
        if not faults.hit:
            break
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert lines == [{"old": 1}] or lines[0]["event"] == "note", (faults.hit, at)
        at += 1
    assert at >= 5


@pytest.mark.parametrize("kill", [False, True], ids=["fail", "kill"])
def test_a_lexicon_is_the_old_one_or_the_new_one(tmp_path: Path, *, kill: bool) -> None:
    loaded = load_model(str(save_translator(tmp_path)), "cpu")
    lexicon = learn_lexicon(loaded, [("To be", "TO BE")] * 3, rounds=1)
    path = tmp_path / LEXICON
    assert outcomes(path, lambda _: save_lexicon(lexicon, loaded), kill=kill) >= 5
