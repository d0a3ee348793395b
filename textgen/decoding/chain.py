"""From names and flags to a strategy and its filters.

``--decode NAME`` names a strategy, or a filter: then it means to sample with that filter first.
Filters given by hand keep their order. The familiar flags (temperature, top-k, top-p, beam) are
sugar for the same plugins, put in where the documented order has them: penalties and bans, minimum
length, forcing, temperature, top-k, top-p, min-p, typical, epsilon, eta, mirostat.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar, cast

from textgen.arguments import texts
from textgen.decoding.blame import broken
from textgen.errors import PluginError, TextgenError, UsageError, nearest
from textgen.protocols import Filter, Hypotheses, Load, Session, Strategy, Tokenizer
from textgen.registry import Registry, Spec, parse_spec

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
_ALIASES = {"top-p": "nucleus"}


SHORT_FORMS = {
    "repetition_penalty": "repetition-penalty",
    "temperature": "temperature",
    "top_k": "top-k",
    "top_p": "nucleus",
    "min_p": "min-p",
}
"""Flags and the filters that they stand for, in the documented order."""


def short_form(name: str) -> str | None:
    """The flag that stands for a filter, by its name or SPEC; None where there is none."""
    name = parse_spec(name).name.replace("_", "-")
    name = _ALIASES.get(name, name)
    return next((flag for flag, filter_ in SHORT_FORMS.items() if filter_ == name), None)


class Registries(NamedTuple):
    """Where plugins are looked up."""

    strategies: Registry[Strategy]
    filters: Registry[Filter]


@dataclass(frozen=True)
class Flags:
    """The familiar options; None where they are not given.

    Attributes:
        temperature: T of the filter ``temperature``.
        top_k: k of ``top-k``; 0 switches it off.
        top_p: p of ``nucleus``.
        beam: width of the strategy ``beam``.
        min_p: m of ``min-p``.
        repetition_penalty: θ of ``repetition-penalty``.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    beam: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None

    def filters(self) -> list[Spec]:
        """The filters they stand for, in the documented order."""
        return [
            Spec(name, {}, (value,))
            for flag, name in SHORT_FORMS.items()
            if (value := getattr(self, flag)) is not None and (flag, value) != ("top_k", 0)
        ]

    def refuse_doubles(self, wanted: Sequence[Spec]) -> None:
        """See that no filter is named by a flag and by its SPEC.

        Raises:
            UsageError: if one is.
        """
        for spec in wanted:
            flag = short_form(spec.name)
            value = None if flag is None else getattr(self, flag)
            if flag is not None and value is not None:
                raise UsageError(
                    f"--{flag.replace('_', '-')} {value} and {spec} both set the filter "
                    f"{SHORT_FORMS[flag]}: use one of them."
                )


_NO_FLAGS = Flags()


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
            UsageError: if both say a number and they differ, or the number is less than 1.
        """
        if wanted is not None and wanted < 1:
            raise UsageError(f"{wanted} results are asked for: allowed is 1 or more.")
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

    def bind(self, tokenizer: Tokenizer, load: Load | None = None) -> Chain:
        """The chain for a model's vocabulary: plugins that name texts learn its tokens.

        A plugin that needs other models has a method ``equip(load)``, one that needs a tokenizer
        a method ``bind(tokenizer)``; each returns a plugin.

        Args:
            tokenizer: of the model that decodes.
            load: the name of a model to the model; None equips no plugin.

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
    """One plugin for a model's vocabulary; see ``Chain.bind``.

    Raises:
        PluginError: if its ``equip`` or ``bind`` raises anything else, or gives no plugin.
    """
    equipped = plugin if load is None else _ready(plugin, "equip", load)
    return _ready(equipped, "bind", tokenizer)


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


def default_registries() -> Registries:
    """The plugins that are installed or dropped into the standard folders."""
    return Registries(
        Registry("strategy", "textgen.strategies"), Registry("filter", "textgen.filters")
    )


def resolve(
    decode: str | None,
    filters: Sequence[str],
    registries: Registries,
    flags: Flags = _NO_FLAGS,
    *,
    default: str = "sample",
    allow_unknown: bool = False,
) -> Chain:
    """Build what a request names.

    Args:
        decode: SPEC of a strategy, or of a filter to sample with; None for the default.
        filters: SPECs, applied in this order.
        registries: where to look them up.
        flags: the familiar options.
        default: strategy where neither ``decode`` nor a flag says one; asking for a filter
            without naming a strategy means sampling.
        allow_unknown: the unknown token may be generated.

    Raises:
        PluginError: for unknown names, with the nearest one.
        ConfigError: for wrong options.
        UsageError: for two strategies at once, or a filter by a flag and by its SPEC.
    """
    wanted = [parse_spec(text) for text in texts(filters)]
    sugar = flags.filters()
    if decode is None:
        fallback = "sample" if wanted or sugar else default
        strategy = Spec("beam", {"width": flags.beam}) if flags.beam else parse_spec(fallback)
    else:
        strategy = parse_spec(decode)
        if not _is_strategy(strategy, registries):
            wanted.insert(0, strategy)
            strategy = parse_spec("sample")
        if flags.beam is not None:
            raise UsageError(
                f"--decode {decode} and --beam {flags.beam} name two strategies: use one of them, "
                f"as in --decode beam:width={flags.beam}."
            )
    flags.refuse_doubles(wanted)
    for spec in sugar:
        _insert(wanted, spec)
    built = [registries.filters.build(spec) for spec in wanted]
    made = registries.strategies.build(strategy)
    description = [
        describe(registries.filters.entry(spec.name).name, plugin)
        for spec, plugin in zip(wanted, built, strict=True)
    ]
    description.append(describe(registries.strategies.entry(strategy.name).name, made))
    return Chain(made, tuple(built), description, allow_unknown)


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


def _place(name: str) -> int | None:
    name = name.replace("_", "-")
    name = _ALIASES.get(name, name)
    return ORDER.index(name) if name in ORDER else None


def _insert(chain: list[Spec], spec: Spec) -> None:
    """Put a flag's filter before the first filter that the documented order has after it."""
    own = _place(spec.name)
    for index, other in enumerate(chain):
        place = _place(other.name)
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
