"""Which tokens of a text decided its label: weights of the pooling, or the filters' maxima."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textgen.classification import labels_of
from textgen.data.labelled import encode_text
from textgen.data.words import pad_words
from textgen.errors import UsageError
from textgen.loading import LoadedModel
from textgen.models.convolution import ConvolutionEncoder
from textgen.models.encoder import RecurrentEncoder


@dataclass(frozen=True)
class Evidence:
    """What each token of a text contributed to a label.

    Attributes:
        label: the label.
        pieces: the tokens.
        weights: one for each token. Of attention pooling its share α_s of the summary, ≥ 0 with
            the sum 1. Of a convolution the part of the label's logit above the mean of all labels'
            that comes through windows with this token, Σ_f (W[label, f] − mean W[·, f]) · max_f /
            width, which may be negative.
    """

    label: str
    pieces: tuple[str, ...]
    weights: tuple[float, ...]

    def strongest(self, count: int) -> list[tuple[str, float]]:
        """The tokens of the largest weights, largest first."""
        pairs = zip(self.pieces, self.weights, strict=True)
        return sorted(pairs, key=lambda pair: -pair[1])[:count]


def evidence(loaded: LoadedModel, text: str, label: str) -> Evidence:
    """What the tokens of a text contributed to one of its labels.

    Args:
        loaded: a classifier with attention pooling, or a convolution with max-pooling over time.
        text: one text with at least one token.
        label: one of the model's.

    Raises:
        UsageError: if the model is another one.
        DataError: if there is no such label.
    """
    number = labels_of(loaded).number(label)
    tokenizer = loaded.vocabularies["text"]
    encoded = encode_text(tokenizer, loaded.vocabularies.get("characters"), text)
    row = encoded.cut(loaded.recipe.data.max_length)
    tokens, spellings, lengths = (part.to(loaded.device) for part in pad_words([row]))
    model: Any = loaded.model
    with torch.inference_mode():
        if isinstance(model.encoder, ConvolutionEncoder):
            vectors = model.vectors(tokens, spellings)
            rival = model.output.weight.mean(0)
            weight = model.output.weight[number] - rival
            weights = _of_filters(model.encoder, vectors, lengths, weight)
        elif isinstance(model.encoder, RecurrentEncoder) and hasattr(model.encoder, "pooling"):
            states = model.encode(tokens, lengths, spellings).states
            weights = model.encoder.pooling.weights(states, lengths)[0]
        else:
            raise UsageError(
                f"{loaded.name}: the words that decided can be shown of model.summary=attention "
                "and of a convolution with stride 1, no windows of pooling and pooling=max."
            )
    found: NDArray[np.float64] = weights.double().cpu().numpy()
    pieces = tuple(map(tokenizer.piece, row.tokens.tolist()))
    return Evidence(label, pieces, tuple(found[: len(pieces)].tolist()))


def _of_filters(
    encoder: ConvolutionEncoder, vectors: Tensor, lengths: Tensor, weight: Tensor
) -> Tensor:
    """(S,) contributions of vectors (1, S, I) to the logit with the weights (M,)."""
    if encoder.stride > 1 or encoder.pool > 1 or encoder.pooling != "max":
        raise UsageError(
            "The words that decided can be shown of a convolution with stride=1, pool=1 and "
            "pooling=max."
        )
    steps = vectors.shape[1]
    found = weight.new_zeros(steps)
    groups = encoder.groups(vectors, lengths)
    own: Sequence[Tensor] = (
        torch.split(weight, [values.shape[2] for values, _ in groups])
        if encoder.join == "concat"
        else [weight] * len(groups)
    )
    for width, (values, _), weights in zip(encoder.widths, groups, own, strict=True):
        largest, places = values[0].max(0)  # (F,) of (S', F)
        begin = places - ((width - 1) // 2 if encoder.padding == "same" else 0)
        for offset in range(width):
            at = begin + offset
            inside = (at >= 0) & (at < steps)
            parts = (weights * largest / width)[inside]
            found.index_add_(0, at[inside], parts)
    return found
