"""The comparison with other toolkits: tables, batches, fingerprints, and the meter in a loop."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.peers.client import Worker, WorkerError
from benchmarks.peers.protocol import Channel, Meter
from benchmarks.peers.report import Measured, as_data, digits, in_order, table
from benchmarks.peers.work import Pairs, batch_tokens, fingerprint, prepare
from textgen.data.batching import bucket_borders
from textgen.errors import UsageError

FIGURES = [
    Measured("training", "peer", "tokens/s", (900.0, 1000.0, 1300.0)),
    Measured("training", "ours", "tokens/s", (5000.0,)),
    Measured("memory", "peer", "MB", (2000.0,), less_is_better=True),
    Measured("memory", "ours", "MB", (500.0,), less_is_better=True),
]


def test_a_ratio_over_one_is_better_whatever_is_counted() -> None:
    peer, ours, heavy, light = FIGURES
    assert ours.times_better(peer) == 5.0
    assert peer.times_better(ours) == 0.2
    assert light.times_better(heavy) == 4.0


def test_the_table_compares_equal_works_with_the_peers_medians() -> None:
    lines = table(FIGURES, ["peer", "absent"]).splitlines()
    assert lines[0].endswith("| ÷ peer | ÷ absent |")
    assert lines[2] == "| training | peer | 1,000 tokens/s | 900 – 1,300 | – | – |"
    assert lines[3] == "| training | ours | 5,000 tokens/s | 5,000 – 5,000 | 5.00× | – |"
    assert lines[5] == "| memory | ours | 500 MB | 500 – 500 | 4.00× | – |"


def test_plain_data_holds_all_rounds_and_ratios() -> None:
    data = as_data(FIGURES, ["peer"])
    assert data[0]["values"] == [900.0, 1000.0, 1300.0]
    assert [each["times_better_than"]["peer"] for each in data] == [1.0, 5.0, 1.0, 4.0]


def test_figures_of_one_work_stand_together_in_the_order_of_their_coming() -> None:
    peer, ours, heavy, light = FIGURES
    assert in_order([peer, heavy, ours, light]) == [peer, ours, heavy, light]


@pytest.mark.parametrize(
    ("value", "text"), [(12345.6, "12,346"), (100.4, "100"), (14.52, "14.5"), (0.25, "0.25")]
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert digits(value) == text


@pytest.mark.parametrize("wanted", [1, 8, 64])
def test_batches_hold_as_many_sentences_as_wanted_on_average(wanted: int) -> None:
    lengths = np.random.default_rng(0).integers(3, 40, 2000).tolist()
    ordered = np.sort(np.array(lengths))

    def mean(budget: int) -> float:
        return len(lengths) / (len(bucket_borders(ordered, budget)) - 1)

    budget = batch_tokens(lengths, wanted)
    assert mean(budget) >= wanted
    assert mean(budget) == pytest.approx(wanted, rel=0.05)
    assert budget == 1 or mean(budget - 1) < wanted


def _pairs(folder: Path, words: int) -> Pairs:
    source, target = folder / f"{words}.source", folder / f"{words}.target"
    lines = [" ".join(f"w{(i * j) % words}" for j in range(2, 9)) for i in range(1, 80)]
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    target.write_text("\n".join(reversed(lines)) + "\n", encoding="utf-8")
    return Pairs(source, target)


def test_all_systems_read_the_same_numbers_and_know_other_texts(tmp_path: Path) -> None:
    train, valid = _pairs(tmp_path, 7), _pairs(tmp_path, 5)
    data = prepare(tmp_path / "data", train, valid, 300)
    vocabulary = set(data.encoded("vocabulary"))
    lines = data.encoded("train.target")
    assert {word for line in lines for word in line.split()} <= vocabulary
    assert data.tokens_per_sentence == np.mean([len(line.split()) + 1 for line in lines])
    assert prepare(tmp_path / "data", train, valid, 300) == data
    with pytest.raises(UsageError, match="was prepared from other texts"):
        prepare(tmp_path / "data", valid, valid, 300)


def test_a_fingerprint_of_a_missing_file_says_which(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.en: cannot be read"):
        fingerprint([tmp_path / "nowhere.en"], 8000)


class Script(Channel):
    """Commands from a list, answers into another."""

    def __init__(self, commands: list[dict[str, Any]]) -> None:
        self.commands, self.answers = commands, list[dict[str, Any]]()

    def next(self) -> dict[str, Any]:
        return self.commands.pop(0)

    def answer(self, answer: dict[str, Any]) -> None:
        self.answers.append(answer)


def test_a_meter_counts_from_command_to_command_and_saves_between() -> None:
    saved: list[int] = []
    train = {"do": "train", "seconds": 0}
    channel = Script([train, train, {"do": "save"}, train, {"do": "train", "seconds": 1e9}])
    meter = Meter(channel, 13, lambda: saved.append(len(channel.answers)))
    for tokens in (100, 10, 20, 30):  # the first step comes before any command
        meter.step(tokens, tokens // 10, updates=2)
    counts = [
        (each["tokens"], each["sentences"], each["updates"]) for each in channel.answers if each
    ]
    assert counts == [(10, 1, 2), (20, 2, 2), (30, 3, 2)]
    assert saved == [2]
    assert channel.answers[0]["parameters"] == 13
    meter.step(1000, 100)
    assert not channel.commands
    assert len(channel.answers) == 4, "a turn of many seconds goes on"


def test_a_worker_that_cannot_start_says_why(tmp_path: Path) -> None:
    python = Path(sys.executable)
    worker = Worker(python, "benchmarks.peers.nothing", {"threads": 1}, tmp_path / "log")
    try:
        with pytest.raises(WorkerError, match="No module named"):
            worker.ask({"do": "train", "seconds": 1})
    finally:
        worker.close()
