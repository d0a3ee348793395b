"""The laws of filters, and ``check_filter`` that holds a filter to them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from torch import Tensor

from textgen.protocols import Filter, Load
from textgen.testing.filter_case import WIDTH, FilterCase, Rows, alike, difference
from textgen.testing.harness import (
    Call,
    Chorus,
    Replay,
    Script,
)
from textgen.testing.laws import Law, made_ready, obey, shown
from textgen.testing.lines import KINDS, LINES, ROWS, Kind
from textgen.testing.toy import FixedRandom
from textgen.testing.vocabulary import toy_load

_SAME_FOR_ALL = 0.3


def _each_call(
    case: FilterCase, wrong: Callable[[Call], Tensor | None], what: Callable[[Call, int], str]
) -> str:
    """The first row of the first call at which something is wrong.

    Args:
        case: the filter.
        wrong: a call to (B, K, V) bool, or None where it cannot be asked.
        what: a call and a token to what is wrong with it.
    """
    for name, calls in case.situations():
        for call in calls:
            flags = wrong(call)
            if flags is None or not bool(flags.any()):
                continue
            source, row, token = flags.nonzero()[0].tolist()
            given, result = call.given[source, row], call.result[source, row]
            return (
                f"In a search ({name}), step {call.beam.step}, after the tokens "
                f"{list(call.history(source, row))}: {what(call, token)}\n"
                f"given   {shown(given)}\nresult  {shown(result)}"
            )
    return ""


def _usable(call: Call) -> bool:
    return isinstance(call.result, Tensor) and call.result.shape == call.given.shape


def _answer(case: FilterCase) -> str:
    for name, calls in case.situations():
        for call in calls:
            where = f"In a search ({name}), step {call.beam.step}"
            if call.error is not None:
                return f"{where}: it raised {type(call.error).__name__}: {call.error}"
            if not isinstance(call.result, Tensor):
                return f"{where}: it returned {type(call.result).__name__}."
    return ""


def _shape(case: FilterCase) -> str:
    for name, calls in case.situations():
        for call in calls:
            given, result = call.given, call.result
            if isinstance(result, Tensor) and (
                result.shape != given.shape or result.dtype != given.dtype
            ):
                return (
                    f"In a search ({name}), step {call.beam.step}: given {given.dtype} "
                    f"{tuple(given.shape)}, it returned {result.dtype} {tuple(result.shape)}."
                )
    return ""


def _in_place(case: FilterCase) -> str:
    for name, calls in case.situations():
        for call in calls:
            if call.changed:
                return f"In a search ({name}), step {call.beam.step}: it changed {call.changed}."
    return ""


def _finite(case: FilterCase) -> str:
    return _each_call(
        case,
        lambda call: ~(call.result < float("inf")) if _usable(call) else None,
        lambda _, token: f"token {token} is NaN or +∞.",
    )


def _forbidden(case: FilterCase) -> str:
    if case.may_revive:
        return ""
    return _each_call(
        case,
        lambda call: (
            (call.given == -torch.inf) & (call.result > -torch.inf) if _usable(call) else None
        ),
        lambda _, token: f"token {token} was forbidden and is not any more.",
    )


def _repeat(case: FilterCase) -> str:
    for rows, width in (((1,), 1), (ROWS, WIDTH)):
        found = []
        for seed in (0, 1):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                found.append(case.run(rows, Script(rows, width)))
        evidence = difference(case.task, found[0], found[1], ("first", "again"))
        if evidence:
            return evidence
    return ""


def _duplicates(case: FilterCase) -> str:
    for rows in ((1,), ROWS):
        script = Chorus(rows, WIDTH)
        found = case.run(rows, script, random=FixedRandom(_SAME_FOR_ALL))
        for (step, line, row), (history, scores) in found.items():
            first = found.get((step, line, 0))
            if first is None or first[0] != history or alike(first[1], scores):
                continue
            return (
                f"{case.task.name(line)}, step {step}, rows 0 and {row} with the tokens "
                f"{list(history)}:\n{shown(first[1])}\n{shown(scores)}"
            )
    return ""


def _history(case: FilterCase) -> str:
    """Every row of a search whose rows move, against one row that says the same."""
    random = FixedRandom(_SAME_FOR_ALL)
    moved = case.run(ROWS, Script(ROWS, WIDTH), random=random)
    for line in ROWS:
        own = {place: value for place, value in moved.items() if place[1] == line}
        for history in _longest({tokens for tokens, _ in own.values()}):
            alone = case.run((line,), Replay(history), random=random)
            for (step, _, row), (tokens, scores) in sorted(own.items()):
                if tokens != history[:step] or (step, line, 0) not in alone:
                    continue
                single = alone[step, line, 0][1]
                if not alike(single, scores):
                    return (
                        f"{case.task.name(line)}, step {step}, the tokens {list(tokens)}:\n"
                        f"as the only row of its source         {shown(single)}\n"
                        f"as row {row} of {WIDTH}, after rows have moved  {shown(scores)}"
                    )
    return ""


def _longest(histories: set[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Those that no other one begins with."""
    return [
        each
        for each in sorted(histories)
        if not any(other != each and other[: len(each)] == each for other in histories)
    ]


