"""What a law is, and how a plugin is held to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from torch import Tensor

from textgen.decoding.chain import bound
from textgen.decoding.plugin_errors import origin, title
from textgen.errors import PluginError, UsageError, nearest
from textgen.protocols import Load
from textgen.testing.vocabulary import ToyTokenizer

CaseT = TypeVar("CaseT")
T = TypeVar("T")


class LawBroken(AssertionError):  # noqa: N818 it says what happened, as a failed test does
    """A plugin breaks a law.

    Attributes:
        law: its name.
        evidence: what was seen.
    """

    def __init__(self, plugin: str, law: str, says: str, evidence: str) -> None:
        self.law, self.evidence = law, evidence
        super().__init__(f"{plugin} breaks the law {law!r}: {says}\n{evidence}")


@dataclass(frozen=True)
class Law(Generic[CaseT]):
    """What every plugin of a kind keeps to.

    Attributes:
        says: the law, as a sentence.
        broken: looks at a plugin in its case; gives the evidence, or nothing if the law is kept.
    """

    says: str
    broken: Callable[[CaseT], str]


def obey(
    case: CaseT,
    laws: Mapping[str, Law[CaseT]],
    plugin: Any,
    kind: str,
    *,
    only: Collection[str] | None = None,
    refuses: Collection[str] = (),
) -> None:
    """Hold a plugin to laws, in their order.

    Args:
        case: the plugin, and what it is tried on.
        laws: by name.
        plugin: as it was given, for the message.
        kind: "filter" or "strategy", for the message.
        only: names of the laws that are wanted; None for all.
        refuses: names of laws in whose cases the plugin may raise a UsageError.

    Raises:
        LawBroken: for the first law that is broken.
        UsageError: if ``only`` or ``refuses`` names no law.
    """
    known(laws, [*(only or ()), *refuses])
    who = f"The {kind} {title(plugin)}, {origin(plugin)},"
    for name, law in laws.items():
        if only is not None and name not in only:
            continue
        try:
            evidence = law.broken(case)
        except Exception as error:
            refusal = isinstance(error, UsageError) and not isinstance(error, PluginError)
            if refusal and name in refuses:
                continue
            said = f"It raised {type(error).__name__}: {error}"
            raise LawBroken(who, name, law.says, said) from error
        if evidence:
            raise LawBroken(who, name, law.says, evidence)


def known(laws: Mapping[str, Any], names: Sequence[str]) -> None:
    """See that names are names of laws.

    Raises:
        UsageError: names the nearest.
    """
    for name in names:
        if name not in laws:
            raise UsageError(f"There is no law {name!r}.{nearest(name, laws)}")


def made_ready(plugin: T, load: Load) -> T:
    """A plugin for the toy vocabulary, made ready as the command line does it."""
    return bound(plugin, ToyTokenizer(), load)


def shown(values: Tensor) -> str:
    """A row of scores as people read it."""
    return "[" + ", ".join(f"{value:.4g}" for value in values.tolist()) + "]"
