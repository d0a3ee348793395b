"""The measurements: all systems take turns, so that what the machine does meets all of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measure import run, say
from benchmarks.peers.client import Worker
from benchmarks.peers.report import Measured
from benchmarks.peers.systems import DECODING_BATCH, JOEYNMT, OPENNMT, SIZES, System
from benchmarks.peers.work import Data, batch_tokens
from textgen.data.tokenizers import load_tokenizer
from textgen.evaluation.translation_metrics import MetricOptions, score_translation

LEAST = 2.0
"""Seconds that a turn of decoding takes at least; what is faster is done again."""


@dataclass
class Facts:
    """What is known of a system beside its speed."""

    parameters: int = 0
    batch_sentences: float = 0.0
    batch_tokens: float = 0.0
    bleu: float = float("nan")
    output_tokens: float = 0.0


@dataclass(frozen=True)
class Bench:
    """What all measurements share.

    Attributes:
        systems: that take turns, in this order.
        environment: of the peers.
        models: where trained models and logs are.
        data: the prepared work.
        threads: of each system.
    """

    systems: Sequence[System]
    environment: Path
    models: Path
    data: Data
    threads: int
    facts: dict[str, Facts] = field(default_factory=dict)

    def fact(self, system: System) -> Facts:
        """What is known of a system so far."""
        return self.facts.setdefault(system.name, Facts())

    def worker(self, system: System, task: str, model: Path, minutes: float = 0.0) -> Worker:
        """Start a system; with minutes it trains a model that is to be used."""
        train, valid = self.data.train, self.data.valid
        lengths = [len(line.split()) + 1 for line in self.data.encoded("train.target")]
        job = {
            **SIZES,
            "task": task,
            "data": str(self.data.folder.resolve()),
            "model": str(model.resolve()),
            "threads": self.threads,
            "settings": system.settings,
            "precision": system.precision,
            "recipe": "translator-small",
            "pairs": len(lengths),
            "batch_tokens": batch_tokens(lengths, SIZES["batch"]),
            "tokens_per_sentence": self.data.tokens_per_sentence,
            "minutes": minutes,
            "train": [str(train.source.resolve()), str(train.target.resolve())],
            "valid": [str(valid.source.resolve()), str(valid.target.resolve())],
        }
        log = self.models / "logs" / f"{_slug(system)}-{task}.log"
        return Worker(system.python(self.environment), system.module, job, log)

    @contextmanager
    def workers(self, task: str) -> Iterator[dict[System, Worker]]:
        """All systems, started and in the end closed."""
        with ExitStack() as stack:
            found = {}
            for system in self.systems:
                folder = system.model if task == "decode" else f"scratch/{_slug(system)}"
                found[system] = self.worker(system, task, self.models / folder)
                stack.callback(found[system].close)
            yield found


def _slug(system: System) -> str:
    return system.name.lower().replace(",", "").replace(" ", "-")


def train_models(bench: Bench, seconds: float) -> None:
    """Train a model of each system that has none yet, one after the other."""
    for system in bench.systems:
        folder = bench.models / system.model
        done = folder / "done"
        if done.is_file():
            continue
        say(f"training {folder} for {seconds:.0f} s")
        worker = bench.worker(system, "train", folder, seconds / 60)
        try:
            answer = worker.ask({"do": "train", "seconds": seconds})
            worker.ask({"do": "save"})
        finally:
            worker.close()
        done.write_text(f"{answer['seconds']:.0f} s, {answer['updates']} updates\n")


def time_training(bench: Bench, rounds: int, seconds: float, warm_up: float) -> list[Measured]:
    """Target tokens a second, eos counted, and the memory that training takes."""
    speeds: dict[System, list[float]] = {system: [] for system in bench.systems}
    memory: dict[System, float] = {}
    with bench.workers("train") as workers:
        for system, worker in workers.items():
            worker.ask({"do": "train", "seconds": warm_up})
            say(f"training: {system.name} is warm")
        for number in range(rounds):
            for system, worker in workers.items():
                answer = worker.ask({"do": "train", "seconds": seconds})
                speeds[system].append(answer["tokens"] / answer["seconds"])
                memory[system] = answer["megabytes"]
                _note_training(bench.fact(system), answer)
                say(f"training, round {number + 1}: {system.name} {speeds[system][-1]:,.0f}/s")
    return [
        *(Measured("training", s.name, "tokens/s", tuple(speeds[s])) for s in bench.systems),
        *_memory("memory, training", memory),
    ]


def _note_training(fact: Facts, answer: Mapping[str, Any]) -> None:
    fact.parameters = answer["parameters"]
    fact.batch_sentences = answer["sentences"] / answer["updates"]
    fact.batch_tokens = answer["tokens"] / answer["updates"]


def _memory(work: str, megabytes: Mapping[System, float]) -> list[Measured]:
    return [
        Measured(work, system.name, "MB", (value,), less_is_better=True)
        for system, value in megabytes.items()
    ]


class Decoding(NamedTuple):
    """A way of decoding.

    Attributes:
        name: as people read it.
        beam: its width.
        batch: sentences at once.
        sentences: how many are decoded, the first ones.
    """

    name: str
    beam: int
    batch: int
    sentences: int


def decodings(sentences: int, single: int) -> list[Decoding]:
    """Those that are compared."""
    batch = DECODING_BATCH
    return [
        Decoding(f"beam 1, batch {batch}", 1, batch, sentences),
        Decoding(f"beam 5, batch {batch}", 5, batch, sentences),
        Decoding("beam 5, one at a time", 5, 1, single),
    ]


def time_decoding(bench: Bench, rounds: int, ways: Sequence[Decoding]) -> list[Measured]:
    """Sentences and tokens a second, eos counted, and the memory that decoding takes."""
    speeds: dict[tuple[Decoding, System], list[tuple[float, float]]] = {}
    memory: dict[System, float] = {}
    with bench.workers("decode") as workers:
        for system, worker in workers.items():
            for way in ways:
                _decode(bench, system, worker, way._replace(sentences=min(way.sentences, 20)))
            say(f"decoding: {system.name} is warm")
        for number in range(rounds):
            for way in ways:
                for system, worker in workers.items():
                    speed, memory[system] = _turn(bench, system, worker, way)
                    speeds.setdefault((way, system), []).append(speed)
                    say(f"{way.name}, round {number + 1}: {system.name} {speed[0]:,.1f}/s")
    found = []
    for (way, system), values in speeds.items():
        for unit, numbers in zip(
            ("sentences/s", "tokens/s"), zip(*values, strict=True), strict=True
        ):
            found.append(Measured(way.name, system.name, unit, numbers))
    return [*found, *_memory("memory, decoding", memory)]


def _turn(
    bench: Bench, system: System, worker: Worker, way: Decoding
) -> tuple[tuple[float, float], float]:
    """Sentences and tokens a second, and the memory so far in MB."""
    spent, times = 0.0, 0
    while spent < LEAST:
        answer = _decode(bench, system, worker, way)
        spent, times = spent + answer["seconds"], times + 1
    outputs = answer["outputs"]
    tokens = sum(len(each) + 1 for each in outputs)
    if way.beam > 1 and way.batch > 1:
        _note_decoding(bench, bench.fact(system), outputs)
    return (times * len(outputs) / spent, times * tokens / spent), answer["megabytes"]


def _decode(bench: Bench, system: System, worker: Worker, way: Decoding) -> dict[str, Any]:
    lines = bench.data.encoded("valid.source")[: way.sentences]
    batch = way.batch
    if not system.peer:
        lengths = [len(line.split()) + 1 for line in lines]
        batch = 1 if batch == 1 else batch_tokens(lengths, batch)
        lines = bench.data.valid.lines()[0][: way.sentences]
    return worker.ask({"do": "decode", "sources": lines, "beam": way.beam, "batch": batch})


def _note_decoding(bench: Bench, fact: Facts, outputs: Sequence[Sequence[int]]) -> None:
    tokenizer = load_tokenizer(bench.data.folder)
    texts = [tokenizer.decode(each) for each in outputs]
    references = bench.data.valid.lines()[1][: len(outputs)]
    scores = score_translation(texts, [references], MetricOptions(metrics=("bleu",)))
    fact.bleu = float(scores.scores["bleu"].score)
    fact.output_tokens = sum(len(each) + 1 for each in outputs) / len(outputs)


def time_start(bench: Bench, rounds: int) -> list[Measured]:
    """Seconds that the command line needs to show its help."""
    binaries = bench.environment / "bin"
    commands = {
        OPENNMT.name: [str(binaries / "onmt_train"), "--help"],
        JOEYNMT.name: [str(binaries / "python"), "-m", "joeynmt", "--help"],
        "textgen": [str(Path(sys.executable).with_name("textgen")), "--help"],
    }
    names = {system.name for system in bench.systems} | {"textgen"}
    chosen = {name: command for name, command in commands.items() if name in names}
    spent: dict[str, list[float]] = {name: [] for name in chosen}
    for command in chosen.values():
        run(command)  # files are read from disk the first time
    for _ in range(rounds):
        for name, command in chosen.items():
            spent[name].append(run(command).seconds)
    return [
        Measured("--help", name, "s", tuple(values), less_is_better=True)
        for name, values in spent.items()
    ]
