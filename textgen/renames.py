"""Configuration keys that have another name now: the old ones are read for ever."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RENAMED = {
    "training.clip": "training.max_grad_norm",
    "training.average": "training.ema_decay",
    "training.average_last": "training.average_checkpoints",
    "training.window": "training.bptt_length",
    "training.reset": "training.reset_probability",
    "judge": "validation",
}
"""Old to new dotted names."""


def renamed(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Nested data with the names of now.

    Args:
        data: of a recipe or a configuration; is not changed.

    Returns:
        The data, and a sentence for each old name. Where both names are given, both stay, and the
        old one is refused as any unknown one.
    """
    result = {
        name: dict(value) if isinstance(value, Mapping) else value for name, value in data.items()
    }
    notes = []
    for old, new in RENAMED.items():
        section, dot, key = old.partition(".")
        table = result.get(section) if dot else result
        name, target = (key, new.partition(".")[2]) if dot else (old, new)
        if isinstance(table, dict) and name in table and target not in table:
            table[target] = table.pop(name)
            notes.append(f"{old} is named {new} now.")
    return result, notes
