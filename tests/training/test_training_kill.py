"""A training that is killed at random moments and resumed ends with the very same files."""

import random
import signal
import subprocess
import sys
from pathlib import Path

from textgen.checkpoint import TRAINING, WEIGHTS, load_tensors, load_training_state

SCRIPT = Path(__file__).with_name("tiny_training.py")


def start(out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, SCRIPT, out], stdout=subprocess.PIPE, text=True)


def told(line: str) -> int:
    return int(line.split()[1]) if line.startswith("Step") else 0


def kill_at(out: Path, step: int) -> int:
    """Kill a training as soon as it tells a step; returns the exit status."""
    with start(out) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if told(line) >= step:
                process.send_signal(signal.SIGKILL)
                break
    return process.returncode


def test_killed_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    assert kill_at(straight, 1000) == 0
    chance = random.Random(20)
    steps = sorted(chance.sample(range(2, 89), 2))
    for step in steps:
        assert kill_at(broken, step) == -signal.SIGKILL
        _, facts = load_training_state(broken)
        assert step - 2 <= facts["counters"]["step"] < 90
    assert kill_at(broken, 1000) == 0
    for name in (WEIGHTS, TRAINING):
        expected, expected_facts = load_tensors(straight / name)
        tensors, facts = load_tensors(broken / name)
        assert tensors.keys() == expected.keys()
        for key, tensor in tensors.items():
            assert tensor.equal(expected[key]), (name, key)
        for each in (facts, expected_facts):
            each.get("counters", {}).pop("seconds", None)
        assert facts == expected_facts
    names = {path.name for path in straight.iterdir()}
    assert {path.name for path in broken.iterdir()} == names
