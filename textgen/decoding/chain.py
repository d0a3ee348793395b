"""From names, plugins and short options to a strategy and its filters.

``--decode NAME`` names a strategy, or a filter: then it means to sample with that filter first.
Filters given by hand keep their order. The short options (``textgen.short_options``) stand for the
same plugins, put in where the documented order has them: penalties and bans, minimum length,
forcing, temperature, top-k, top-p, min-p, typical, epsilon, eta, mirostat.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from textgen.arguments import whole_number
from textgen.decoding.plugin_errors import broken
from textgen.errors import PluginError, TextgenError, UsageError, nearest
from textgen.protocols import Filter, Hypotheses, Load, Session, Strategy, Tokenizer
from textgen.registry import Registry, Spec, parse_spec
from textgen.short_options import ALIASES, filter_specs, refuse_doubles, strategy_spec

T = TypeVar("T")

ORDER = (
    "logit-bias",
    "repetition-penalty",
    "frequency-penalty",
    "presence-penalty",
    "dry",
    "no-repeat-ngram",
    "banned",
    "allowed",
    "minimum-length",
    "regex",
    "prefix",
    "temperature",
    "dynamic-temperature",
    "top-k",
    "nucleus",
    "min-p",
    "typical",
    "epsilon",
    "eta",
    "mirostat",
)


class Registries(NamedTuple):
    """Where plugins are looked up."""

    strategies: Registry[Strategy]
    filters: Registry[Filter]


@dataclass(frozen=True)
class Chain:
    """What a request comes to.

    Attributes:
        strategy: decodes.
        filters: for the session, in order.
        description: the filters and then the strategy, each as NAME:key=value with all options.
        allow_unknown: the unknown token may be generated, as in ``<unk>`` of a model of words.
    """

    strategy: Strategy
    filters: tuple[Filter, ...]
    description: list[str]
    allow_unknown: bool = False

    def __str__(self) -> str:
        return " | ".join(self.description)

    def __repr__(self) -> str:
        return f"Chain({str(self)!r})"

    @property
    def threads(self) -> bool:
        """Whether it may run in several threads at once: no plugin has ``threads = False``."""
        plugins: list[Any] = [self.strategy, *self.filters]
        return all(getattr(each, "threads", True) is not False for each in plugins)

    @property
    def name(self) -> str:
        """Of the strategy."""
        return self.description[-1].partition(":")[0]

    @property
    def n_best(self) -> int | None:
        """The number of results that the strategy's own options name, or None."""
        return getattr(self.strategy, "n_best", None)

    def results(self, wanted: int | None = None) -> int:
        """How many results each request gets: as many as wanted, or as the options name, or one.

        Args:
            wanted: asked for beside the chain (samples, n-best); None where nothing was said.

        Raises:
            UsageError: if both say a number and they differ, or the number is out of range.
        """
        if wanted is not None:
            wanted = whole_number(wanted, "The number of results", 1)
        if wanted is None or self.n_best in {None, wanted}:
            return wanted or self.n_best or 1
        raise UsageError(
            f"{self.name} gives {self.n_best} results by its own options, but {wanted} are asked "
            "for beside it: leave one of the two numbers out."
        )

    @property
    def minimum_length(self) -> int:
        """Tokens that an output has before anything may end it, stop texts too."""
        return max((getattr(each, "minimum_length", 0) for each in self.filters), default=0)

    def setup(self, tokenizer: Tokenizer, load: Load | None = None) -> Chain:
        """The chain for a model's vocabulary: plugins that name texts learn its tokens.

        A plugin that needs other models has a method ``setup_models(load)``, one that needs a
        tokenizer a method ``setup_tokenizer(tokenizer)``; each returns a plugin.

        Args:
            tokenizer: of the model that decodes.
            load: the name of a model to the model; None gives no plugin others.

        Raises:
            UsageError: if a text cannot be written with the vocabulary, or a model does not fit.
        """
        return dataclasses.replace(
            self,
            strategy=bound(self.strategy, tokenizer, load),
            filters=tuple(bound(each, tokenizer, load) for each in self.filters),
        )

    def decode(self, session: Session) -> Hypotheses:
        """Decode with the chain's filters after those that the session has already.

        Raises:
            PluginError: if a plugin breaks its contract.
        """
        from textgen.decoding.hypotheses import decode

        filters = (*session.filters, *self.filters)
        return decode(self.strategy, dataclasses.replace(session, filters=filters))


def bound(plugin: T, tokenizer: Tokenizer, load: Load | None) -> T:
    """One plugin for a model's vocabulary; see ``Chain.setup``.

    Raises:
        PluginError: if its ``setup_models`` or ``setup_tokenizer`` raises anything else, or gives
            no plugin.
    """
    ready = plugin if load is None else _ready(plugin, "setup_models", load)
    return _ready(ready, "setup_tokenizer", tokenizer)


