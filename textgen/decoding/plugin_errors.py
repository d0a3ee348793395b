"""Errors that name the plugin: what it is, which package and version or file it came from."""

from __future__ import annotations

import functools
import importlib.metadata
import sys
from collections.abc import Callable
from typing import Any

from textgen.errors import PluginError


def broken(plugin: Any, kind: str, what: str) -> PluginError:
    """An error that says which plugin broke its contract, and how.

    Args:
        plugin: a filter, a strategy or its pick.
        kind: "filter" or "strategy".
        what: the breach, as the end of a sentence: "returned NaN".
    """
    return PluginError(f"The {kind} {title(plugin)}, {origin(plugin)}, breaks its contract: {what}")


class BadPickError(PluginError):
    """A pick broke its contract.

    Attributes:
        what: how, for an error that names the strategy it belongs to.
    """

    def __init__(self, pick: Any, what: str) -> None:
        self.what = what
        super().__init__(str(broken(pick, "strategy", what)))


def title(plugin: Any) -> str:
    """The name by which a plugin is asked for, if it is known, and its function's or class's."""
    plugin = _bare(plugin)
    full = str(getattr(plugin, "__qualname__", type(plugin).__qualname__))
    own, outer = full.rpartition("<locals>.")[2], full.partition(".")[0]
    names = [
        point.name
        for point in _points()
        if point.module == _module(plugin) and point.attr.partition(".")[0] == outer
    ]
    return f"{names[0]!r} ({own})" if names else own


def origin(plugin: Any) -> str:
    """Package and version, or the file, in which a plugin is defined."""
    module = _module(_bare(plugin))
    points = [point for point in _points() if _package(point.module) == _package(module)]
    points.sort(key=lambda point: point.module != module)  # its own module before its package
    if points and points[0].dist is not None:
        return f"of {points[0].dist.name} {points[0].dist.version}"
    file = getattr(sys.modules.get(module), "__file__", None)
    return f"of {file or module}"


def _points() -> list[importlib.metadata.EntryPoint]:
    """The plugins of installed packages."""
    return [
        point
        for group in ("textgen.filters", "textgen.strategies")
        for point in importlib.metadata.entry_points(group=group)
        if point.dist is not None
    ]


def _module(plugin: Any) -> str:
    """The module in which a bare plugin is defined."""
    return str(getattr(plugin, "__module__", None) or type(plugin).__module__)


def _package(module: str) -> str:
    """The top-level package or module that a module belongs to."""
    return module.partition(".")[0]


def _bare(plugin: Any) -> Callable[..., Any]:
    """What is inside a partial or a bound method."""
    while isinstance(plugin, functools.partial):
        plugin = plugin.func
    return getattr(plugin, "__self__", plugin)  # type: ignore[no-any-return]
