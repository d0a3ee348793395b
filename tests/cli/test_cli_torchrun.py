"""``torchrun … -m textgen train``: from the first step to Ctrl-C, and on in one process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from textgen.cli.failures import guarded

TEXT = "".join(chr(97 + (i * i + i // 5) % 23) for i in range(3000))
TINY = (
    *("training.device=cpu", "training.precision=float32", "training.log_every=1"),
    *("training.batch=3", "training.bptt_length=10", "training.save_every=0", "model.hidden=8"),
    *("model.dropout=0", "training.validate_every=0", "training.schedule=constant"),
    "training.warmup=0",
)
PATIENCE = 120.0


def arguments(out: Path, log: Path, *rest: str) -> list[str]:
    named = ["--train", "text.txt", "--out", str(out), "--log", str(log)]
    return ["train", "lm", *named, *rest, "--set", *TINY]


def torchrun(words: list[str]) -> subprocess.Popen[str]:
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--"]
    return subprocess.Popen(
        [sys.executable, *start, "textgen", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "WORLD_SIZE"},
    )


def losses(log: Path) -> list[float]:
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return [event["loss"] for event in events if event["event"] == "step"]


def wait_for(log: Path, process: subprocess.Popen[str], lines: int) -> None:
    end = time.monotonic() + PATIENCE
    while not (log.exists() and len(log.read_text().splitlines()) >= lines):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "no step was made"
        time.sleep(0.05)


def test_torchrun_trains_as_one_process_does_and_stops_at_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT)
    both, alone = Path("both"), Path("alone")
    with torchrun(arguments(both, Path("both.jsonl"), "--minutes", "9")) as process:
        wait_for(Path("both.jsonl"), process, lines=5)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode != 0
    assert told.count("Saved in both. To go on:\n  torchrun ... -m -- textgen train lm ") == 1
    assert told.count("Stopped.") == 1
    assert "Process 1: " not in told  # torchrun itself tells of "Process <number> got signal"

    made = len(losses(Path("both.jsonl")))
    budget = (f"training.steps={made + 3}", "training.minutes=none")
    assert guarded([*arguments(both, Path("both.jsonl")), *budget, "--resume"]) == 0
    assert guarded([*arguments(alone, Path("alone.jsonl")), *budget]) == 0
    assert f"both: {made + 3} steps" in capsys.readouterr().out
    assert losses(Path("both.jsonl")) == pytest.approx(losses(Path("alone.jsonl")), rel=1e-4)
