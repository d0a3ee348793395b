"""Names to plugins: entry points and dropped files, found without importing them.

An installed package offers plugins as entry points of the groups ``textgen.strategies`` and
``textgen.filters``. A dropped file ``my_filter.py`` offers the plugin ``my-filter``; the name
``strategy`` or ``filter`` at its top level is the factory. Files are looked for in the
``plugins/`` folder of a checkout, in the folders of ``TEXTGEN_PLUGINS`` and in those given by
hand, never in the current directory by itself. A plugin is loaded when it is asked for, so a
broken one harms only the command that asked.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib.metadata
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar, cast

from textgen.config import parse_value, structure
from textgen.errors import ConfigError, PluginError, TextgenError, nearest

T = TypeVar("T")

FOLDERS_VARIABLE = "TEXTGEN_PLUGINS"


@dataclass(frozen=True)
class Entry:
    """Where a plugin comes from, known without importing it.

    Attributes:
        name: by which it is asked for.
        origin: package and version, or the file, for people.
        target: ``module:attribute``, or the attribute of the file.
        path: the dropped file, or None for an entry point.
    """

    name: str
    origin: str
    target: str
    path: Path | None = None


@dataclass(frozen=True)
class Spec:
    """``name:key=value,key=value`` taken apart; values without a key are in ``positional``."""

    name: str
    options: dict[str, Any]
    positional: tuple[Any, ...] = ()

    def __str__(self) -> str:
        values = [str(value) for value in self.positional]
        values += [f"{key}={value}" for key, value in self.options.items()]
        return f"{self.name}:{','.join(values)}" if values else self.name


def parse_spec(text: str) -> Spec:
    """Take ``beam:width=5`` or ``temperature:0.8`` apart.

    A backslash before a comma keeps it in the value; so does a value in TOML's quotes or brackets.
    So it does with a backslash or, outside quotes, a quote; before anything else it stays.

    Raises:
        PluginError: for an empty name or an option given twice.
    """
    name, _, rest = text.partition(":")
    name = name.strip()
    if not name:
        raise PluginError(f"{text!r}: expected NAME or NAME:key=value,key=value.")
    options: dict[str, Any] = {}
    positional: list[Any] = []
    for part in _split_commas(rest):
        key, equals, value = part.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key.isidentifier():
            positional.append(parse_value(part.strip()))
        elif key in options:
            raise PluginError(f"{text!r}: {key} is given twice.")
        else:
            options[key] = parse_value(value.strip())
    return Spec(name, options, tuple(positional))


def _split_commas(text: str) -> list[str]:
    """Split at commas outside TOML's quotes and brackets; see ``parse_spec`` for backslashes.

    A quote or bracket opens something only where a value begins: ``don't`` holds no string.
    """
    parts, depth, quote = [""], 0, ""
    characters = iter(text)
    for character in characters:
        begins = depth > 0 or parts[-1].rstrip().endswith("=") or not parts[-1].strip()
        if character == "\\":
            following = next(characters, "\\")
            bare = following in ",\\" or (following in "\"'" and not quote)
            parts[-1] += following if bare else character + following
            continue
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'" and begins:
            quote = character
        elif character in "[{" and begins:
            depth += 1
        elif character in "]}" and depth:
            depth -= 1
        if character == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return [part for part in parts if part.strip()]


def plugin_folders(extra: Iterable[Path] = ()) -> list[Path]:
    """The folders in which dropped files are looked for, in order."""
    checkout = Path(__file__).resolve().parent.parent
    folders = [checkout / "plugins"] if (checkout / "pyproject.toml").is_file() else []
    variable = os.environ.get(FOLDERS_VARIABLE, "")
    folders += [Path(part) for part in variable.split(os.pathsep) if part]
    folders += list(extra)
    return list(dict.fromkeys(folder.resolve() for folder in folders if folder.is_dir()))


class Registry(Generic[T]):
    """The plugins of one kind.

    Args:
        kind: what the factory makes, also the attribute of a dropped file: ``strategy``.
        group: the entry points' group.
        folders: further folders of dropped files, beside the standard ones.
        builtin: targets ``module:attribute`` of the package's own by name, which are found without
            reading the entry points and cannot be replaced.
    """

    def __init__(
        self,
        kind: str,
        group: str,
        folders: Sequence[Path] = (),
        builtin: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = kind
        self.group = group
        self.folders = tuple(folders)
        self.builtin = {
            name: Entry(name, "textgen", target) for name, target in (builtin or {}).items()
        }
        self._points: list[Entry] | None = None  # what is installed, once it was looked for

    def entries(self) -> list[Entry]:
        """All plugins of the kind by name, duplicates included, none imported."""
        if self._points is None:
            self._points = _installed(self.group)
        found = [*self.builtin.values(), *self._points]
        for folder in plugin_folders(self.folders):
            found += [
                Entry(path.stem.replace("_", "-"), str(path), self.kind, path)
                for path in sorted(folder.glob("*.py"))
                if self.kind in _top_level_names(path)
            ]
        return sorted(set(found), key=lambda entry: (entry.name, entry.origin))

    def names(self) -> list[str]:
        """The names that can be asked for."""
        return sorted({entry.name for entry in self.entries()})

    def entry(self, name: str) -> Entry:
        """The one plugin of that name.

        Raises:
            PluginError: if there is none (with the nearest name), or more than one (with origins).
        """
        wanted = name.replace("_", "-")
        if wanted in self.builtin:
            return self.builtin[wanted]
        entries = self.entries()
        found = [entry for entry in entries if entry.name.replace("_", "-") == wanted]
        if not found:
            hint = nearest(name, {entry.name for entry in entries})
            raise PluginError(f"There is no {self.kind} {name!r}.{hint}")
        if len(found) > 1:
            origins = " and ".join(entry.origin for entry in found)
            raise PluginError(f"The {self.kind} {name!r} is defined twice, by {origins}.")
        return found[0]

    def load(self, name: str) -> Any:
        """Import a plugin's factory.

        Raises:
            PluginError: if it is unknown or its import fails; says where it comes from and why.
        """
        entry = self.entry(name)
        try:
            if entry.path is not None:
                return getattr(_import_file(entry.path), self.kind)
            point = importlib.metadata.EntryPoint(entry.name, entry.target, self.group)
            return point.load()
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"The {self.kind} {name!r} of {entry.origin} cannot be loaded: "
                f"{type(error).__name__}: {error}\n{_own_traceback(error)}"
            ) from error

    def construct(self, spec: str, *arguments: Any, **options: Any) -> T:
        """Call the factory that a spec names, its options after what every factory is given.

        Raises:
            PluginError: if it is unknown or cannot be loaded.
            ConfigError: if it does not take the options.
        """
        asked = parse_spec(spec)
        entry, factory = self.entry(asked.name), self.load(asked.name)
        bound = functools.partial(factory, *arguments, **options)
        return cast("T", _call(bound, asked, f"{self.kind} {entry.name}", entry.origin))

    def build(self, spec: str | Spec) -> T:
        """Make a plugin from ``name:key=value``.

        Raises:
            PluginError: if it is unknown, cannot be loaded or cannot be made.
            ConfigError: if options are unknown or out of range, all of them at once.
        """
        spec = parse_spec(spec) if isinstance(spec, str) else spec
        entry, factory = self.entry(spec.name), self.load(spec.name)
        where = f"{self.kind} {entry.name}"
        if not callable(factory):
            raise PluginError(f"The {where} of {entry.origin} is no factory: it cannot be called.")
        try:
            if isinstance(factory, type) and dataclasses.is_dataclass(factory):
                named = _named(factory, spec, where)
                made = structure(factory, named, where=where)
                _require_numbers({name: getattr(made, name) for name in named}, where)
            else:
                made = _call(factory, spec, where, entry.origin)
        except (TextgenError, OSError, MemoryError):
            raise
        except Exception as error:
            what = f"its factory raised {type(error).__name__}: {error}"
            raise PluginError(
                f"The {where} of {entry.origin} breaks its contract: {what}"
            ) from error
        if not callable(made):
            raise PluginError(
                f"The {where} of {entry.origin} breaks its contract: "
                "what it makes cannot be called."
            )
        return cast("T", made)


def _named(factory: type[Any], spec: Spec, where: str) -> dict[str, Any]:
    """Give values without a key the names of the fields in their order."""
    fields = [field.name for field in dataclasses.fields(factory) if field.init]
    if len(spec.positional) > len(fields):
        extra = spec.positional[len(fields)]
        allowed = nearest("", fields)
        hint = f" A value with a comma stands in quotes: {fields[0]}='…,…'." if fields else ""
        raise ConfigError([f"{where}: {extra!r} is one value too many.{allowed}{hint}"])
    named = dict(zip(fields, spec.positional, strict=False))
    twice = named.keys() & spec.options.keys()
    if twice:
        raise ConfigError([f"{where}: {name} is given twice." for name in sorted(twice)])
    return named | spec.options


_LARGEST = {float: 3.4e38, int: float((1 << 63) - 1)}
"""Of the numbers that a plugin computes with: float32, and int64."""


def _require_numbers(values: Mapping[str, Any], where: str) -> None:
    """The numbers among a plugin's options are to be such as it computes with.

    Raises:
        ConfigError: with all that are not.
    """
    problems = [
        f"{where}: {name}: {number:g} is out of range: at most {_LARGEST[type(number)]:g}."
        for name, value in values.items()
        for number in _numbers(value)
        if not abs(number) <= _LARGEST[type(number)]
    ]
    if problems:
        raise ConfigError(problems)


def _numbers(value: Any) -> Iterator[int | float]:
    """All numbers in a value."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _numbers(each)
    elif type(value) in _LARGEST:
        yield value


