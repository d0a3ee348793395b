"""Two processes train one model: the same numbers as one process, and the same in both."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import rank_jobs
import torch
from torch import Tensor

from textgen.checkpoint import load_training_state, weights_of
from textgen.cli.ranks import ranks
from textgen.errors import CheckpointError, ConfigError, Terminated, TrainingError, UsageError
from textgen.training import distributed
from textgen.training.distributed import DistributedGroup, PeerLost, RankInfo, joined
from textgen.training.events import Step
from textgen.training.fit import fit
from textgen.training.group import ProcessGroup
from textgen.training.state import TrainingState

SCRIPT = Path(rank_jobs.__file__)
SIZE = 2


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def place(rank: int, port: int) -> dict[str, str]:
    return {
        "WORLD_SIZE": str(SIZE),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where both processes have saved what they found."""
    folder, port = tmp_path_factory.mktemp("ranks"), free_port()
    warnings = ["-W", "error"]
    running = [
        subprocess.Popen(
            [sys.executable, *warnings, SCRIPT, folder],
            env=os.environ | place(rank, port),
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(SIZE)
    ]
    ends = [process.communicate(timeout=200)[1] for process in running]
    assert [process.returncode for process in running] == [0] * SIZE, "\n".join(ends)
    return folder


def found(folder: Path, name: str) -> list[tuple[Any, dict[str, Tensor]]]:
    """The facts and tensors of each rank."""
    return [
        (
            json.loads((folder / f"{name}.{rank}.json").read_text()),
            torch.load(folder / f"{name}.{rank}.pt"),
        )
        for rank in range(SIZE)
    ]


def require_equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert tensor.equal(right[name]), name


@pytest.mark.parametrize("name", rank_jobs.JOBS)
def test_the_curve_is_that_of_one_process(name: str, results: Path) -> None:
    model, events = rank_jobs.run(rank_jobs.JOBS[name])
    expected = rank_jobs.curve(events)
    (curve, weights), (other, others) = found(results, name)
    assert curve == other
    require_equal(weights, others)
    assert curve["tokens"] == expected["tokens"]
    assert curve["stopped"] == expected["stopped"]
    assert len(curve["validations"]) == len(expected["validations"]) > 1
    for figure in ("losses", "norms", "rates"):
        assert curve[figure] == pytest.approx(expected[figure], rel=2e-4)
    for told, wanted in zip(curve["validations"], expected["validations"], strict=True):
        assert told == pytest.approx(wanted, rel=1e-4)
    for key, tensor in weights_of(model).items():
        torch.testing.assert_close(weights[key], tensor, rtol=1e-3, atol=1e-4)


def test_dropout_differs_and_the_weights_do_not(results: Path) -> None:
    (curve, weights), (other, others) = found(results, "dropout")
    assert curve == other
    assert not weights.pop("drawn").equal(others.pop("drawn"))
    require_equal(weights, others)


def test_the_first_clock_counts_for_all(results: Path) -> None:
    (curve, _), (other, _) = found(results, "clocks")
    assert len(curve["rates"]) > 1
    assert curve == other
    assert curve["stopped"][0][1] == "minutes"


def test_an_interruption_of_one_stops_all_and_resumes_bit_for_bit(results: Path) -> None:
    for curve, _ in found(results, "interrupted"):
        assert curve["stopped"] == [[6, "interrupted"]]
    (rest, weights), (other, others) = found(results, "resumed")
    straight = found(results, "dropout")[0]
    straight[1].pop("drawn")
    assert rest == other
    assert rest["losses"] == straight[0]["losses"][6:]
    require_equal(weights, others)
    require_equal(weights, straight[1])


def test_one_process_goes_on_where_two_stopped(results: Path) -> None:
    """Without dropout from there on: what is carried is in its lane again."""
    tensors, facts = load_training_state(results / "interrupted")
    lanes = rank_jobs.lanes(5).lanes
    carried = [value for name, value in tensors.items() if name.startswith("carried/")]
    assert carried
    assert all(len(value) == lanes for value in carried)
    assert {"random/cpu", "random/cpu.1"} <= tensors.keys()
    state = TrainingState.restore(tensors, facts)
    model = rank_jobs.language_model()
    events = list(fit(model, rank_jobs.lanes(5), None, rank_jobs.settings(), state=state))
    assert [event.step for event in events if isinstance(event, Step)] == list(range(7, 21))
    broken = {name: value[:-1] for name, value in tensors.items() if name.startswith("carried/")}
    cut = TrainingState({**tensors, **broken}, state.counters)
    with pytest.raises(CheckpointError, match="does not fit"):
        list(fit(model, rank_jobs.lanes(5), None, rank_jobs.settings(), state=cut))


def test_what_ranks_tell_each_other(results: Path) -> None:
    for rank, (facts, _) in enumerate(found(results, "talk")):
        assert facts["order"] == "01"
        assert facts["first"] == {"rank": 0, "tuple": [1, 2]}
        assert facts["number"] == 0.1
        assert facts["any"] == [True, False]
        assert facts["total"] == 4.0
        assert facts["collected"] == [
            {"a": ["torch.float32", []], "b": ["torch.int64", 0]},
            {"a": ["torch.float32", [[0.5, 0.5]]], "b": ["torch.int64", 1]},
        ]
        assert facts["shared"] == {"a": [], "b": 0}
        assert bool(facts["refused"]) == (rank == 1)
    assert "The text is another one here" in facts["refused"]


def test_a_process_that_ends_is_noticed(results: Path) -> None:
    (first, _), (last, _) = found(results, "lost")
    assert "has ended or cannot be reached" in first
    assert last == "nobody was lost"


def test_one_process_is_a_group_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("1", ""):
        monkeypatch.setenv("WORLD_SIZE", value)
        with joined() as group:
            assert type(group) is ProcessGroup
            assert (group.rank, group.size, group.leads) == (0, 1, True)


COMPLETE = place(1, 29500)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"RANK": ""}, "RANK is not set"),
        ({"LOCAL_RANK": "", "MASTER_PORT": ""}, "LOCAL_RANK, MASTER_PORT are not set"),
        ({"RANK": "2"}, "RANK is 2: it must be less than WORLD_SIZE, 2"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two': a whole number"),
        ({"WORLD_SIZE": "0"}, "RANK is 1: it must be less than WORLD_SIZE, 0"),
        ({"MASTER_PORT": "-5"}, "MASTER_PORT is '-5'"),
    ],
    ids=str,
)
def test_a_half_set_environment_is_told(changes: dict[str, str], message: str) -> None:
    assert RankInfo.read(COMPLETE) == RankInfo(rank=1, size=2, local_rank=1)
    with pytest.raises(UsageError, match=message):
        RankInfo.read(COMPLETE | changes)


