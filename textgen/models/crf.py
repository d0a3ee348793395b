"""A linear-chain conditional random field (Lafferty et al. 2001; Lample et al. 2016).

score(y) = start[y₁] + Σ_t U[t, y_t] + Σ_t A[y_{t−1}, y_t] + end[y_T], and p(y) = exp(score(y)) / Z.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Transitions(NamedTuple):
    """The scores of a chain besides those of the positions; −∞ forbids.

    Attributes:
        start: (L,) of the first tag.
        between: (L, L) from the tag of the row to that of the column.
        end: (L,) of the last tag.
    """

    start: Tensor
    between: Tensor
    end: Tensor


def sequence_score(unary: Tensor, tags: Tensor, lengths: Tensor, chain: Transitions) -> Tensor:
    """score(y) (B,) of tag sequences.

    Args:
        unary: U, (B, S, L).
        tags: (B, S) int64; what stands after a row's length does not matter.
        lengths: (B,) int64 ≥ 1.
        chain: of the L tags.
    """
    real = torch.arange(unary.shape[1], device=unary.device) < lengths.unsqueeze(1)  # (B, S)
    own = unary.gather(2, tags.unsqueeze(2)).squeeze(2)
    score = own.masked_fill(~real, 0).sum(1) + chain.start[tags[:, 0]]
    moves = chain.between[tags[:, :-1], tags[:, 1:]].masked_fill(~real[:, 1:], 0)
    last = tags.gather(1, (lengths - 1).unsqueeze(1)).squeeze(1)
    total: Tensor = score + moves.sum(1) + chain.end[last]
    return total


def log_partition(unary: Tensor, lengths: Tensor, chain: Transitions) -> Tensor:
    """Log Z (B,) by the forward algorithm: α_t[j] = U[t, j] + log Σ_i exp(α_{t−1}[i] + A[i, j]).

    Args:
        unary: U, (B, S, L).
        lengths: (B,) int64 ≥ 1.
        chain: of the L tags; every tag must be reachable from another one.
    """
    alpha = chain.start + unary[:, 0]
    for step in range(1, unary.shape[1]):
        following = unary[:, step] + (alpha.unsqueeze(2) + chain.between).logsumexp(1)
        alpha = torch.where((step < lengths).unsqueeze(1), following, alpha)
    return (alpha + chain.end).logsumexp(1)


def marginals(unary: Tensor, lengths: Tensor, chain: Transitions) -> Tensor:
    """p(y_t = l) (B, S, L) of every position: ∂ log Z / ∂ U, which is forward–backward.

    Args:
        unary: U, (B, S, L).
        lengths: (B,) int64 ≥ 1.
        chain: of the L tags.
    """
    with torch.inference_mode(mode=False), torch.enable_grad():
        scores = unary.detach().clone().requires_grad_()
        parts = Transitions(*(part.detach().clone() for part in chain))
        total = log_partition(scores, lengths.clone(), parts).sum()
        (found,) = torch.autograd.grad(total, scores)
    return found


def viterbi(
    unary: Tensor, lengths: Tensor, chain: Transitions, best: int = 1
) -> tuple[Tensor, Tensor]:
    """The ``best`` sequences of highest score, exactly (Viterbi with n-best lists).

    Args:
        unary: U, (B, S, L).
        lengths: (B,) int64 ≥ 1.
        chain: of the L tags.
        best: K.

    Returns:
        Tags (B, K, S) int64, 0 after a row's length, and scores (B, K), falling; −∞ where there
        are fewer sequences than K.
    """
    batch, steps, labels = unary.shape
    # (B, K, L): the K best scores of beginnings that end in each tag
    scores = unary.new_full((batch, best, labels), -torch.inf)
    scores[:, 0] = chain.start + unary[:, 0]
    pointers: list[Tensor] = []
    for step in range(1, steps):
        moves = (scores.unsqueeze(3) + chain.between).flatten(1, 2)  # (B, K·L, L)
        chosen, origins = moves.topk(best, dim=1)
        going_on = (step < lengths).view(-1, 1, 1)
        stay = torch.arange(best * labels, device=unary.device).view(1, best, labels)
        scores = torch.where(going_on, chosen + unary[:, step].unsqueeze(1), scores)
        pointers.append(torch.where(going_on, origins, stay.expand_as(origins)))
    totals, places = (scores + chain.end).flatten(1).topk(best, dim=1)  # (B, K), of K·L
    tags = torch.zeros(batch, best, steps, dtype=torch.int64, device=unary.device)
    for step in range(steps - 1, -1, -1):
        tags[:, :, step] = places % labels
        if step:
            places = pointers[step - 1].flatten(1).gather(1, places)
    real = torch.arange(steps, device=unary.device) < lengths.view(-1, 1, 1)
    return tags.masked_fill(~real, 0), totals


class LinearChainCrf(nn.Module):
    """The transition scores of a chain, learnt.

    Args:
        labels: L.
        allowed: three boolean masks of what may stand: start (L,), between (L, L), end (L,); None
            allows all.
    """

    allowed_start: Tensor
    allowed_between: Tensor
    allowed_end: Tensor

    def __init__(self, labels: int, allowed: Transitions | None = None) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.zeros(labels))
        self.between = nn.Parameter(torch.zeros(labels, labels))
        self.end = nn.Parameter(torch.zeros(labels))
        nn.init.uniform_(self.between, -0.1, 0.1)
        masks = allowed or Transitions(
            *(
                torch.ones_like(part, dtype=torch.bool)
                for part in (self.start, self.between, self.end)
            )
        )
        for name, mask in zip(Transitions._fields, masks, strict=True):
            self.register_buffer(f"allowed_{name}", mask, persistent=False)

    def chain(self) -> Transitions:
        """The scores in float32, −∞ where a move is forbidden."""
        return Transitions(
            self.start.float().masked_fill(~self.allowed_start, -torch.inf),
            self.between.float().masked_fill(~self.allowed_between, -torch.inf),
            self.end.float().masked_fill(~self.allowed_end, -torch.inf),
        )
