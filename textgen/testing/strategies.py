"""``check_strategy`` that holds a strategy to the laws of strategies."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from textgen.errors import PluginError, UsageError
from textgen.protocols import Load, Strategy
from textgen.testing.behaviour_checks import CONDUCT_LAWS
from textgen.testing.forcing import FORCING_LAWS
from textgen.testing.laws import Law, made_ready, obey
from textgen.testing.lines import KINDS, Kind, Task
from textgen.testing.outcomes import StrategyCase
from textgen.testing.output_checks import FORM_LAWS
from textgen.testing.vocabulary import toy_load


def _kinds(case: StrategyCase) -> str:
    """A model that it does not work with is refused in one line."""
    for kind in KINDS:
        if kind in case.kinds:
            continue
        try:
            case.decode(Task(kind).session((0,)))
        except PluginError:
            raise
        except UsageError as refusal:
            if "\n" in str(refusal):
                return f"{kind}: the refusal has more than one line:\n{refusal}"
            continue
        return f"{kind}: it is said not to work with it, and does not refuse."
    return ""


STRATEGY_LAWS: Mapping[str, Law[StrategyCase]] = {
    "kinds": Law("a kind of model that it does not work with is refused in one line.", _kinds),
    **FORM_LAWS,
    **CONDUCT_LAWS,
    **FORCING_LAWS,
}


def check_strategy(
    strategy: Strategy,
    *,
    random: bool | None = None,
    kinds: Sequence[Kind] = KINDS,
    refuses: Collection[str] = (),
    laws: Collection[str] | None = None,
    load: Load = toy_load,
) -> None:
    """Hold a strategy to the laws of strategies.

    It decodes lines of many kinds with a toy model that has the vocabulary of ``ToyTokenizer``,
    after its ``setup_models`` and ``setup_tokenizer`` where it has them.

    Args:
        strategy: what a factory makes, not the factory.
        random: whether it draws lots, so that other seeds give other results; None does not ask.
        kinds: of models that it works with, "language-model" and "translator"; it must refuse the
            others by a UsageError of one line.
        refuses: names of ``STRATEGY_LAWS``: what these try it may refuse by a UsageError.
        laws: names of ``STRATEGY_LAWS``; all of them if left out.
        load: gives the models that its ``setup_models`` asks for.

    Raises:
        LawBroken: for the first law that it breaks, with the smallest case that shows it.
        UsageError: if it cannot be made ready, or ``laws`` or ``refuses`` names none.
    """
    case = StrategyCase(
        made_ready(strategy, load), strategy, tuple(kinds), random, frozenset(refuses)
    )
    obey(case, STRATEGY_LAWS, strategy, "strategy", only=laws, refuses=refuses)
