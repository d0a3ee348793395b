"""The law of forced beginnings: forcing the beginning of a result gives that result again.

A search that keeps one row must give it again from any beginning. One that keeps several has other
rivals to prune after a forced beginning, and may find a better or a worse hypothesis; it must give
it again when the whole of it is forced, with the same figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from textgen.decoding import padded
from textgen.protocols import Beam, Session
from textgen.testing.laws import Law
from textgen.testing.lines import ROWS, Task
from textgen.testing.outcomes import Outcome, StrategyCase, outcomes
from textgen.testing.toy import TOY_SPECIAL

_OTHER_SEEDS = (6, 7)
_SHARES = (1.0, 0.0, 0.5, 0.8)  # of the result that is forced; the whole of it comes first
_WORDS = (4, 5)  # two tokens of which at least one does not begin a given result


@dataclass(frozen=True)
class _Trial:
    """One kind of model whose results are forced.

    Attributes:
        case: the strategy.
        task: the lines.
        drawn: the strategy draws lots: scores may depend on what else was drawn.
        narrow: it keeps one row of each source.
    """

    case: StrategyCase
    task: Task
    drawn: bool
    narrow: bool

    def alone(self, session: Session, row: int, forced: list[int]) -> Outcome:
        """The best hypothesis of a line that is decoded by itself."""
        one = replace(
            self.task.session((row,)),
            attention=session.attention,
            forced=padded([forced], TOY_SPECIAL.pad)[0],
        )
        return outcomes(self.case.decode(one), 0, self.task.positions(row))[0]

    def best(self, session: Session, forced: Sequence[list[int]] = ()) -> list[Outcome]:
        """The best hypothesis of each line, whose outputs begin with given tokens."""
        if forced:
            session = replace(session, forced=padded(forced, TOY_SPECIAL.pad)[0])
        found = self.case.decode(session)
        return [
            outcomes(found, place, self.task.positions(row))[0] for place, row in enumerate(ROWS)
        ]

    def again(self, session: Session, free: Sequence[Outcome], share: float) -> str:
        """What is wrong after some of each result was forced, or nothing."""
        counts = [max(1, round(share * len(each.tokens))) for each in free]
        forced = [each.tokens[:count] for each, count in zip(free, counts, strict=True)]
        made = self.best(session, forced)
        for row, beginning, own, other in zip(ROWS, forced, free, made, strict=True):
            wrong = self.wrong(beginning, own, other)
            if wrong:
                return f"{self.at(row)}, {wrong}\nbefore: {own}\n{beginning} forced: {other}"
        return ""

    def wrong(self, forced: list[int], free: Outcome, found: Outcome) -> str:
        """What is wrong with what was found after the beginning of ``free`` was forced."""
        if found.tokens[: len(forced)] != forced:
            return "it does not begin with what was forced:"
        if found.tokens == free.tokens:
            alike = found._replace(score=free.score) if self.drawn else found
            return "" if alike.same(free) else "the same tokens come with other figures:"
        if len(forced) == len(free.tokens):
            return "it goes on where the whole output was forced:"
        return "it is another one:" if self.narrow else ""

    def at(self, row: int) -> str:
        """A line as an error names it."""
        return f"{self.task.kind}, {self.task.name(row)}"


def _forced(case: StrategyCase) -> str:
    for task in case.tasks():
        trial = _Trial(case, task, drawn=_draws(case, task), narrow=_is_narrow(case, task))
        attention = task.kind == "translator" and "attention" not in case.refuses
        session = replace(task.session(ROWS), attention=attention)
        free = trial.best(session)
        strange = [
            [next(word for word in _WORDS if [word] != own.tokens[:1])] if own.tokens else []
            for own in free
        ]
        made = trial.best(session, strange)
        for row, beginning, other in zip(ROWS, strange, made, strict=True):
            if other.tokens[: len(beginning)] != beginning:
                return f"{trial.at(row)}: {beginning} was forced, it begins otherwise:\n{other}"
            alone = trial.alone(session, row, beginning)
            if not alone.same(other):
                return (
                    f"{trial.at(row)}, {beginning} forced, alone and then in a batch with other "
                    f"beginnings:\n{alone}\n{other}"
                )
        wrong = trial.again(session, made, 1.0)
        for share in _SHARES:
            wrong = wrong or trial.again(session, free, share)
        if wrong:
            return wrong
    return ""


def _draws(case: StrategyCase, task: Task) -> bool:
    """Whether other seeds give other results."""
    made = [
        case.decode(task.session(ROWS, seed=seed)).tokens[:, 0].tolist() for seed in _OTHER_SEEDS
    ]
    return any(each != made[0] for each in made)


def _is_narrow(case: StrategyCase, task: Task) -> bool:
    """Whether it keeps one row of each source at every step."""
    widths: set[int] = set()

    def look(beam: Beam) -> None:
        widths.add(beam.width)

    case.decode(replace(task.session(ROWS), watch=look))
    return widths == {1}


FORCING_LAWS = {
    "forced": Law(
        "outputs begin with what is forced; forcing the best hypothesis, or any beginning of it "
        "where one row is kept, gives it again with the same log-probabilities and score.",
        _forced,
    )
}
