"""Dropout of the kinds that recurrent models need."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LEVELS = 1 << 16
_LOTS = 4  # 16-bit lots in one random number of 64 bits


def dropout(values: Tensor, share: float) -> Tensor:
    """Values set to 0 with a probability, the others divided by the probability of staying.

    On a CPU torch draws one random number of 64 bits for each value, here it is one for four: half
    the time. The share is then a multiple of 2⁻¹⁶, and the expectation still exact.

    Args:
        values: of any shape and float type.
        share: probability of 0, in [0, 1).
    """
    dropped = round(share * _LEVELS)
    if not values.is_cpu or dropped in {0, _LEVELS}:
        return F.dropout(values, share)
    count = values.numel()
    numbers = torch.empty(-(-count // _LOTS), dtype=torch.int64).random_(-(1 << 63), None)
    lots = numbers.view(torch.int16)[:count].view(values.shape)  # −2¹⁵ … 2¹⁵ − 1
    kept = (lots >= dropped - _LEVELS // 2).to(values.dtype)
    return values * kept.mul_(_LEVELS / (_LEVELS - dropped))


class SequenceDropout(nn.Module):
    """Dropout of (N, T, F) values, for each step alone or one mask for the whole sequence.

    Args:
        share: probability of dropping a value, in [0, 1).
        variational: draw one (N, 1, F) mask for all T steps (Gal & Ghahramani 2016).
    """

    def __init__(self, share: float, *, variational: bool) -> None:
        super().__init__()
        self.share = share
        self.variational = variational

    def forward(self, values: Tensor) -> Tensor:
        """Values scaled by 1 / (1 − share) where kept; unchanged in evaluation."""
        if not self.training or self.share == 0:
            return values
        if not self.variational:
            return dropout(values, self.share)
        mask = dropout(values.new_ones(values.shape[0], 1, values.shape[2]), self.share)
        return values * mask

    def extra_repr(self) -> str:
        """Options, for ``print(model)``."""
        return f"{self.share}, variational={self.variational}"


class VectorProjection(nn.Linear):
    """Given vectors (B, S, D) to the width of token vectors; some are dropped in training.

    Args:
        size: D.
        width: E.
        word_share: probability that the vector at a position is dropped.
    """

    def __init__(self, size: int, width: int, word_share: float = 0.0) -> None:
        super().__init__(size, width)
        self.word_share = word_share

    def forward(self, vectors: Tensor) -> Tensor:
        """(B, S, D) to (B, S, E)."""
        projected = F.linear(vectors.to(self.weight.dtype), self.weight, self.bias)
        if self.training and self.word_share > 0:
            ones = projected.new_ones(*vectors.shape[:2], 1)
            projected = projected * dropout(ones, self.word_share)
        return projected


class TokenEmbedding(nn.Embedding):
    """Token vectors, some of which are dropped in training.

    Args:
        size: V.
        width: E.
        share: probability that a token is dropped wherever it stands in one call (Gal &
            Ghahramani 2016).
        word_share: probability that the token at a position is dropped, its like elsewhere kept
            (Sennrich et al. 2016).
    """

    def __init__(self, size: int, width: int, share: float = 0.0, word_share: float = 0.0) -> None:
        super().__init__(size, width)
        self.share = share
        self.word_share = word_share
        nn.init.uniform_(self.weight, -0.1, 0.1)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, T) int64 to (N, T, E); what is kept is scaled by 1 / (1 − share)."""
        vectors = F.embedding(tokens, self.weight)
        if self.training and self.share > 0:
            kept = dropout(self.weight.new_ones(self.weight.shape[0], 1), self.share)
            vectors = vectors * F.embedding(tokens, kept)
        if self.training and self.word_share > 0:
            vectors = vectors * dropout(vectors.new_ones(*tokens.shape, 1), self.word_share)
        return vectors