def _call(factory: Any, spec: Spec, where: str, origin: str) -> Any:
    """Make a plugin that is no dataclass."""
    try:
        return factory(*spec.positional, **spec.options)
    except (TypeError, ValueError) as error:
        raise ConfigError([f"{where} (of {origin}): {error}."]) from error


def _installed(group: str) -> list[Entry]:
    """The plugins of installed packages; reading all packages' metadata takes long."""
    points = importlib.metadata.entry_points(group=group)
    # a distribution's name and version take long to read: once for all of its plugins
    dists = {id(point.dist): point.dist for point in points}
    titles = {key: _title(dist) for key, dist in dists.items() if dist is not None}
    return [
        Entry(point.name, titles.get(id(point.dist), point.value), point.value) for point in points
    ]


def _title(dist: importlib.metadata.Distribution) -> str:
    return f"{dist.name} {dist.version}"


def _top_level_names(path: Path) -> set[str]:
    """The names that a file defines at its top level, read and not run."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        # a file that cannot be read may be either kind: the error comes when it is asked for
        return {"strategy", "filter"}
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(each.id for each in node.targets if isinstance(each, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
    return names


def _import_file(path: Path) -> ModuleType:
    """Run a dropped file as a module of its own."""
    name = f"textgen_plugin_{path.stem}_{abs(hash(path.resolve()))}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _own_traceback(error: BaseException) -> str:
    """The traceback's last lines, from the plugin's side."""
    return "".join(traceback.format_exception(error)[-4:]).rstrip()
