"""The largest entries of long rows, and draws, exactly, faster than torch finds them on a CPU.

There ``argmax`` and ``topk`` walk a row one number at a time while ``amax`` runs vectorised (a
tenth of the time, measured). So a row is cut into chunks: the k largest numbers stand in the k
chunks with the largest maxima. Where ``textgen.native`` was compiled, it does the same in one
call.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from textgen.decoding.validation import worth
from textgen.native import Kernels, kernels
from textgen.protocols import SpecialTokens

_CHUNK = 64
_LONG_ROW = 1024
_INSERTED = 256  # moves up to which putting each in its place is cheap
_DRAWN = 1 << 11  # numbers up to which their exponentials one by one are cheap
_MANY = 1 << 13  # numbers of one source: neighbours must not decide which of equal ones is first


class Moves(NamedTuple):
    """The best continuations of each source, best first; all (B, M).

    Attributes:
        scores: score of the row plus log-probability of the token.
        parents: int64 in [0, K).
        tokens: int64 in [0, V).
    """

    scores: Tensor
    parents: Tensor
    tokens: Tensor


def argmax(scores: Tensor) -> Tensor:
    """Position of the largest entry of the last dimension, the first of equal ones.

    Args:
        scores: (B, K, V).

    Returns:
        (B, K) int64.
    """
    size = scores.shape[-1]
    if size < _LONG_ROW or not scores.is_cpu:
        return scores.argmax(-1)
    count = size // _CHUNK
    chunks = scores[..., : count * _CHUNK].view(*scores.shape[:-1], count, _CHUNK)
    best, chunk = chunks.amax(-1).max(-1, keepdim=True)  # (B, K, 1)
    inside = chunks.gather(-2, chunk.unsqueeze(-1).expand(*chunk.shape, _CHUNK)).squeeze(-2)
    index = (chunk * _CHUNK).squeeze(-1) + inside.argmax(-1)
    if count * _CHUNK == size:
        return index
    after, tail = scores[..., count * _CHUNK :].max(-1)
    return torch.where(after > best.squeeze(-1), tail + count * _CHUNK, index)


def best_moves(log_probs: Tensor, scores: Tensor, count: int) -> Moves:
    """The best tokens of all rows of each source together.

    Args:
        log_probs: (B, K, V).
        scores: (B, K) of the rows.
        count: moves wanted; there are fewer where K·V is smaller.

    Returns:
        M = min(count, K·V) moves.
    """
    _, width, size = log_probs.shape
    compiled = _compiled(log_probs, scores, count)
    if compiled is not None:
        return Moves(*compiled.best(log_probs, scores, min(count, width * size)))
    spare = -size % _CHUNK
    if width * size < _MANY or not log_probs.is_cpu:
        best, index = (log_probs + scores.unsqueeze(2)).flatten(1).topk(min(count, width * size), 1)
    else:
        if spare:
            log_probs = F.pad(log_probs, (0, spare), value=-torch.inf)
        best, index = _best_of_chunks(log_probs, scores, min(count, width * size))
    parents = index.div(log_probs.shape[2], rounding_mode="floor")
    tokens = index.sub(parents, alpha=log_probs.shape[2])
    return Moves(best, parents, tokens.clamp_(max=size - 1) if spare else tokens)


def continuations(
    log_probs: Tensor, scores: Tensor, width: int, special: SpecialTokens
) -> tuple[Tensor, Tensor]:
    """The best 2 · width moves: those that go on, then those that end, each by rank.

    Args:
        log_probs: (B, K, V).
        scores: (B, K) of the rows; −inf for those that do not go on.
        width: most rows that go on, and ranks among which an end counts.
        special: spare rows get bos, which is forbidden: they are dead.

    Returns:
        (B, M) parents and (B, M) tokens of M = min(2 · width, K · V) moves; where none ends, as in
        most steps, the first ``width`` of them.
    """
    compiled = _compiled(log_probs, scores, 2 * width)
    if compiled is not None:
        count = min(2 * width, log_probs.shape[1] * log_probs.shape[2])
        parents, tokens, some = compiled.continuations(
            log_probs, scores, count, width=width, eos=special.eos, bos=special.bos
        )
    else:
        moves = best_moves(log_probs, scores, 2 * width)
        some = worth(moves.tokens == special.eos)
        parents, tokens = _apart(moves, width, special) if some else _alive(moves, special)
    return (parents, tokens) if some else (parents[:, :width], tokens[:, :width])


def _alive(moves: Moves, special: SpecialTokens) -> tuple[Tensor, Tensor]:
    """Parents and tokens, dead moves with bos."""
    return moves.parents, torch.where(moves.scores != -torch.inf, moves.tokens, special.bos)


def _apart(moves: Moves, width: int, special: SpecialTokens) -> tuple[Tensor, Tensor]:
    """Moves (B, M), best first, as ``continuations`` gives them."""
    best, parents, tokens = moves
    ends = tokens == special.eos
    order = ends.byte().argsort(dim=1, stable=True)
    best, parents, tokens = (each.gather(1, order) for each in (best, parents, tokens))
    ends = tokens == special.eos
    place = torch.arange(order.shape[1], device=order.device)
    usable = torch.where(ends, order < width, place < width) & (best != -torch.inf)
    return parents, torch.where(usable, tokens, special.bos)


def draw(log_probs: Tensor, uniform: Tensor) -> Tensor:
    """Tokens by inversion: the first at which the cumulated probability exceeds a number.

    A token that is forbidden is never drawn: its part of the cumulated mass is empty.

    Args:
        log_probs: (B, K, V), normalised or not.
        uniform: (B, K) float64 in (0, 1).

    Returns:
        (B, K) int64 (Devroye 1986, "Non-Uniform Random Variate Generation", section II.2.1).
    """
    compiled = kernels() if log_probs.numel() <= _DRAWN and log_probs.is_cpu else None
    if compiled is not None and log_probs.dtype == torch.float32:
        return compiled.draw(log_probs, uniform.double())
    mass = torch.softmax(log_probs, -1, dtype=torch.float64).cumsum(-1)
    aim = uniform.unsqueeze(2) * mass[..., -1:]
    return torch.searchsorted(mass, aim, right=True).squeeze(2)


def _compiled(log_probs: Tensor, scores: Tensor, count: int) -> Kernels | None:
    """What finds the best ``count`` moves natively, if that is there and pays."""
    if count > _INSERTED or not log_probs.is_cpu:
        return None
    return kernels() if log_probs.dtype == scores.dtype == torch.float32 else None


def _best_of_chunks(log_probs: Tensor, scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The best sums, and where they stand in (B, K·V), for V a multiple of the chunk: (B, M)."""
    sources, width, size = log_probs.shape
    number = size // _CHUNK  # of chunks in a row
    chunks = log_probs.reshape(sources, width * number, _CHUNK)
    maxima = chunks.amax(2).view(sources, width, number) + scores.unsqueeze(2)
    taken = maxima.flatten(1).topk(min(count, width * number), 1, sorted=False).indices  # (B, C)
    owners = taken.div(number, rounding_mode="floor")
    found = chunks.gather(1, taken.unsqueeze(2).expand(-1, -1, _CHUNK))  # (B, C, chunk)
    found = found + scores.gather(1, owners).unsqueeze(2)
    best, index = found.flatten(1).topk(count, 1)
    chunk = index.div(_CHUNK, rounding_mode="floor")
    return best, index.add_(taken.gather(1, chunk).sub_(chunk), alpha=_CHUNK)
