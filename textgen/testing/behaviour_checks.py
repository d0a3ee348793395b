"""Laws about how a strategy goes about its work: neighbours, seeds, filters, stops."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from textgen.protocols import Beam, Filter, Session
from textgen.testing.laws import Law
from textgen.testing.lines import ROWS, SEED, Task
from textgen.testing.outcomes import (
    Outcome,
    StrategyCase,
    bare,
    outcomes,
    softened,
    talkative_model,
    unlike,
    without,
)
from textgen.testing.recording import Diary
from textgen.testing.toy import TOY_SPECIAL

_SAMPLES = 3
_STEPS = 3
_UNLOVED = 11  # a token that is forbidden to see whether it comes
_OTHER_SEEDS = (6, 7, 8)


def _made(
    case: StrategyCase, task: Task, rows: Sequence[int], session: Session
) -> dict[int, list[Outcome]]:
    """The live hypotheses of each line."""
    found = case.decode(session)
    return {row: outcomes(found, place, task.positions(row)) for place, row in enumerate(rows)}


def _neighbours(case: StrategyCase) -> str:
    for task in case.tasks():
        attention = task.kind == "translator" and "attention" not in case.refuses

        def run(
            rows: Sequence[int], task: Task = task, attention: bool = attention
        ) -> dict[int, list[Outcome]]:
            session = replace(
                task.session(rows), samples=2, filters=(softened,), attention=attention
            )
            return _made(case, task, rows, session)

        alone: dict[int, list[Outcome]] = {}
        for row in ROWS:
            alone |= run((row,))
        pairs = [(row, (row + 1) % len(ROWS)) for row in ROWS]
        for rows in (*pairs, (3, 0), (4, 1), ROWS, ROWS[::-1]):
            for row, together in run(rows).items():
                different = unlike(alone[row], together)
                if different:
                    return (
                        f"{task.kind}, {task.name(row)}, alone and then in the batch of lines "
                        f"{list(rows)}, {different}"
                    )
    return ""


def _repeat(case: StrategyCase) -> str:
    for task in case.tasks():
        for rows in ((0,), ROWS):
            session = replace(task.session(rows), samples=2)
            made = []
            for seed in (0, 1):
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(seed)
                    made.append(_made(case, task, rows, session))
            for row in rows:
                different = unlike(made[0][row], made[1][row])
                if different:
                    return f"{task.kind}, {task.name(row)}, the same session twice, {different}"
    return ""


def _seeds(case: StrategyCase) -> str:
    for task in case.tasks():
        rows = ROWS
        usual = _made(case, task, rows, task.session(rows))
        others = [_made(case, task, rows, task.session(rows, seed=seed)) for seed in _OTHER_SEEDS]
        differing = [
            (row, each) for each in others for row in rows if unlike(usual[row], each[row])
        ]
        if case.random is False and differing:
            row, other = differing[0]
            return (
                f"{task.kind}, {task.name(row)}, two seeds, though it is said to draw no lots: "
                f"{unlike(usual[row], other[row])}"
            )
        if case.random and not differing:
            seeds = [SEED, *_OTHER_SEEDS]
            return f"{task.kind}: the seeds {seeds} give the same for every line."
        different = _twins(case, task)
        if different:
            return f"{task.kind}, {task.name(4)}, twice with the same seed of its own, {different}"
    return ""


def _twins(case: StrategyCase, task: Task) -> str:
    """A line that is given the same seed twice in one batch, and once in another."""
    both = case.decode(task.session((4, 4), seeds=[SEED, SEED]))
    other = case.decode(task.session((1, 4), seeds=[0, SEED]))
    first = outcomes(both, 0, task.positions(4))
    return unlike(first, outcomes(both, 1, task.positions(4))) or unlike(
        first, outcomes(other, 1, task.positions(4))
    )


def _filters(case: StrategyCase) -> str:
    forbid = without(_UNLOVED)
    for task in case.tasks(talkative_model(), bare([12, 12, 12, 12])):
        session = replace(task.session((0, 1, 2, 3)), filters=(forbid,), samples=_SAMPLES)
        for row, made in _made(case, task, (0, 1, 2, 3), session).items():
            for each in made:
                if _UNLOVED in each.tokens:
                    return f"{task.kind}, {task.name(row)}, token {_UNLOVED} forbidden:\n{each}"
    return ""


def _nothing_after(step: int) -> Filter:
    """A filter that forbids eos before a step, and everything from then on."""

    def forbid(scores: Tensor, beam: Beam) -> Tensor:
        if beam.step < step:
            return scores.index_fill(-1, torch.tensor([TOY_SPECIAL.eos]), -torch.inf)
        return torch.full_like(scores, -torch.inf)

    return forbid


def _all_forbidden(case: StrategyCase) -> str:
    for step in (0, 2):
        for task in case.tasks(lines=bare([8, 8])):
            session = replace(task.session((0, 1)), filters=(_nothing_after(step),))
            for row, made in _made(case, task, (0, 1), session).items():
                for each in made:
                    ended = each.tokens[-1:] == [TOY_SPECIAL.eos]
                    if len(each.tokens) != step + 1 or not ended:
                        return (
                            f"{task.kind}, {task.name(row)}, every token forbidden from step "
                            f"{step} on (and eos before it):\n{each}"
                        )
    return ""


def _end_at_limit(case: StrategyCase) -> str:
    for limits in ([1], [3], [2, 5, 0]):
        for task in case.tasks(talkative_model(), bare(limits)):
            rows = tuple(range(len(limits)))
            session = replace(task.session(rows), eos_at_limit=True)
            for row, made in _made(case, task, rows, session).items():
                for each in made:
                    ended = each.tokens[-1:] == [TOY_SPECIAL.eos]
                    if limits[row] and not ended:
                        return f"{task.kind} that never ends, {task.name(row)}:\n{each}"
    return ""


def _watch(case: StrategyCase) -> str:
    """A watch that stops all rows after some steps."""

    def stop(beam: Beam) -> Tensor | None:
        if beam.step < _STEPS:
            return None
        return torch.ones(beam.scores.shape, dtype=torch.bool)

    for task in case.tasks(talkative_model(), bare([9, 12])):
        session = replace(task.session((0, 1)), watch=stop)
        for row, made in _made(case, task, (0, 1), session).items():
            for each in made:
                if len(each.tokens) != _STEPS or not each.finished:
                    return f"{task.kind}, {task.name(row)}, stopped after {_STEPS} tokens:\n{each}"
    return ""


def _settled(case: StrategyCase) -> str:
    """What is told as certain, against what comes out."""
    for task in case.tasks():
        told: dict[int, list[list[int]]] = {row: [] for row in ROWS}

        def listen(
            sources: Tensor,
            tokens: Tensor,
            lengths: Tensor,
            told: dict[int, list[list[int]]] = told,
        ) -> None:
            for source, row, length in zip(
                sources.tolist(), tokens.tolist(), lengths.tolist(), strict=True
            ):
                told[source].append(row[:length])

        made = _made(case, task, ROWS, replace(task.session(ROWS), on_stable_prefix=listen))
        for row, stages in told.items():
            final = made[row][0].tokens
            for stage in stages:
                if stage != final[: len(stage)]:
                    return f"{task.kind}, {task.name(row)}: {stage} was told, {final} came out."
    return ""


def _samples(case: StrategyCase) -> str:
    places = (case.plugin, type(case.plugin), type(case.plugin).__call__)
    texts = [getattr(place, "__doc__", None) for place in places]
    own: int | None = getattr(case.strategy, "n_best", None)
    said = any(re.search(r"hypothes[ie]s", text or "", re.IGNORECASE) for text in texts)
    for task in case.tasks():
        for samples in (1, 2, 5):
            found = case.decode(replace(task.session((0, 4)), samples=samples))
            count = found.tokens.shape[1]
            if count > (own or samples):
                return f"{task.kind}: asked for {own or samples}, it returned {count} hypotheses."
            if count != samples and not said:
                return (
                    f"{task.kind}: asked for {samples}, it returned {count} hypotheses for each "
                    "source, and its docstring does not speak of hypotheses."
                )
    return ""


def _start(case: StrategyCase) -> str:
    for task in case.tasks():
        diary = Diary()
        session = replace(task.session(ROWS), filters=(diary,), samples=_SAMPLES)
        for _ in range(2):
            before = len(diary.searches)
            case.decode(session)
            if diary.called_itself:
                return f"{task.kind}: a filter with a start was called without being started."
            if len(diary.searches) == before:
                return f"{task.kind}: a filter with a start was not started in a second search."
        for page in diary.searches:
            if page.problem:
                return f"{task.kind}: {page.problem}"
    return ""


CONDUCT_LAWS: Mapping[str, Law[StrategyCase]] = {
    "repeat": Law("the same session gives the same again, by its own numbers alone.", _repeat),
    "seeds": Law("what is drawn depends on the source's own seed, if lots are drawn.", _seeds),
    "neighbours": Law(
        "a source's result depends neither on the others of the batch nor on their order.",
        _neighbours,
    ),
    "samples": Law(
        "as many hypotheses as samples were asked for or as its own n_best says, never more; where "
        "they are fewer its docstring says how many.",
        _samples,
    ),
    "filters": Law("what the session's filters forbid is not said.", _filters),
    "start": Law(
        "filters with a start are started in each search, and told of every move.", _start
    ),
    "all-forbidden": Law("where filters leave nothing, eos comes at once.", _all_forbidden),
    "eos-at-limit": Law("eos is the last token that the limit allows, if wanted.", _end_at_limit),
    "watch": Law("what the watch stops ends there, as finished.", _watch),
    "settled": Law("what is told as certain begins the best hypothesis.", _settled),
}
