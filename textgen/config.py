"""Configuration: dataclasses, TOML files, and ``a.b=c`` settings, every error at once.

A configuration is a frozen dataclass. A field's type, range and help stand together:

    hidden: Annotated[int, Gt(0), "units of each layer"] = 256

The same machinery reads recipes, ``--set`` and a plugin's options.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

from textgen.errors import ConfigError, TextgenError, nearest

T = TypeVar("T")
Settings: TypeAlias = Iterable[str] | Mapping[str, Any]
"""Changes of a configuration: ``["a.b=1"]`` or ``{"a.b": 1}``."""

_PYDANTIC = {
    "extra": "forbid",
    "coerce_numbers_to_str": True,  # --set name=1984 means the text
    "allow_inf_nan": False,  # JSON has no such numbers
}
_UNKNOWN_FIELD = {"extra_forbidden", "unexpected_keyword_argument"}


class Names(ABC):
    """Annotates a field whose value is one of some names that are looked up when it is checked."""

    @abstractmethod
    def names(self) -> list[str]:
        """Those that are allowed."""

    @abstractmethod
    def check(self, value: str) -> None:
        """Look a value up.

        Raises:
            TextgenError: if there is no such name; says what is allowed.
        """

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """The validator's schema: a string that is looked up."""
        from pydantic_core import PydanticCustomError, core_schema

        def checked(value: str) -> str:
            try:
                self.check(value)
            except TextgenError as error:
                problem = {"problem": str(error)}
                raise PydanticCustomError("unknown_name", "{problem}", problem) from None
            return value

        return core_schema.no_info_after_validator_function(checked, handler(source))


class Option(NamedTuple):
    """One field as people read it."""

    path: str
    type: str
    default: str
    help: str


def structure(cls: type[T], data: Mapping[str, Any], *, where: str = "") -> T:
    """Build a configuration dataclass from plain data, converting strings where they fit.

    Args:
        cls: a dataclass; nested dataclasses are nested mappings.
        data: plain values, as TOML, JSON or ``--set`` give them.
        where: what the data came from, for the message ("recipe char-small").

    Raises:
        ConfigError: with one sentence for every wrong value, each naming its path.
    """
    import pydantic

    adapter = _adapter(cls)
    prefix = f"{where}: " if where else ""
    problems = _truths_for_numbers(cls, data)
    try:
        made = typing.cast("T", adapter.validate_python(_with_named_none(cls, data)))
    except pydantic.ValidationError as error:
        problems += [_sentence(cls, dict(item)) for item in error.errors()]
    if problems:
        raise ConfigError([prefix + each for each in problems])
    return made


def _truths_for_numbers(cls: type[Any], data: Mapping[str, Any], path: str = "") -> list[str]:
    """A sentence for each truth value where a number is needed: pydantic takes them as 1 and 0."""
    hints = typing.get_type_hints(cls)
    problems: list[str] = []
    for name, value in data.items():
        hint = hints.get(name)
        kinds = {hint, *typing.get_args(hint)}
        if isinstance(value, Mapping) and isinstance(hint, type) and dataclasses.is_dataclass(hint):
            problems += _truths_for_numbers(hint, value, f"{path}{name}.")
        elif isinstance(value, bool) and kinds & {int, float} and bool not in kinds:
            problems.append(f"{path}{name}: a number is needed, got {str(value).lower()}.")
    return problems


