"""The keyword arguments of the methods of loaded models, with their types."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from textgen.errors import nearest
from textgen.protocols import Filter, Strategy
from textgen.short_options import SHORT_FORMS, ShortOptions
from textgen.translation.length import MaxLength

StrategyLike: TypeAlias = "str | Strategy | None"
"""SPEC of a strategy, or of a filter to sample with; a strategy itself; None for the default."""
FilterLike: TypeAlias = "str | Filter | Iterable[str | Filter]"
"""SPECs of filters, or filters themselves; one, or several in the order in which they act."""


class DecodingKeywords(ShortOptions, total=False):
    """How to decode.

    Attributes:
        decode: strategy; see ``StrategyLike``.
        filters: see ``FilterLike``.
        allow_unknown: the unknown token may be generated.
        seed: of the random numbers, 0 to 2⁶³ − 1.
    """

    decode: StrategyLike
    filters: FilterLike
    allow_unknown: bool
    seed: int


class GenerateKeywords(DecodingKeywords, total=False):
    """See ``LoadedLanguageModel.generate``."""

    max_tokens: int
    stop: str | Iterable[str]
    batch_size: int
    progress: bool


class TranslateKeywords(DecodingKeywords, total=False):
    """See ``LoadedTranslator.translate``."""

    n_best: int | None
    attention: bool
    prefixes: str | Iterable[str] | None
    replace_unknown: bool | Mapping[str, str]
    max_length: str | int | MaxLength | None
    max_source: int
    shortlist: int | None
    batch_tokens: int
    window: int
    threads: int | None
    processes: int | None
    progress: bool


def check_keywords(method: Callable[..., Any], short: Iterable[str]) -> None:
    """See that the further keywords of a method are short decoding options.

    Raises:
        TypeError: if one is none; names the nearest keyword that there is.
    """
    for name in short:
        if name not in SHORT_FORMS:
            parameters = inspect.signature(method).parameters.values()
            own = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
            hint = nearest(name, [*own, *SHORT_FORMS])
            raise TypeError(f"{method.__name__}() has no keyword argument {name!r}.{hint}")
