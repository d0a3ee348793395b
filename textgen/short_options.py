"""The short decoding options: ``temperature=0.8`` for the filter ``temperature:0.8``, and so on.

``ShortOptions`` is the one table of them. The options of the command line (``--top-k``), the keys
of ``--jsonl`` requests and the keyword arguments of the Python methods are made from it; the order
in which their filters act is that of ``textgen.decoding.chain.ORDER``.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict, TypeVar

from annotated_types import Ge

from textgen.errors import UsageError, nearest
from textgen.registry import Spec, parse_spec

T = TypeVar("T")

DEFAULT_GENERATING, DEFAULT_TRANSLATING = "sample", "beam:width=5"
"""Strategies where none is named."""

ALIASES = {"top-p": "nucleus"}
"""Second names of filters."""


@dataclass(frozen=True)
class ShortForm:
    """What a short option stands for.

    Attributes:
        plugin: the filter or strategy that takes its value as first option.
        metavar: of the value, in help texts.
        strategy: it names a strategy, not a filter.
        off: the value that stands for no filter at all.
    """

    plugin: str
    metavar: str
    strategy: bool = False
    off: float | None = None


class ShortOptions(TypedDict, total=False):
    """The short decoding options; None is as if it were not given.

    Attributes:
        repetition_penalty: θ of the filter ``repetition-penalty``.
        temperature: T of ``temperature``; 0 is greedy.
        top_k: k of ``top-k``; 0 switches it off.
        top_p: p of ``nucleus``.
        min_p: m of ``min-p``.
        beam: width of the strategy ``beam``.
    """

    repetition_penalty: Annotated[float | None, ShortForm("repetition-penalty", "X")]
    temperature: Annotated[float | None, ShortForm("temperature", "T")]
    top_k: Annotated[int | None, Ge(0), ShortForm("top-k", "K", off=0)]
    top_p: Annotated[float | None, ShortForm("nucleus", "P")]
    min_p: Annotated[float | None, ShortForm("min-p", "M")]
    beam: Annotated[int | None, Ge(1), ShortForm("beam", "WIDTH", strategy=True)]


HINTS: Mapping[str, Any] = typing.get_type_hints(ShortOptions, include_extras=True)
"""The names with their types, bounds included."""

SHORT_FORMS: Mapping[str, ShortForm] = {
    name: next(part for part in typing.get_args(hint) if isinstance(part, ShortForm))
    for name, hint in HINTS.items()
}
STRATEGIES = frozenset(name for name, form in SHORT_FORMS.items() if form.strategy)
"""The short options that name a strategy."""


def flag(name: str) -> str:
    """A short option as the command line has it: ``--top-k``."""
    return f"--{name.replace('_', '-')}"


def short_form(name: str) -> str | None:
    """The short option that stands for a filter, by its name or SPEC; None where there is none."""
    name = parse_spec(name).name.replace("_", "-")
    name = ALIASES.get(name, name)
    return next(
        (key for key, form in SHORT_FORMS.items() if form.plugin == name and not form.strategy),
        None,
    )


def given(short: Mapping[str, object]) -> dict[str, object]:
    """The short options that were given, in the order of the table.

    Raises:
        UsageError: for a name that is none.
    """
    for name in short:
        if name not in SHORT_FORMS:
            hint = nearest(name, SHORT_FORMS)
            raise UsageError(f"There is no short decoding option {name!r}.{hint}")
    return {name: short[name] for name in SHORT_FORMS if short.get(name) is not None}


def filter_specs(short: Mapping[str, object]) -> list[Spec]:
    """The filters that short options stand for."""
    forms = ((SHORT_FORMS[name], value) for name, value in given(short).items())
    return [
        Spec(form.plugin, {}, (value,))
        for form, value in forms
        if not form.strategy and (form.off is None or value != form.off)
    ]


def refuse_doubles(short: Mapping[str, object], wanted: Iterable[Spec]) -> None:
    """See that no filter is named by its short option and by its SPEC.

    Raises:
        UsageError: if one is.
    """
    for spec in wanted:
        name = short_form(spec.name)
        if name is not None and short.get(name) is not None:
            raise UsageError(
                f"{flag(name)} {short[name]} and {spec} both set the filter "
                f"{SHORT_FORMS[name].plugin}: use one of them."
            )


def strategy_spec(short: Mapping[str, object], decode: object) -> Spec | None:
    """The strategy that a short option names; None where none does.

    Args:
        short: the short options.
        decode: a strategy that is named in full, or None.

    Raises:
        UsageError: if two strategies are named.
    """
    named = [
        (name, Spec(SHORT_FORMS[name].plugin, {}, (value,)))
        for name, value in given(short).items()
        if SHORT_FORMS[name].strategy
    ]
    others = [] if decode is None else [f"--decode {decode}"]
    words = [*others, *(f"{flag(name)} {spec.positional[0]}" for name, spec in named)]
    if len(words) > 1:
        raise UsageError(
            f"{' and '.join(words)} name two strategies: use one of them, as in --decode "
            f"{named[-1][1]}."
        )
    return named[0][1] if named else None


@dataclass(frozen=True)
class Decoding:
    """How to decode, in words: what ``textgen.decoding.chain.resolve`` makes a chain of.

    Attributes:
        decode: SPEC of a strategy, or of a filter to sample with; None for the default.
        filters: SPECs of filters.
        short: names and values of the short options that are given.
        allow_unknown: the unknown token may be generated.
    """

    decode: str | None = None
    filters: tuple[str, ...] = ()
    short: tuple[tuple[str, object], ...] = ()
    allow_unknown: bool = False

    def replaced_by(
        self,
        decode: str | None = None,
        filters: Iterable[str] | None = None,
        short: Mapping[str, object] | None = None,
        *,
        allow_unknown: bool | None = None,
    ) -> Decoding:
        """These words with a request's own in their place; None is what these say.

        A strategy of the request's own, by ``decode`` or by a short option, takes the place of
        these words', by whichever of the two that was named; so does a filter, by its SPEC or by
        its short option.
        """
        own, inherited = given(short or {}), dict(self.short)
        named = [each for each in (decode, *(filters or ())) if each is not None]
        for name in map(short_form, named):
            inherited.pop(name or "", None)
        kept = self.decode
        if decode is not None or own.keys() & STRATEGIES:
            kept = None
            inherited = {key: each for key, each in inherited.items() if key not in STRATEGIES}
        if kept is not None and short_form(kept) in own:
            kept = None
        if filters is None:
            filters = (each for each in self.filters if short_form(each) not in own)
        return Decoding(
            kept if decode is None else decode,
            tuple(filters),
            tuple({**inherited, **own}.items()),
            self.allow_unknown if allow_unknown is None else allow_unknown,
        )


def with_short_options(cls: type[T]) -> type[T]:
    """A dataclass with a field for each short option, None where it is not given.

    Args:
        cls: a frozen dataclass whose own fields may be given by keyword.
    """
    fields = [(name, hint, dataclasses.field(default=None)) for name, hint in HINTS.items()]
    own = {"__module__": cls.__module__, "__doc__": cls.__doc__}
    made: type[T] = dataclasses.make_dataclass(
        cls.__name__, fields, bases=(cls,), namespace=own, frozen=True, kw_only=True
    )
    return made


def short_options_of(request: object) -> dict[str, object]:
    """The short options that an object of a class of ``with_short_options`` gives."""
    return given({name: getattr(request, name, None) for name in SHORT_FORMS})