def _with_named_none(cls: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The data, None made the word where "none" is one of a field's words and None is not."""
    hints = typing.get_type_hints(cls)
    made = dict(data)
    for name, value in data.items():
        hint = hints.get(name)
        if isinstance(value, Mapping) and isinstance(hint, type) and dataclasses.is_dataclass(hint):
            made[name] = _with_named_none(hint, value)
        elif value is None and typing.get_origin(hint) is Literal:
            made[name] = "none" if "none" in typing.get_args(hint) else None
    return made


def _adapter(cls: type[Any]) -> Any:
    """A validator of the dataclass that refuses unknown fields at every level."""
    import pydantic

    for each in _nested(cls):
        if "__pydantic_config__" not in vars(each):
            each.__pydantic_config__ = _PYDANTIC
    return pydantic.TypeAdapter(cls)


def _nested(cls: type[Any]) -> list[type[Any]]:
    """The dataclass and all dataclasses among its fields."""
    found = [cls]
    for hint in typing.get_type_hints(cls).values():
        for part in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(part) and isinstance(part, type) and part not in found:
                found.extend(_nested(part))
    return found


def _sentence(cls: type[Any], item: dict[str, Any]) -> str:
    """One validation error as a sentence with its path and what would have been right."""
    path = ".".join(str(part) for part in item["loc"])
    if item["type"] in _UNKNOWN_FIELD:
        parent, _, name = path.rpartition(".")
        owner = _descend(cls, parent)
        allowed = [f.name for f in dataclasses.fields(owner) if f.init] if owner else []
        return f"{path}: there is no such option.{nearest(name, allowed)}"
    if item["type"] in {"missing", "missing_argument"}:
        return f"{path}: a value is needed."
    if item["type"] == "tuple_type":
        return f"{path}: a list in brackets is needed, got {item['input']!r}."
    if item["input"] == "random" and path.rpartition(".")[2] == "seed":
        return (
            f"{path}: a whole number is needed, got 'random'. The option --seed random draws one."
        )
    message = str(item["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if item["type"] == "unknown_name":
        return f"{path}: {message}"
    return f"{path}: {message}, got {item['input']!r}." if path else f"{message}."


def _descend(cls: type[Any], path: str) -> type[Any] | None:
    """The dataclass at a dotted path, or None."""
    for name in filter(None, path.split(".")):
        hint = typing.get_type_hints(cls).get(name)
        if not (isinstance(hint, type) and dataclasses.is_dataclass(hint)):
            return None
        cls = hint
    return cls


def as_dict(config: Any) -> dict[str, Any]:
    """A configuration as nested plain data, ready for JSON."""
    return dataclasses.asdict(config)


def parse_settings(settings: Settings) -> dict[str, Any]:
    """Turn ``["model.hidden=512", "model.cell=gru"]`` into nested data.

    Values are read as TOML where they are TOML, else as strings; ``none`` is None. Those of a
    mapping, ``{"model.hidden": 512}``, are taken as they are.

    Raises:
        ConfigError: for settings without ``=`` or with an empty name.
    """
    data: dict[str, Any] = {}
    problems = []
    for setting, path, value in _assignments(settings):
        names = path.strip().split(".")
        if not all(names):
            problems.append(f"{setting!r}: expected key=value, as in model.hidden=512.")
            continue
        inner = data
        for name in names[:-1]:
            inner = inner.setdefault(name, {})
            if not isinstance(inner, dict):
                problems.append(f"{setting!r}: {name} was given a value and options of its own.")
                break
        else:
            name = names[-1]
            if name in inner and isinstance(inner[name], dict) != isinstance(value, dict):
                problems.append(f"{setting!r}: {name} was given a value and options of its own.")
            inner[name] = value
    if problems:
        raise ConfigError(problems)
    return data


def _assignments(settings: Settings) -> Iterator[tuple[str, str, Any]]:
    """Each setting as it was given, its path and its value; an empty path where there is none."""
    if isinstance(settings, Mapping):
        for path, value in settings.items():
            yield f"{path}={value}", path, value
        return
    for setting in [settings] if isinstance(settings, str) else settings:
        path, equals, text = setting.partition("=")
        yield setting, path if equals else "", parse_value(text.strip())


def parse_value(text: str) -> Any:
    """One value of the command line: TOML if it is, None for ``none``, else the string.

    TOML's dates, times and comments are strings here.
    """
    if text.lower() == "none":
        return None
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    value = parsed.pop("value")
    number = isinstance(value, int | float) and "#" not in text
    return value if not parsed and (number or isinstance(value, str | list | dict)) else text


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Nested data laid over each other, the later ones on top."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            below = merged.get(name)
            if isinstance(value, Mapping) and isinstance(below, Mapping):
                merged[name] = merge(below, value)
            else:
                merged[name] = dict(value) if isinstance(value, Mapping) else value
    return merged


def flattened(data: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Nested data by dotted names."""
    flat: dict[str, Any] = {}
    for key, value in data.items():
        name = f"{path}.{key}" if path else key
        flat |= flattened(value, name) if isinstance(value, Mapping) else {name: value}
    return flat


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as nested data.

    Raises:
        ConfigError: if it cannot be read or is no TOML; says where.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}."]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: is not UTF-8 text."]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: is not valid TOML: {error}."]) from None


def describe(cls: type[Any], path: str = "") -> list[Option]:
    """The options of a configuration dataclass, nested ones by dotted path."""
    options: list[Option] = []
    hints = typing.get_type_hints(cls, include_extras=True)
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        hint, metadata = _unwrap(hints[field.name])
        dotted = f"{path}.{field.name}" if path else field.name
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            options.extend(describe(hint, dotted))
            continue
        text = next((part for part in metadata if isinstance(part, str)), "")
        options.append(Option(dotted, _type_name(hint, metadata), _default(field), text))
    return options


def _unwrap(hint: Any) -> tuple[Any, Sequence[Any]]:
    if typing.get_origin(hint) is typing.Annotated:
        inner, *metadata = typing.get_args(hint)
        return inner, metadata
    return hint, ()


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return repr(field.default_factory())
    if field.default is dataclasses.MISSING:
        return "(needed)"
    return "none" if field.default is None else str(field.default)


_BOUNDS = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))


def _type_name(hint: Any, metadata: Sequence[Any]) -> str:
    """A type with its range: ``int ≥ 1``, ``dot|general``."""
    origin = typing.get_origin(hint)
    for part in metadata:
        if isinstance(part, Names):
            return "|".join(part.names())
    if origin is Literal:
        return "|".join(str(value) for value in typing.get_args(hint))
    if origin in {typing.Union, types.UnionType}:
        parts = [_type_name(*_unwrap(part)) for part in typing.get_args(hint)]
        return "|".join(parts) + _range(metadata)
    if origin is tuple:
        return f"list of {_type_name(*_unwrap(typing.get_args(hint)[0]))}"
    name = "none" if hint is type(None) else getattr(hint, "__name__", str(hint))
    if origin is not None:
        name = str(hint).replace("typing.", "")
    return name + _range(metadata)


def _range(metadata: Sequence[Any]) -> str:
    bounds = [
        f"{sign} {getattr(part, attribute)}"
        for part in metadata
        for attribute, sign in _BOUNDS
        if getattr(part, attribute, None) is not None
    ]
    return f" {', '.join(bounds)}" if bounds else ""
