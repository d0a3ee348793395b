"""A closed set of labels as a vocabulary: number c is the label c."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from textgen.data.tokenizers.base import TextTokenizer, Tokens, visible
from textgen.errors import DataError, nearest

SEPARATOR = "|"
"""Between several labels of a text."""


class LabelTokenizer(TextTokenizer):
    """One number for each label; there are no special tokens among them.

    Args:
        labels: all of them; the first is number 0.
    """

    kind = "labels"

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__("none")
        self.labels = tuple(labels)
        self._numbers = {label: number for number, label in enumerate(self.labels)}

    @property
    @override
    def size(self) -> int:
        return len(self.labels)

    def number(self, label: str) -> int:
        """The number of a label.

        Raises:
            DataError: if it is none of the training's.
        """
        found = self._numbers.get(label)
        if found is None:
            raise DataError(
                f"The label {label!r} does not occur in the training data."
                f"{nearest(label, self.labels)}"
            )
        return found

    @override
    def encode_array(self, text: str) -> Tokens:
        return np.array([self.number(text)], dtype=np.int32)

    @override
    def surface(self, token: int, previous: int | None) -> bytes:
        self._check(token)
        return self.labels[token].encode()

    @override
    def piece(self, token: int) -> str:
        self._check(token)
        return visible(self.labels[token])

    @override
    def to_data(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "normalisation": self.normalisation,
            "labels": list(self.labels),
        }


def collect_labels(given: Iterable[str]) -> LabelTokenizer:
    """The labels that occur, in the order of the alphabet.

    Raises:
        DataError: if there are fewer than two.
    """
    labels = sorted(set(given))
    if len(labels) < 2:
        found = f"only {labels[0]!r} occurs" if labels else "there is none"
        raise DataError(f"At least two labels are needed, but {found}.")
    return LabelTokenizer(labels)
