"""The parts of a corpus."""

from __future__ import annotations

from typing import NamedTuple

from textgen.data.documents import TextSource


class Splits(NamedTuple):
    """What to train on, what to judge by while training, and what to test on at the end."""

    train: TextSource
    valid: TextSource | None
    test: TextSource | None
