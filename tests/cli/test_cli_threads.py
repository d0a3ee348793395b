from __future__ import annotations

import os
from collections.abc import Iterator

import click
import pytest
import torch
from click.testing import CliRunner

from textgen.cli import threads
from textgen.cli.threads import set_threads, threads_option


@pytest.fixture(autouse=True)
def _same_threads_after() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def _ranks(monkeypatch: pytest.MonkeyPatch, ranks: str, cores: int, omp: str | None = "1") -> None:
    monkeypatch.setattr(threads, "cores", lambda: cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", ranks)
    if omp is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", omp)


def test_sets_what_is_given() -> None:
    set_threads(3)
    assert torch.get_num_threads() == 3


def test_leaves_torchs_default_to_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    monkeypatch.setattr(threads, "cores", lambda: 64)
    before = torch.get_num_threads()
    set_threads(None)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("ranks", "cores", "omp", "expected"),
    [("2", 8, "1", 4), ("3", 8, None, 2), ("4", 2, "1", 1)],
)
def test_ranks_of_one_machine_share_its_cores(
    monkeypatch: pytest.MonkeyPatch, ranks: str, cores: int, omp: str | None, expected: int
) -> None:
    _ranks(monkeypatch, ranks, cores, omp)
    torch.set_num_threads(7)
    set_threads(None)
    assert torch.get_num_threads() == expected


@pytest.mark.parametrize(
    ("ranks", "omp"), [("2", "5"), ("1", "1"), ("many", "1")], ids=["asked", "alone", "nonsense"]
)
def test_ranks_keep_what_they_have(monkeypatch: pytest.MonkeyPatch, ranks: str, omp: str) -> None:
    _ranks(monkeypatch, ranks, 8, omp)
    torch.set_num_threads(7)
    set_threads(None)
    assert torch.get_num_threads() == 7


def test_counts_at_least_one_core() -> None:
    assert 1 <= threads.cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize("value", ["0", "-1", "two", "99999999999"])
def test_refuses_a_senseless_number(value: str) -> None:
    @click.command
    @threads_option
    def command() -> None:
        raise AssertionError

    result = CliRunner().invoke(command, ["--threads", value])
    assert result.exit_code == 2
    assert "--threads" in result.output