@pytest.mark.parametrize("port", ["99999", "closed"])
def test_a_rendezvous_that_fails_is_told(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "RENDEZVOUS_TIMEOUT", timedelta(seconds=0.2))
    for name, value in place(1, free_port()).items():
        monkeypatch.setenv(name, value)
    if port != "closed":
        monkeypatch.setenv("MASTER_PORT", port)
    with pytest.raises(TrainingError, match="Process 1 of 2 does not find the others"), joined():
        raise AssertionError


def test_each_rank_needs_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    cuda = torch.device("cuda")
    DistributedGroup(RankInfo(rank=4, size=8, local_rank=0)).require_device(cuda)
    second = DistributedGroup(RankInfo(rank=5, size=8, local_rank=1))
    second.require_device(torch.device("cpu"))
    with pytest.raises(ConfigError, match="at most 1 with --nproc-per-node"):
        second.require_device(cuda)


def pretending(rank: int) -> Callable[[], Any]:
    @contextmanager
    def stand_in() -> Iterator[ProcessGroup]:
        yield DistributedGroup(RankInfo(rank, SIZE, rank))

    return stand_in


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (KeyboardInterrupt(), 130, ""),
        (Terminated(), 143, ""),
        (PeerLost("another"), 1, ""),
        (TrainingError("no disk"), 1, "Process 1: no disk\n"),
        (UsageError("no text"), 2, "Process 1: no text\n"),
    ],
    ids=repr,
)
def test_only_the_first_process_tells_what_all_know(
    error: BaseException,
    code: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import click

    monkeypatch.setattr(distributed, "joined", pretending(1))
    with pytest.raises(click.exceptions.Exit) as ended, ranks():
        raise error
    assert ended.value.exit_code == code
    assert capsys.readouterr().err == told
    monkeypatch.setattr(distributed, "joined", pretending(0))
    with pytest.raises(type(error)), ranks():
        raise error
    assert capsys.readouterr().err == ""
