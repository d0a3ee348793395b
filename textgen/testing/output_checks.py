"""Laws about what a strategy returns: its shape, its ends, its limits and its figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from textgen.decoding import rescore
from textgen.protocols import Hypotheses, Session
from textgen.testing.laws import Law, shown
from textgen.testing.lines import ROWS, Task
from textgen.testing.outcomes import (
    TOLERANCE,
    Looks,
    Outcome,
    StrategyCase,
    bare,
    first_wrong,
    outcomes,
    softened,
    taciturn_model,
    talkative_model,
)
from textgen.testing.toy import TOY_SPECIAL

_SAMPLES = 3


def _answer(case: StrategyCase) -> str:
    for task in case.tasks(lines=bare([3])):
        case.decode(task.session((0,)))
    return ""


def _session(case: StrategyCase) -> str:
    """The session's own tensors, before and after."""
    for task in case.tasks():
        session = task.session(ROWS)
        names = ("prefix", "prefix_lengths", "limit")
        before = [getattr(session, name).clone() for name in names]
        memory = session.state.memory.clone()
        case.decode(session)
        for name, values in zip(names, before, strict=True):
            if not torch.equal(getattr(session, name), values):
                return f"{task.kind}: session.{name} was changed."
        if not torch.equal(session.state.memory, memory):
            return f"{task.kind}: session.state was changed."
    return ""


def _hypotheses(case: StrategyCase) -> str:
    for name, _, rows, _, found in case.usual():
        for part, kind in (
            ("tokens", torch.int64),
            ("lengths", torch.int64),
            ("scores", torch.float32),
            ("log_probs", torch.float32),
            ("token_log_probs", torch.float32),
            ("finished", torch.bool),
        ):
            values: Tensor = getattr(found, part)
            if values.dtype != kind:
                return f"{name}: {part} are {values.dtype}, expected {kind}."
            if values.isnan().any():
                return f"{name}: {part} hold NaN."
        if len(found.tokens) != len(rows):
            return f"{name}: {len(found.tokens)} sources, expected {len(rows)}."
        least, most = int(found.lengths.min()), int(found.lengths.max())
        if least < 0 or most > found.tokens.shape[2]:
            return (
                f"{name}: lengths go from {least} to {most} with T = {found.tokens.shape[2]} tokens"
            )
        if not (found.scores > -torch.inf).any(1).all():
            return f"{name}: a source has no hypothesis: scores {shown(found.scores[:, 0])}"
    return ""


def _best_first(case: StrategyCase) -> str:
    for name, task, rows, _, found in case.usual():
        wrong = found.scores[:, 1:] > found.scores[:, :-1]
        if wrong.any():
            place = int(wrong.any(1).byte().argmax())
            return f"{name}, {task.name(rows[place])}: scores {shown(found.scores[place])}"
    return ""


def _padding(case: StrategyCase) -> str:
    for name, task, rows, _, found in case.usual():
        place = torch.arange(found.tokens.shape[2])
        after = place >= found.lengths.unsqueeze(2)
        outside = after & ((found.tokens != TOY_SPECIAL.pad) | (found.token_log_probs != 0))
        special = (found.tokens == TOY_SPECIAL.pad) | (found.tokens == TOY_SPECIAL.bos)
        for wrong, said in (
            (outside, "is not pad, or costs something, after the end"),
            (~after & special, "is pad or bos before the end"),
        ):
            if wrong.any():
                source, row, at = wrong.nonzero()[0].tolist()
                return (
                    f"{name}, {task.name(rows[source])}, hypothesis {row} of length "
                    f"{int(found.lengths[source, row])}: token {at} of "
                    f"{found.tokens[source, row].tolist()} {said}; log-probabilities "
                    f"{shown(found.token_log_probs[source, row])}"
                )
    return ""


def _eos(case: StrategyCase) -> str:
    def wrong(one: Outcome, limit: int) -> str:
        ended = bool(one.tokens) and one.tokens[-1] == TOY_SPECIAL.eos
        if TOY_SPECIAL.eos in one.tokens[:-1]:
            return "tokens come after eos."
        if ended and not one.finished:
            return "it ends with eos and does not count as finished."
        if one.finished and not ended and len(one.tokens) >= limit:
            return f"the limit of {limit} cuts it and it counts as finished."
        if not one.finished and len(one.tokens) < limit:
            return f"it stops before its limit of {limit} and does not count as finished."
        return ""

    return first_wrong(case.usual, wrong)


def _limits(case: StrategyCase) -> str:
    def searches() -> Iterator[tuple[str, Task, tuple[int, ...], Session, Hypotheses]]:
        for limits in ([0], [1], [2], [0, 1], [4, 0, 1, 7]):
            for task in case.tasks(talkative_model(), bare(limits)):
                rows = tuple(range(len(limits)))
                session = task.session(rows)
                name = f"{task.kind} that never ends, limits {limits}"
                yield name, task, rows, session, case.decode(session)
        yield from case.usual()

    def wrong(one: Outcome, limit: int) -> str:
        return f"{len(one.tokens)} tokens." if len(one.tokens) > limit else ""

    return first_wrong(searches, wrong)


