"""The adaptive softmax for large vocabularies.

Grave, Joulin, Cissé, Grangier and Jégou 2017, "Efficient softmax approximation for GPUs". Tokens
are ranked by frequency. With cutoffs c_1 < … < c_n, c_{n+1} = V, and features h (H,):

    p(r | h) = head(h)_r                               for ranks r < c_1
    p(r | h) = head(h)_{c_1 + i − 1} · tail_i(h)_{r − c_i}    for c_i ≤ r < c_{i+1}
    head(h)   = softmax(W h + b), c_1 + n entries: the frequent tokens, and each cluster as a whole
    tail_i(h) = softmax(U_i P_i h), P_i being (H / s^i, H): rare tokens have narrow vectors

A target costs the head and, if it is rare, one tail: most of the weights are seldom touched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from textgen.models.products import Precision, PrepackedOutput
from textgen.protocols import Choice

LOGITS_AT_ONCE = 1 << 24
"""Most logits of one tail that exist at once where no gradient is wanted."""


ROWS = 64
"""A tail reads multiples of so many rows: oneDNN compiles, and keeps, a product for each number."""


class AdaptiveSoftmax(nn.Module):
    """A head for frequent tokens, and a tail for each cluster of rare ones.

    Fulfils ``textgen.protocols.FactoredOutput``.

    Args:
        features: H.
        vocabulary_size: V.
        cutoffs: ranks at which the clusters begin: increasing, in [1, V).
        shrink: s, the factor by which each tail's vectors are narrower.
    """

    ranks: Tensor
    _packed: list[PrepackedOutput] | None = None

    def __init__(
        self, features: int, vocabulary_size: int, cutoffs: Sequence[int], shrink: int
    ) -> None:
        super().__init__()
        self.common = cutoffs[0]
        self.clusters = list(zip(cutoffs, [*cutoffs[1:], vocabulary_size], strict=True))
        self.head = nn.Linear(features, self.common + len(self.clusters))
        self.tails = nn.ModuleList(
            _tail(features, max(1, features // shrink**index), stop - start)
            for index, (start, stop) in enumerate(self.clusters, 1)
        )
        self.register_buffer("ranks", torch.arange(vocabulary_size))
        nn.init.uniform_(self.head.weight, -0.1, 0.1)
        with torch.no_grad():  # a fresh model then spreads its probability evenly over all tokens
            sizes = [math.log(stop - start) for start, stop in self.clusters]
            self.head.bias.copy_(torch.tensor([0.0] * self.common + sizes))

    def prepack(self, precision: Precision | None) -> None:
        """Prepack the weights for single steps; None takes it back."""
        self._packed = None
        if precision is not None:
            pairs = [(None, self.head), *(_layers(tail) for tail in self.tails)]
            self._packed = [
                PrepackedOutput(narrow, wide.weight, wide.bias, precision) for narrow, wide in pairs
            ]

    def order_by(self, counts: Tensor) -> None:
        """Rank the tokens by how often they occur.

        Args:
            counts: (V,) of each token; the lower number comes first among equals.
        """
        order = torch.argsort(counts, descending=True, stable=True)
        self.ranks[order] = torch.arange(len(order), device=order.device).to(self.ranks.device)

    def choices(self, features: Tensor, targets: Tensor) -> Iterator[Choice]:
        """The softmaxes whose product is the probability of each target.

        Args:
            features: (N, H).
            targets: (N,) int64 tokens.

        Yields:
            The head's choice for all rows; then each tail's for the rows that need it, which may
            be none: a step's gradient has all parameters, whatever its targets.
        """
        ranks = self.ranks.index_select(0, targets)
        entries, rare = ranks, []
        for index, (start, stop) in enumerate(self.clusters):
            inside = (ranks >= start) & (ranks < stop)
            entries = torch.where(inside, self.common + index, entries)
            rare.append(inside)
        everywhere = torch.arange(len(targets), device=targets.device)
        yield Choice(everywhere, self.head(features), entries)
        for (start, _), tail, inside in zip(self.clusters, self.tails, rare, strict=True):
            rows = inside.nonzero().squeeze(1)
            filled = F.pad(rows, (0, -len(rows) % ROWS))  # up with the first row
            logits = tail(features.index_select(0, filled))[: len(rows)]
            yield Choice(rows, logits, ranks.index_select(0, rows) - start)

    def token_log_probs(self, features: Tensor, targets: Tensor) -> Tensor:
        """Log-probabilities (N,) of targets (N,), float32 or wider, nats; features (N, H).

        Only what the targets need is computed, a part of the rows at a time.
        """
        widest = max(self.head.out_features, *(stop - start for start, stop in self.clusters))
        rows = max(1, LOGITS_AT_ONCE // widest)
        pairs = zip(torch.split(features, rows), torch.split(targets, rows), strict=True)
        return torch.cat([self._token_log_probs(*pair) for pair in pairs])

    def _token_log_probs(self, features: Tensor, targets: Tensor) -> Tensor:
        wide = torch.promote_types(features.dtype, torch.float32)
        total = torch.zeros_like(targets, dtype=wide)
        for rows, logits, wanted in self.choices(features, targets):
            values = _log_softmax(logits).gather(1, wanted.unsqueeze(1)).squeeze(1)
            total = total.index_add(0, rows, values)
        return total

    def forward(self, features: Tensor) -> Tensor:
        """All log-probabilities (…, V), float32 or wider, of features (…, H)."""
        layers: Sequence[Callable[[Tensor], Tensor]] = self._packed or [self.head, *self.tails]
        head = _log_softmax(layers[0](features))
        parts = [head[..., : self.common]]
        for index, tail in enumerate(layers[1:], self.common):
            parts.append(_log_softmax(tail(features)) + head[..., index : index + 1])
        return torch.cat(parts, dim=-1).index_select(-1, self.ranks)


def _tail(features: int, width: int, size: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, width, bias=False), nn.Linear(width, size, bias=False))


def _layers(tail: nn.Module) -> tuple[nn.Linear, nn.Linear]:
    """Both layers of a tail."""
    narrow, wide = tail.children()
    return cast("nn.Linear", narrow), cast("nn.Linear", wide)


def _log_softmax(logits: Tensor) -> Tensor:
    wide = torch.promote_types(logits.dtype, torch.float32)
    return torch.log_softmax(logits, dim=-1, dtype=wide)
