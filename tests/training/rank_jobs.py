"""Trainings that the tests of several processes run in one process and in two.

As a script it is one of these: it joins the others, does all jobs, and saves what came out.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from textgen.checkpoint import load_training_state, save_training_state, weights_of
from textgen.data.batching import Batches, LaneBatches, SentenceBatches
from textgen.data.pair_batches import PairBatches
from textgen.data.pairs import EncodedPairs, PairStatistics
from textgen.data.sequences import sequences_of
from textgen.data.streams import StreamStatistics, stream_of
from textgen.errors import UsageError
from textgen.models.config import LanguageModelConfig, TranslatorConfig
from textgen.models.language_model import LanguageModel
from textgen.models.translator import Translator
from textgen.protocols import SpecialTokens
from textgen.recipes.training import TrainingConfig
from textgen.training.distributed import PeerLost, joined
from textgen.training.events import Event, Snapshot, Step, Stopped, Validated
from textgen.training.fit import fit
from textgen.training.group import ProcessGroup
from textgen.training.state import TrainingState

SPECIAL = SpecialTokens(0, 1, 2, None)
VOCABULARY = 12
ROWS = [[3 + (i * j + i) % 9 for j in range(1 + i % 7)] for i in range(24)]

COUNTS = PairStatistics(24, 0, 0, StreamStatistics(), StreamStatistics())


def lanes(count: int) -> LaneBatches:
    """401 tokens: the lanes' lengths differ, and the last window reaches some of them only."""
    stream = stream_of([3 + (i * i + i // 7) % 9 for i in range(401)])
    return LaneBatches(stream, count, 8, SPECIAL, seed=5, reset=0.3)


def sentences() -> SentenceBatches:
    """Of 7 to 8 cells: long sentences stand alone, so that the second rank has nothing."""
    return SentenceBatches(sequences_of(ROWS), 8, SPECIAL, seed=5)


def pairs() -> PairBatches:
    encoded = EncodedPairs(sequences_of(ROWS[::-1]), sequences_of(ROWS), COUNTS)
    return PairBatches(encoded, 24, SPECIAL, seed=5)


def language_model(dropout: float = 0.0, **changes: Any) -> LanguageModel:
    torch.manual_seed(1)
    return LanguageModel(LanguageModelConfig(hidden=8, dropout=dropout, **changes), VOCABULARY)


def translator(**changes: Any) -> Translator:
    torch.manual_seed(1)
    config = TranslatorConfig(hidden=8, embedding=6, dropout=0.0, tied="all", **changes)
    return Translator(config, VOCABULARY, VOCABULARY)


def adaptive() -> LanguageModel:
    return language_model(output="adaptive", cutoffs=(4,))


def settings(**changes: Any) -> TrainingConfig:
    values: dict[str, Any] = {
        "steps": 20,
        "learning_rate": 0.02,
        "validate_every": 7,
        "log_every": 1,
        "save_every": 1e9,
        "precision": "float32",
        "device": "cpu",
        "ema_decay": 0.9,
        "max_grad_norm": 0.3,
    }
    return TrainingConfig(**(values | changes))


@dataclass(frozen=True)
class Job:
    """A training whose numbers do not depend on the number of processes."""

    model: Callable[[], nn.Module]
    batches: Callable[[], Batches]
    config: TrainingConfig


JOBS = {
    "lanes": Job(language_model, lambda: lanes(5), settings(ema_decay=0.0)),
    "one lane": Job(language_model, lambda: lanes(1), settings()),
    "sentences": Job(language_model, sentences, settings(label_smoothing=0.1)),
    "pairs": Job(translator, pairs, settings(label_smoothing=0.1, optimiser="sgd")),
    "adaptive": Job(adaptive, lambda: lanes(3), settings()),
    "accumulated": Job(language_model, sentences, settings(accumulate=2)),
    "patience": Job(language_model, lambda: lanes(4), settings(patience=2, validate_every=2)),
}


def rising(model: nn.Module) -> Mapping[str, float]:
    """A figure of the weights that gets worse."""
    return {"loss": float(sum(each.square().sum() for each in model.parameters()))}


def curve(events: list[Event]) -> dict[str, list[Any]]:
    """What must be the same whatever the number of processes."""
    steps = [event for event in events if isinstance(event, Step)]
    told = [[event.step, event.metrics["loss"]] for event in events if isinstance(event, Validated)]
    return {
        "losses": [event.loss for event in steps],
        "tokens": [event.tokens for event in steps],
        "norms": [event.gradient_norm for event in steps],
        "rates": [event.learning_rate for event in steps],
        "validations": told,
        "stopped": [[event.step, event.reason] for event in events if isinstance(event, Stopped)],
    }


def run(job: Job, group: ProcessGroup | None = None) -> tuple[nn.Module, list[Event]]:
    model = job.model()
    return model, list(fit(model, job.batches(), rising, job.config, group=group))


class Recorder:
    """Saves what a rank found."""

    def __init__(self, folder: Path, rank: int) -> None:
        self.folder, self.rank = folder, rank

    def save(self, name: str, facts: Any, tensors: Mapping[str, Tensor] | None = None) -> None:
        torch.save(dict(tensors or {}), self.folder / f"{name}.{self.rank}.pt")
        (self.folder / f"{name}.{self.rank}.json").write_text(json.dumps(facts))


def train_all(group: ProcessGroup, record: Recorder) -> None:
    """The jobs, a training with dropout, and one whose clocks differ."""
    for name, job in JOBS.items():
        model, events = run(job, group)
        record.save(name, curve(events), weights_of(model))
    noisy = Job(lambda: language_model(0.5), lambda: lanes(5), settings())
    model, events = run(noisy, group)
    drawn = {"drawn": torch.rand(4)}
    record.save("dropout", curve(events), weights_of(model) | drawn)
    clocks = settings(steps=None, minutes=0.01, validate_every=0)
    _, events = run(Job(language_model, lambda: lanes(5), clocks), group)
    record.save("clocks", curve(events))


def interrupt_and_go_on(group: ProcessGroup, record: Recorder) -> None:
    """The last rank is interrupted after 6 steps; all stop, save, and go on to the end."""
    job = Job(lambda: language_model(0.5), lambda: lanes(5), settings())
    asked = iter(range(100))

    def interrupted() -> bool:
        return next(asked) >= 6 and group.rank == group.size - 1

    model = job.model()
    events = list(
        fit(model, job.batches(), rising, job.config, group=group, interrupted=interrupted)
    )
    snapshot = next(event for event in events if isinstance(event, Snapshot))
    folder = record.folder / "interrupted"
    if group.leads:
        folder.mkdir()
        save_training_state(folder, snapshot.state.tensors, snapshot.state.facts())
    group.any(False)  # the file is there
    tensors, facts = load_training_state(folder)
    torch.manual_seed(99)
    resumed = job.model()
    state = TrainingState.restore(tensors, facts)
    rest = list(fit(resumed, job.batches(), rising, job.config, group=group, state=state))
    record.save("interrupted", curve(events), snapshot.state.part("weights"))
    record.save("resumed", curve(rest), weights_of(resumed))


def talk(group: ProcessGroup, record: Recorder) -> None:
    """Each thing that ranks tell each other."""
    order = record.folder / "order"
    with group.in_turn(), order.open("a") as file:
        file.write(str(group.rank))
    group.any(False)
    mine = {"a": torch.full((group.rank, 2), 0.5), "b": torch.tensor(group.rank)}
    try:
        group.require_same("text", {"tokens": 5 + group.rank})
        refused = ""
    except UsageError as error:
        refused = str(error)
    facts = {
        "order": order.read_text(),
        "first": group.first(lambda: {"rank": group.rank, "tuple": (1, 2)}),
        "number": group.number(0.1 + group.rank),
        "any": [group.any(group.rank == 1), group.any(False)],
        "total": group.total(torch.tensor(1.5 + group.rank)),
        "collected": [
            {name: [str(value.dtype), value.tolist()] for name, value in each.items()}
            for each in group.collected(mine)
        ],
        "shared": {name: value.tolist() for name, value in group.shared(mine).items()},
        "refused": refused,
    }
    record.save("talk", facts)


def lose(group: ProcessGroup) -> Iterator[str]:
    """The last rank leaves, and the others notice."""
    if group.rank == group.size - 1:
        return
    group.any(False)
    yield "nothing was noticed"


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    record = Recorder(folder, int(os.environ["RANK"]))
    noticed = "nobody was lost"
    try:
        with joined() as group:
            talk(group, record)
            train_all(group, record)
            interrupt_and_go_on(group, record)
            noticed = next(lose(group), noticed)
    except PeerLost as error:
        noticed = str(error)
    record.save("lost", noticed)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
