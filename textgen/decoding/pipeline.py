"""Filters and a strategy written as one text, as chains are shown: ``FILTER | STRATEGY``."""

from __future__ import annotations

from collections.abc import Sequence

from textgen.decoding.chain import Chain, Registries, resolve
from textgen.errors import PluginError, UsageError, nearest
from textgen.registry import parse_spec

_QUOTES, _OPEN, _CLOSED = "\"'", "[{", "]}"


def split_pipeline(text: str) -> list[str]:
    r"""Split ``temperature:0.8 | top-k:40 | sample`` into its parts.

    A bar separates where white space stands beside it, or where a name stands before it; one inside
    a value (``matching:a|b``), in TOML's quotes or brackets, or after a backslash belongs to it.

    Raises:
        UsageError: if a part is empty.
    """
    parts, depth, quote = [""], 0, ""
    characters = iter(enumerate(text))
    for place, character in characters:
        begins = depth > 0 or parts[-1].rstrip()[-1:] in {":", "=", ","}
        if character == "\\":
            parts[-1] += character + next(characters, (0, ""))[1]
            continue
        if quote:
            quote = "" if character == quote else quote
        elif character in _QUOTES and begins:
            quote = character
        elif character in _OPEN and begins:
            depth += 1
        elif character in _CLOSED and depth:
            depth -= 1
        spaced = text[place - 1 : place].isspace() or text[place + 1 : place + 2].isspace()
        if character == "|" and not depth and not quote and (spaced or ":" not in parts[-1]):
            parts.append("")
        else:
            parts[-1] += character
    parts = [part.strip() for part in parts]
    if not all(parts):
        raise UsageError(f"{text!r}: expected NAME:key=value | NAME:key=value | …")
    return parts


def resolve_pipeline(text: str, registries: Registries) -> Chain:
    """Build the chain that one text names: filters, and at most one strategy, in any place.

    Filters act in the order written; without a strategy it is sampled with them. A name that both
    kinds have is a filter where another part is a strategy.

    Args:
        text: as ``" | ".join(chain.description)`` writes it, or shorter.
        registries: where plugins are looked up.

    Raises:
        PluginError: for unknown names, with the nearest one.
        ConfigError: for wrong options.
        UsageError: for two strategies, or an empty part.
    """
    parts = split_pipeline(text)
    strategy = _strategy(text, parts, registries)
    if strategy is None:
        return resolve(parts[0], parts[1:], registries)
    return resolve(parts[strategy], [*parts[:strategy], *parts[strategy + 1 :]], registries)


def _strategy(text: str, parts: Sequence[str], registries: Registries) -> int | None:
    """Which part is the strategy; None if all are filters.

    Raises:
        PluginError: if a name is neither a strategy's nor a filter's.
        UsageError: if it is more than one.
    """
    names = [parse_spec(part).name.replace("_", "-") for part in parts]
    strategies, filters = set(registries.strategies.names()), set(registries.filters.names())
    for name in names:
        if name not in strategies | filters:
            hint = nearest(name, strategies | filters)
            raise PluginError(f"There is no strategy or filter {name!r}.{hint}")
    places = [place for place, name in enumerate(names) if name in strategies]
    certain = [place for place in places if names[place] not in filters]
    found = certain or places[-1:]
    if len(found) > 1:
        told = " and ".join(parts[place] for place in found)
        raise UsageError(f"{text!r}: {told} are two strategies; one is allowed, beside filters.")
    return found[0] if found else None
