"""What a training tells while it runs, and what its logs keep."""

import io
import json
import math
import re
import sys
import types
from pathlib import Path

import pytest

from textgen import progress
from textgen.cli import logs
from textgen.errors import DataError
from textgen.loaded.history import TrainingHistory
from textgen.progress import clock, counting, figure_for, training_progress
from textgen.training.events import Event, Improved, Note, Step, Stopped, Validated


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def step(number: int, loss: float = 2.0) -> Step:
    return Step(
        step=number,
        epoch=number // 10,
        loss=loss,
        tokens=100 * number,
        tokens_per_second=12345.6,
        gradient_norm=0.5,
        learning_rate=1e-3,
        seconds=float(number),
        progress=number / 20,
        remaining=float(20 - number),
    )


EVENTS: list[Event] = [
    step(1),
    step(2),
    Validated(2, {"loss": math.log(2)}),
    Improved(2, math.log(2)),
    step(20),
    Validated(20, {"loss": 1.0, "bits_per_character": 1.5}),
    Stopped(20, "steps"),
]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.4, "0:00"),
        (42, "0:42"),
        (725, "12:05"),
        (3750, "1:02:30"),
        (None, "-:--"),
        (math.inf, "-:--"),
        (-1, "0:00"),
    ],
)
def test_time_as_on_a_clock(seconds: float | None, told: str) -> None:
    assert clock(seconds) == told


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("characters", "1.000 bits/character"),
        ("bytes", "1.000 bits/byte"),
        ("words", "perplexity 2"),
        ("bpe", "perplexity 2"),
    ],
)
def test_the_figure_fits_the_tokens(kind: str, told: str) -> None:
    assert figure_for(kind)(math.log(2)) == told


def test_a_hopeless_perplexity_is_still_a_number() -> None:
    assert figure_for("words")(1e6).startswith("perplexity 9.")


def test_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([0.0, 1.0, 30.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with training_progress(figure_for("characters")) as listener:
        for event in EVENTS:
            listener(event)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "step 1  epoch 1  5%  loss 2.0000  2.885 bits/character  12,346 tokens/s  0:19 left",
        "step 2  validation  0.6931 nats/token  1.000 bits/character  best so far",
        "step 20  epoch 3  100%  loss 2.0000  2.885 bits/character  12,346 tokens/s  0:00 left",
        "step 20  validation  1.0000 nats/token  1.443 bits/character  bits_per_character 1.5",
    ]


@pytest.mark.parametrize(
    ("shell", "widgets", "bar"),
    [
        ("ZMQInteractiveShell", True, True),
        ("ZMQInteractiveShell", False, False),
        ("TerminalInteractiveShell", True, False),
        (None, True, False),
    ],
)
def test_a_notebook_has_a_bar_where_it_can_be_drawn_anew(
    monkeypatch: pytest.MonkeyPatch, shell: str | None, widgets: bool, bar: bool
) -> None:
    module = types.ModuleType("IPython")
    running = None if shell is None else type(shell, (), {})()
    monkeypatch.setattr(module, "get_ipython", lambda: running, raising=False)
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setattr(progress.importlib.util, "find_spec", lambda _: widgets or None)
    assert progress._has_bar() is bar


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "100")
    with training_progress(figure_for("words")) as listener:
        for event in EVENTS:
            listener(event)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert "step 20  loss 2.000  perplexity 7.389  12,346 tokens/s  0:00" in shown
    assert "step 2  validation  0.6931 nats/token  perplexity 2  best so far" in shown


def test_counting_is_for_terminals_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with counting("tokens") as count:
        count(5, 10)
    assert capsys.readouterr().err == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with counting("tokens") as count:
        count(5, 10)
    assert "5 of 10 tokens" in terminal.getvalue()


def test_the_summary_knows_which_weights_were_kept() -> None:
    summary = TrainingHistory()
    for event in EVENTS:
        summary.listen(event)
    assert str(summary) == "20 steps in 0:20; kept the weights of step 2 (loss 0.6931)"
    assert summary.as_dict() == {
        "steps": 20,
        "seconds": 20.0,
        "stopped": "steps",
        "best_step": 2,
        "validation": {"loss": math.log(2)},
    }


def test_the_log_has_a_line_for_each_event_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.jsonl"
    for append in (False, True):
        with logs.json_log(path, append=append) as listener:
            for event in EVENTS:
                listener(event)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 2 * len(EVENTS)
    assert lines[0]["event"] == "step"
    assert lines[0]["tokens_per_second"] == 12345.6
    assert lines[2] == {
        "event": "validated",
        "step": 2,
        "metrics": {"loss": math.log(2)},
        "unit": "token",
    }
    assert lines[-1] == {"event": "stopped", "step": 20, "reason": "steps"}
    with logs.json_log(path, append=False) as listener:
        listener(EVENTS[0])
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1


def test_an_older_log_stays_until_the_first_step(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text("old\n")
    with logs.json_log(path, append=False) as listener:
        listener(Note("of the new training"))
        assert path.read_text() == "old\n"
        for event in EVENTS[:2]:
            listener(event)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["note", "step", "step"]
    with pytest.raises(DataError, match="cannot be written"), logs.json_log(tmp_path, append=False):
        pass


def test_a_full_disk_ends_the_log_and_not_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Full:
        def close(self) -> None: ...

        def write(self, _: bytes) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda *_, **__: Full())
    with logs.json_log(tmp_path / "run.jsonl", append=False) as listener:
        for event in EVENTS:
            listener(event)
    said = capsys.readouterr().err
    assert said.count("No space left on device") == 1
    assert "goes on without this log" in said


@pytest.fixture
def scalars(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float, int]]:
    """A stand-in for TensorBoard, which is an extra."""
    written: list[tuple[str, float, int]] = []

    class SummaryWriter:
        def __init__(self, folder: str) -> None:
            assert folder

        def add_scalar(self, name: str, value: float, number: int) -> None:
            written.append((name, value, number))

        def close(self) -> None:
            written.append(("closed", 0.0, 0))

    module = type(sys)("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    return written


def test_tensorboard_gets_the_curves(tmp_path: Path, scalars: list[tuple[str, float, int]]) -> None:
    with logs.tensorboard_log(tmp_path) as listener:
        for event in EVENTS:
            listener(event)
    assert ("train/loss", 2.0, 1) in scalars
    assert ("validation/loss", math.log(2), 2) in scalars
    assert ("validation/bits_per_character", 1.5, 20) in scalars
    assert scalars[-1][0] == "closed"