def _ready(plugin: T, method: str, given: Any) -> T:
    """What a plugin's method gives, where it has it."""
    prepare = getattr(plugin, method, None)
    if not callable(prepare):
        return plugin
    try:
        ready = prepare(given)
    except (TextgenError, OSError, MemoryError):
        raise
    except Exception as error:
        what = f"its {method} raised {type(error).__name__}: {error}"
        raise broken(plugin, "plugin", what) from error
    if not callable(ready):
        raise broken(plugin, "plugin", f"its {method} gave {type(ready).__name__}, not a plugin.")
    return cast("T", ready)


def default_registries(folders: Iterable[str | Path] = ()) -> Registries:
    """The plugins that are installed or dropped into the standard folders.

    Args:
        folders: further folders of dropped files, as ``--plugins`` names them.
    """
    further = tuple(map(Path, folders))
    return Registries(
        Registry("strategy", "textgen.strategies", further),
        Registry("filter", "textgen.filters", further),
    )


def resolve(
    decode: str | Strategy | None,
    filters: str | Filter | Iterable[str | Filter],
    registries: Registries,
    short: Mapping[str, object] | None = None,
    *,
    default: str = "sample",
    allow_unknown: bool = False,
) -> Chain:
    """Build what a request names.

    Args:
        decode: a strategy, its SPEC, or the SPEC of a filter to sample with; None for the default.
        filters: filters or their SPECs, applied in this order; one alone is a list of one.
        registries: where names are looked up.
        short: the short options, see ``textgen.short_options.ShortOptions``.
        default: strategy where neither ``decode`` nor a short option names one; asking for a
            filter without naming a strategy means sampling.
        allow_unknown: the unknown token may be generated.

    Raises:
        PluginError: for unknown names, with the nearest one.
        ConfigError: for wrong options.
        UsageError: for two strategies at once, or a filter by a short option and by its SPEC.
    """
    short = short or {}
    given = [filters] if isinstance(filters, str) or callable(filters) else filters
    wanted = [parse_spec(each) if isinstance(each, str) else each for each in given]
    sugar = filter_specs(short)
    fallback = parse_spec("sample" if wanted or sugar else default)
    strategy: Spec | Strategy = strategy_spec(short, decode) or fallback
    if isinstance(decode, str):
        strategy = parse_spec(decode)
        if not _is_strategy(strategy, registries):
            wanted.insert(0, strategy)
            strategy = parse_spec("sample")
    elif decode is not None:
        strategy = decode
    refuse_doubles(short, (each for each in wanted if isinstance(each, Spec)))
    for spec in sugar:
        _insert(wanted, spec)
    built = [_built(each, registries.filters) for each in wanted]
    made, name = _built(strategy, registries.strategies)
    return Chain(
        made, tuple(each for each, _ in built), [*(name for _, name in built), name], allow_unknown
    )


def _built(wanted: Spec | T, registry: Registry[T]) -> tuple[T, str]:
    """A plugin that is named or given, and its description."""
    if isinstance(wanted, Spec):
        plugin = registry.build(wanted)
        return plugin, describe(registry.entry(wanted.name).name, plugin)
    if not callable(wanted):
        raise UsageError(
            f"A {registry.kind} is a SPEC or a callable, not {type(wanted).__name__} ({wanted!r})."
        )
    return wanted, describe(getattr(wanted, "__name__", type(wanted).__name__), wanted)


def _is_strategy(spec: Spec, registries: Registries) -> bool:
    """Whether a name is a strategy's; False for a filter's.

    Raises:
        PluginError: if it is neither; suggests from both kinds.
    """
    name = spec.name.replace("_", "-")
    strategies, filters = registries.strategies.names(), registries.filters.names()
    if name in strategies:
        return True
    if name in filters:
        return False
    hint = nearest(spec.name, {*strategies, *filters})
    raise PluginError(f"There is no strategy or filter {spec.name!r}.{hint}")


def _place(wanted: Spec | Filter) -> int | None:
    if not isinstance(wanted, Spec):
        return None
    name = wanted.name.replace("_", "-")
    name = ALIASES.get(name, name)
    return ORDER.index(name) if name in ORDER else None


def _insert(chain: list[Spec | Filter], spec: Spec) -> None:
    """Put a short option's filter before the first one that the documented order has after it."""
    own = _place(spec)
    for index, other in enumerate(chain):
        place = _place(other)
        if own is not None and place is not None and place > own:
            chain.insert(index, spec)
            return
    chain.append(spec)


def describe(name: str, plugin: Any) -> str:
    """A plugin with all its options, as it can be asked for again: ``top-k:k=40``."""
    if not dataclasses.is_dataclass(plugin):
        return name
    fields = [field for field in dataclasses.fields(plugin) if field.init]
    values = [f"{field.name}={_written(getattr(plugin, field.name))}" for field in fields]
    return f"{name}:{','.join(values)}" if values else name


def _written(value: Any) -> str:
    """A value as ``parse_spec`` reads it back."""
    if value is None:
        return "none"
    text = value if isinstance(value, str) else _toml(value)
    text = text.replace("\\", "\\\\")
    return text.replace(",", "\\,") if isinstance(value, str) else text


def _toml(value: Any) -> str:
    """A value in TOML: numbers, strings, lists and tables of them."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_toml(key)}={_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else str(value)
