"""Chains of many requests made ready for one model, each plugin once."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Hashable
from typing import Any

from textgen.decoding.chain import Chain, bound
from textgen.errors import UsageError
from textgen.protocols import Load, Tokenizer

_PLUGINS = 512
_MODELS = 4


class Binder:
    """Binds chains to a model's vocabulary and remembers what it has bound.

    Plugins with the same options become the same object, however many chains name them, so that
    chains can be compared by their plugins' identity.

    Args:
        tokenizer: of the model that decodes.
        load: the name of a model to the model, for plugins that ask for one; None gives none.
    """

    def __init__(self, tokenizer: Tokenizer, load: Load | None = None) -> None:
        self.tokenizer = tokenizer
        self.load = None if load is None else functools.lru_cache(_MODELS)(load)
        self._known: dict[Hashable, tuple[Any, Any]] = {}

    def __call__(self, chain: Chain) -> Chain:
        """The chain bound; see ``Chain.setup``.

        Raises:
            UsageError: if it is no chain, a text cannot be written with the vocabulary, or a model
                does not fit.
        """
        given: object = chain
        if not isinstance(given, Chain):
            raise UsageError(
                f"A chain is what textgen.resolve makes, not {type(given).__name__}: "
                "textgen.resolve('greedy', [], textgen.default_registries())."
            )
        return dataclasses.replace(
            chain,
            strategy=self._bound(chain.strategy),
            filters=tuple(self._bound(each) for each in chain.filters),
        )

    def _bound(self, plugin: Any) -> Any:
        """One plugin bound."""
        key = _key(plugin)
        if key not in self._known:
            if len(self._known) >= _PLUGINS:
                del self._known[next(iter(self._known))]
            # the plugin itself is kept too: as long as it lives no other has its id
            self._known[key] = (plugin, bound(plugin, self.tokenizer, self.load))
        return self._known[key][1]


def _key(plugin: Any) -> Hashable:
    """Type and options of a dataclass whose options are plain data; else the very object."""
    if not dataclasses.is_dataclass(plugin):
        return id(plugin)
    fields = [field for field in dataclasses.fields(plugin) if field.init]
    values = [getattr(plugin, field.name) for field in fields]
    return (type(plugin), repr(values)) if _plain(values) else id(plugin)


def _plain(value: Any) -> bool:
    """Whether a value is told apart from others by how it is written."""
    if isinstance(value, dict):
        return all(_plain(each) for pair in value.items() for each in pair)
    if isinstance(value, list | tuple):
        return all(map(_plain, value))
    return value is None or type(value) in {str, int, float, bool}