def _neighbours(case: FilterCase) -> str:
    alone: Rows = {}
    for row in ROWS:
        alone |= case.run((row,), Script((row,), WIDTH))
    pairs = [(one, (one + 1) % len(LINES)) for one in ROWS]
    for rows in (*pairs, (3, 0), (4, 1), ROWS, ROWS[::-1]):
        together = case.run(rows, Script(rows, WIDTH))
        wanted = {place: value for place, value in alone.items() if place[1] in rows}
        others = f"in the batch of lines {list(rows)}"
        evidence = difference(case.task, wanted, together, ("alone", others))
        if evidence:
            return evidence
    return ""


def _padding(case: FilterCase) -> str:
    for row in ROWS:
        plain = case.run((row,), Script((row,), 1))
        wide = case.run((row,), Script((row,), 1), padding=3)
        evidence = difference(case.task, plain, wide, ("plain", "with 3 more pads in its prefix"))
        if evidence:
            return evidence
    return ""


FILTER_LAWS: Mapping[str, Law[FilterCase]] = {
    "answer": Law("at every step it returns a tensor, and raises nothing.", _answer),
    "shape": Law("what it returns has the shape and the type of what it got.", _shape),
    "in-place": Law("it changes neither the scores it gets nor the beam.", _in_place),
    "finite": Law("no score is NaN or +∞; −∞ forbids a token.", _finite),
    "forbidden": Law("what is forbidden stays forbidden.", _forbidden),
    "repeat": Law(
        "a second search is as the first: what it keeps begins anew with each search, and chance "
        "comes from beam.random alone.",
        _repeat,
    ),
    "padding": Law("the padding of the prefixes is not looked at.", _padding),
    "duplicates": Law("rows with the same history are treated alike.", _duplicates),
    "neighbours": Law(
        "what a row gets depends neither on the other sources of the batch nor on their order.",
        _neighbours,
    ),
    "history": Law(
        "what a row gets depends on its own history, wherever the search has moved it.", _history
    ),
}


def check_filter(
    one: Filter,
    *,
    may_revive: bool = False,
    kinds: Sequence[Kind] = KINDS,
    laws: Collection[str] | None = None,
    load: Load = toy_load,
) -> None:
    """Hold a filter to the laws of filters.

    It is called in real searches over a toy model with the vocabulary of ``ToyTokenizer``, after
    its ``setup_models``, ``setup_tokenizer`` and ``start`` where it has them: at the first and at
    later steps, with ragged prefixes and limits, with rows that move, end and leave, and with
    scores of every kind.

    Args:
        one: the filter; what a factory makes, not the factory.
        may_revive: whether it may allow a token that was forbidden before it.
        kinds: of models that it is meant for, "language-model" and "translator".
        laws: names of ``FILTER_LAWS``; all of them if left out.
        load: gives the models that its ``setup_models`` asks for.

    Raises:
        LawBroken: for the first law that it breaks, with the smallest case that shows it.
        UsageError: if it cannot be made ready, or ``laws`` names none.
    """
    case = FilterCase(made_ready(one, load), tuple(kinds), may_revive)
    obey(case, FILTER_LAWS, one, "filter", only=laws)
