"""Settings of which a comparison tries several values, and all combinations of them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from textgen.config import Settings, flattened, parse_settings, parse_value
from textgen.errors import ConfigError
from textgen.renames import renamed

SEED = "training.seed"
_EXAMPLE = "model.cell=rnn,lstm,gru"
_OPTION = re.compile(r"\s*[A-Za-z_][\w-]*\s*=")
_SAFE = "=,+@ "  # in names of folders, on every system


@dataclass(frozen=True)
class Combination:
    """One value of each varied key.

    Attributes:
        name: for tables and legends: the value, with several keys ``cell=lstm hidden=64``.
        folder: name of its folder, different for different combinations.
        settings: the values by key.
    """

    name: str
    folder: str
    settings: Mapping[str, Any]


def parse_vary(texts: Iterable[str]) -> dict[str, list[Any]]:
    """Take ``["model.cell=rnn,lstm", "model.hidden=64,128"]`` apart.

    Commas inside quotes or brackets divide nothing. ``key=value`` after a value with options
    (``model.cell=lstm,dnc:slots=16,width=16``) is an option of that value.

    Returns:
        The values by key, each read as ``--set`` reads it.

    Raises:
        ConfigError: for a key without values, or one that is given twice.
    """
    vary: dict[str, list[Any]] = {}
    problems = []
    for text in texts:
        key, _, values = text.partition("=")
        key = key.strip()
        entries = _entries(values)
        if not key or not all(entry.strip() for entry in entries):
            problems.append(f"{text!r}: expected key=value,value, as in {_EXAMPLE}.")
        elif key in vary:
            problems.append(f"{key}: is varied twice; give all its values at once.")
        else:
            problems += [
                f"{text!r}: {entry.strip()!r} is no value of {key}. Another key is varied by "
                "itself; options follow a name and a colon, as in dnc:slots=16."
                for entry in entries
                if ":" not in entry and _OPTION.match(entry)
            ]
            vary[key] = [parse_value(entry.strip()) for entry in entries]
    if problems:
        raise ConfigError([f"vary: {problem}" for problem in problems])
    return vary


def _entries(text: str) -> list[str]:
    """The values between commas; options stay with the name that they follow."""
    entries: list[str] = []
    for part in _split(text):
        if entries and ":" in entries[-1] and _OPTION.match(part):
            entries[-1] += f",{part}"
        else:
            entries.append(part)
    return entries


def _split(text: str) -> list[str]:
    """Split at commas outside quotes and brackets."""
    parts, depth, mark = [""], 0, ""
    for character in text:
        if mark:
            mark = "" if character == mark else mark
        elif character in "\"'":
            mark = character
        else:
            depth += (character in "[{") - (character in "]}")
        if character == "," and depth <= 0 and not mark:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def canonical(settings: Settings) -> dict[str, Any]:
    """Settings by dotted key, old names replaced by those of now."""
    return flattened(renamed(parse_settings(settings))[0])


def check_vary(
    vary: Mapping[str, Sequence[Any]], settings: Mapping[str, Any]
) -> dict[str, list[Any]]:
    """Varied values by their keys of now.

    Args:
        vary: values by key.
        settings: that all models share, by ``canonical``.

    Raises:
        ConfigError: if nothing is varied, a key has no values or the same one twice, is the seed,
            or is among the settings too.
    """
    if not vary:
        raise ConfigError([f"vary: nothing is varied; name a key and its values: {_EXAMPLE}."])
    checked: dict[str, list[Any]] = {}
    problems = []
    for given, values in vary.items():
        key = next(iter(canonical({given: "value"})))
        checked[key] = list(values)
        texts = [_text(parse_value(_text(value).lower())) for value in checked[key]]
        repeated = sorted({text for text in texts if texts.count(text) > 1})
        if not texts:
            problems.append(f"{key}: has no values; as in {_EXAMPLE}.")
        if repeated:
            problems.append(f"{key}: {', '.join(repeated)} is given twice.")
        if key == SEED:
            problems.append(f"{key}: give the number of seeds instead; each is {key} plus 0, 1, …")
        problems += [
            f"{key}: is varied, and {other} is set for all; give one of them."
            for other in settings
            if f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")
        ]
    if problems:
        raise ConfigError([f"vary: {problem}" for problem in problems])
    return checked


def combinations(vary: Mapping[str, Sequence[Any]]) -> list[Combination]:
    """All combinations, the last key's values next to each other.

    Args:
        vary: of ``check_vary``.
    """
    short = _short_names(list(vary))
    found = []
    for values in itertools.product(*vary.values()):
        settings = dict(zip(vary, values, strict=True))
        parts = [f"{short[key]}={_text(value)}" for key, value in settings.items()]
        folder = quote(",".join(parts), safe=_SAFE)
        name = _text(values[0]) if len(values) == 1 else " ".join(parts)
        found.append(Combination(name, folder, settings))
    return found


def _short_names(keys: Sequence[str]) -> dict[str, str]:
    """The last part of each key, where no other key ends with it."""
    ends = [key.rpartition(".")[2] for key in keys]
    return {key: end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)}


def _text(value: Any) -> str:
    """A value as the command line writes it."""
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
