"""Vectors in the place of tokens, standardised with the training data's mean and deviation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from textgen.data.tokenizers.base import BOS, EOS, PAD, TextTokenizer
from textgen.data.vectors import Vectors, mean_and_scale, vectors_from_text
from textgen.errors import DataError
from textgen.protocols import SpecialTokens


class VectorTokenizer(TextTokenizer):
    """Reads vectors (``textgen.data.vectors``); its "tokens" are rows (D,) of float32.

    Args:
        mean: (D,) of the training vectors.
        scale: (D,) their standard deviations.
    """

    kind = "vectors"

    def __init__(self, mean: Vectors, scale: Vectors) -> None:
        super().__init__("none")
        self.mean, self.scale = mean, scale

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """What ``to_data`` gave.

        Raises:
            ValueError: if it is something else.
        """
        mean, scale = (np.array(data[name], dtype=np.float32) for name in ("mean", "scale"))
        if mean.ndim != 1 or mean.shape != scale.shape or not len(mean):
            raise ValueError("mean and scale are no two lists of numbers")
        return cls(mean, scale)

    @property
    @override
    def size(self) -> int:
        return len(self.mean)

    @property
    @override
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    @property
    @override
    def special(self) -> SpecialTokens:
        return SpecialTokens(PAD, BOS, EOS, None)

    @override
    def encode_array(self, text: str) -> NDArray[Any]:
        values = vectors_from_text(text)
        if values.shape[1] != self.size:
            raise DataError(
                f"The vectors have {values.shape[1]} numbers, but the model reads {self.size}."
            )
        standardised: Vectors = (values - self.mean) / self.scale
        return standardised

    @override
    def surface(self, token: int, previous: int | None) -> bytes:
        raise DataError("Vectors have no text.")

    @override
    def piece(self, token: int) -> str:
        return "▯"

    @override
    def to_data(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "normalisation": self.normalisation,
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
        }


def train_vectors(texts: Iterable[str]) -> VectorTokenizer:
    """The width, mean and deviation of training vectors.

    Raises:
        DataError: if there is none, or widths differ.
    """
    return VectorTokenizer(*mean_and_scale([text for text in texts if text.strip()]))