def _rescored(session: Session, found: Hypotheses, task: Task, rows: Sequence[int]) -> str:
    """The first token whose log-probability is not that of a teacher-forced pass."""
    forced = rescore(session, found)
    alive = found.scores > -torch.inf
    same = torch.isclose(forced, found.token_log_probs, rtol=1e-4, atol=TOLERANCE)
    wrong = (~same).any(2) & alive
    if wrong.any():
        source, row = wrong.nonzero()[0].tolist()
        return (
            f"{task.name(rows[source])}, hypothesis {row}, tokens "
            f"{found.tokens[source, row].tolist()}:\n"
            f"token_log_probs       {shown(found.token_log_probs[source, row])}\n"
            f"teacher-forced pass   {shown(forced[source, row])}"
        )
    sums = found.token_log_probs.sum(2)
    wrong = ~torch.isclose(sums, found.log_probs, rtol=1e-4, atol=TOLERANCE) & alive
    if wrong.any():
        source, row = wrong.nonzero()[0].tolist()
        return (
            f"{task.name(rows[source])}, hypothesis {row}: log_probs is "
            f"{float(found.log_probs[source, row]):.5f}, the sum is {float(sums[source, row]):.5f}."
        )
    return ""


def _rescoring(case: StrategyCase) -> str:
    limits = [4, 7, 2, 9]
    for task in case.tasks(lines=bare(limits)):
        for rows, samples in (((0,), 1), (tuple(range(len(limits))), _SAMPLES)):
            for filters in ((), (softened,)):
                session = replace(task.session(rows), filters=filters, samples=samples)
                evidence = _rescored(session, case.decode(session), task, rows)
                if evidence:
                    filtered = ", with a filter that divides scores by 1.3" if filters else ""
                    return f"{task.kind}{filtered}, {evidence}"
    return ""


def _prefix(case: StrategyCase) -> str:
    for task in case.tasks():
        for rows, samples in (((2,), 1), (ROWS, _SAMPLES)):
            session = replace(task.session(rows), samples=samples)
            evidence = _rescored(session, case.decode(session), task, rows)
            if evidence:
                return f"{task.kind}, {evidence}"
    return ""


def _dead(case: StrategyCase) -> str:
    for limits in ([1], [2], [3, 1, 5]):
        for task in case.tasks(taciturn_model(), bare(limits)):
            rows = tuple(range(len(limits)))
            session = replace(task.session(rows), samples=4)
            found = case.decode(session)
            where = f"{task.kind} that can say only 4 and eos, limits {limits}, 4 samples"
            for place in rows:
                for each in outcomes(found, place, 1):
                    impossible = set(each.tokens) - {4, TOY_SPECIAL.eos}
                    known = bool(each.log_probs.isfinite().all())
                    if impossible or not each.tokens or not known:
                        return f"{where}, {task.name(place)}: a dead row came back:\n{each}"
            dead = found.scores == -torch.inf
            if (found.lengths[dead] != 0).any() or found.finished[dead].any():
                return f"{where}: a row with score −∞ has tokens or counts as finished."
            if (found.log_probs[dead] != -torch.inf).any():
                return f"{where}: a row with score −∞ has a log-probability."
    return ""


def _nobody(case: StrategyCase) -> str:
    for task in case.tasks():
        found = case.decode(task.session(()))
        if found.tokens.shape[0] != 0:
            return f"{task.kind}: {len(found.tokens)} sources came out."
    return ""


def _attention(case: StrategyCase) -> str:
    for task in case.tasks():
        for rows in ((0,), ROWS):
            session = replace(task.session(rows), samples=2)
            if case.decode(session).attention is not None:
                return f"{task.kind}: attention was not asked for and is there."
            wanted = replace(session, attention=True)
            found = case.decode(wanted)
            if task.kind == "language-model":
                if found.attention is not None:
                    return "A language model has no attention, but some is there."
                continue
            evidence = Looks(wanted, found).wrong(task, rows)
            if evidence:
                return evidence
    return ""


FORM_LAWS: Mapping[str, Law[StrategyCase]] = {
    "answer": Law("it decodes one short line without raising.", _answer),
    "session": Law("the session is not changed.", _session),
    "hypotheses": Law(
        "it returns hypotheses of the right types, and at least one for each source.", _hypotheses
    ),
    "dead-rows": Law("where there are fewer outputs than rows, the spare ones stay dead.", _dead),
    "best-first": Law("the hypotheses of a source are ranked by their scores.", _best_first),
    "padding": Law("pad stands after the end of a hypothesis, and nowhere else.", _padding),
    "eos": Law("eos ends a hypothesis; finished says that it was not cut by the limit.", _eos),
    "limits": Law("no hypothesis is longer than its own source's limit.", _limits),
    "rescoring": Law(
        "token_log_probs are the model's own, unfiltered, and log_probs their sum.", _rescoring
    ),
    "prefix": Law("every hypothesis continues its own source's prefix, of any length.", _prefix),
    "no-sources": Law("no sources give no hypotheses.", _nobody),
    "attention": Law(
        "asked for, each token comes with the attention by which it was chosen.", _attention
    ),
}
