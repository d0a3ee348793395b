"""Comparisons: combinations, resuming after an interruption, statistics, the picture."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import textgen
from textgen.checkpoint import load_tensors
from textgen.errors import ConfigError, UsageError
from textgen.evaluation.comparison_plot import Course
from textgen.loaded.comparison import Comparison, Run
from textgen.loaded.history import TrainingHistory
from textgen.recipes.variations import check_vary, combinations, parse_vary
from textgen.training import run
from textgen.training.events import Step, Validated

TEXT = "".join(chr(97 + (i * i + i // 5) % 23) for i in range(3000))
SETTINGS: dict[str, object] = {
    "model.hidden": 8,
    "model.embedding": 4,
    "model.layers": 1,
    "training.steps": 12,
    "training.batch": 4,
    "training.bptt_length": 10,
    "training.validate_every": 4,
    "training.log_every": 2,
    "training.save_every": 0,
    "training.device": "cpu",
}
CELLS = {"model.cell": ["rnn", "gru"]}


def compared(out: Path, **changes: Any) -> Comparison:
    given: dict[str, Any] = {"vary": CELLS, "settings": SETTINGS, "seeds": 2, **changes}
    return textgen.compare("char-small", textgen.Texts([TEXT]), out=out, progress=False, **given)


def timeless(comparison: Comparison) -> Any:
    """What does not depend on the clock."""
    return [
        (each.combination, each.seed, each.parameters, each.metrics, each.history.validations)
        for each in comparison.runs
    ]


def test_an_interrupted_comparison_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = compared(tmp_path / "whole")
    train = run.train
    begun = []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        begun.append(options["resume"])
        for event in train(*arguments, **options):
            if len(begun) == 2 and event.step >= 7:
                raise KeyboardInterrupt
            yield event

    monkeypatch.setattr(run, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compared(tmp_path / "parts")
    assert len(json.loads((tmp_path / "parts" / "results.json").read_text())["runs"]) == 1
    resumed = compared(tmp_path / "parts")
    assert begun == [False, False, True, False, False]
    assert timeless(resumed) == timeless(whole)
    for one, other in zip(resumed.runs, whole.runs, strict=True):
        ours, theirs = (
            load_tensors(Path(each.folder) / "model.safetensors")[0] for each in (one, other)
        )
        assert all((ours[name] == theirs[name]).all() for name in theirs)
    assert timeless(compared(tmp_path / "parts")) == timeless(whole)
    assert len(begun) == 5


def test_values_may_be_added_and_nothing_else(tmp_path: Path) -> None:
    compared(tmp_path, seeds=1)
    more = compared(tmp_path, vary={"model.cell": ["rnn", "gru", "lstm"]}, seeds=1)
    assert [row.name for row in more.rows] == ["rnn", "gru", "lstm"]
    with pytest.raises(UsageError, match=r"training\.steps was 12 and is 13"):
        compared(tmp_path, settings={**SETTINGS, "training.steps": 13})
    with pytest.raises(UsageError, match="data are other ones"):
        compared(tmp_path, valid=textgen.Texts([TEXT[:200]]))
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").touch()
    with pytest.raises(UsageError, match="no comparison"):
        compared(other)


def test_a_training_that_diverges_is_counted(tmp_path: Path) -> None:
    settings = {**SETTINGS, "training.max_grad_norm": 0, "training.optimiser": "sgd"}
    vary = {"training.learning_rate": [1e-3, 1e30]}
    for _ in range(2):  # the second time it is read back
        found = compared(tmp_path, vary=vary, settings=settings, seeds=1)
        assert [row.failed for row in found.rows] == [0, 1]
        assert "no longer finite" in found.runs[1].error
        assert "(1 failed)" in str(found)


def a_run(name: str, seed: int, *losses: float) -> Run:
    """A training of 100 tokens and half a second a step."""
    history = TrainingHistory(step=len(losses), reason="steps")
    for step, loss in enumerate(losses, start=1):
        history.listen(Step(step, 0, loss, 100 * step, 200.0, 1.0, 0.1, 0.5 * step, 1.0, 0.0))
        history.listen(Validated(step, {"loss": loss}))
    return Run(name, {"model.cell": name}, seed, name, 7, history, {"loss": min(losses)})


def test_statistics() -> None:
    runs = (a_run("a", 0, 3, 2), a_run("a", 1, 3, 1), a_run("b", 0, 2, 1.2), a_run("b", 1, 2, 1.4))
    first, second = Comparison("language-model", "loss", "token", runs).rows
    assert first.metrics["loss"].mean == 1.5
    assert math.isclose(first.metrics["loss"].deviation, np.std([2, 1], ddof=1))
    assert second.best
    assert not first.best
    assert math.isclose(first.per_second.mean, 200.0)
    assert first.seconds.mean == 1.0
    rising = Comparison("language-model", "-loss", "token", runs).rows
    assert [row.best for row in rising] == [True, False]
    undecided = Comparison("language-model", "", "token", runs)
    assert not any(row.best for row in undecided.rows)
    assert "2.0000 ± 0.0000" not in str(undecided)


def test_curves_have_the_spread_of_the_seeds(tmp_path: Path) -> None:
    course = Course("a", [[(1, 1.0, 4.0), (2, 2.0, 2.0)], [(1, 1.5, 6.0), (2, 3.0, 3.0)]], [2, 3])
    assert [tuple(each) for each in course.by_step()] == [(1, 5, 4, 6), (2, 2.5, 2, 3)]
    timed = course.by_second()
    assert (timed[0].x, timed[-1].x) == (1.5, 2.0)
    assert math.isclose(timed[0].mean, (3.0 + 6.0) / 2)
    assert math.isclose(timed[-1].high, 5.0)
    runs = tuple(a_run(str(n), seed, 3, 2, 1 + n / 9) for n in range(7) for seed in range(2))
    comparison = Comparison("language-model", "loss", "token", runs)
    for name in ("a.png", "b.svg"):
        comparison.plot(tmp_path / name)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in comparison._repr_html_()
    with pytest.raises(UsageError):
        comparison.plot(tmp_path / "a.gif")


def test_values_with_options() -> None:
    vary = parse_vary(["model.cell=lstm,dnc:slots=16,width=16,gru", "model.hidden=8,16"])
    assert vary == {"model.cell": ["lstm", "dnc:slots=16,width=16", "gru"], "model.hidden": [8, 16]}
    found = combinations(check_vary(vary, {}))
    assert len(found) == len({each.folder for each in found}) == 6
    assert found[0].name == "cell=lstm hidden=8"
    assert all("/" not in each.folder and ":" not in each.folder for each in found)
    assert parse_vary(['model.encoder="convolution:widths=[2,3]",recurrent']) == {
        "model.encoder": ["convolution:widths=[2,3]", "recurrent"]
    }


@pytest.mark.parametrize(
    ("texts", "settings", "message"),
    [
        ([], {}, "nothing is varied"),
        (["model.cell"], {}, "expected key=value,value"),
        (["model.cell=rnn,,gru"], {}, "expected key=value,value"),
        (["model.cell=rnn,hidden=8"], {}, "is no value of"),
        (["model.cell=rnn", "model.cell=gru"], {}, "varied twice"),
        (["model.cell=rnn,rnn"], {}, "given twice"),
        (["data.lower=true,True"], {}, "given twice"),
        (["training.seed=1,2"], {}, "number of seeds"),
        (["model.cell=rnn"], {"model.cell": "gru"}, "is varied, and"),
        (["training.clip=1,2"], {"training.max_grad_norm": 1}, "training.max_grad_norm: is varied"),
    ],
)
def test_wrong_values(texts: list[str], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_vary(parse_vary(texts), settings)
