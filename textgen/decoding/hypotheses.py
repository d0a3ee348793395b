"""Hypotheses put together, ordered and looked at."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from textgen.decoding.plugin_errors import BadPickError, broken
from textgen.errors import TextgenError
from textgen.protocols import Hypotheses, Session, Strategy


def join(pieces: Sequence[Tensor], fill: float) -> Tensor:
    """Stack pieces along the sources, filling the other dimensions up on the right.

    Args:
        pieces: each (B', K', …), at most four dimensions.
        fill: for rows and steps that a piece does not have.

    Returns:
        (sum of B', K, …).
    """
    shapes = [tuple(piece.shape[1:]) for piece in pieces]
    largest = [max(sizes) for sizes in zip(*shapes, strict=True)]
    return torch.cat([fit(piece, largest, fill) for piece in pieces])


def fit(piece: Tensor, sizes: Sequence[int], fill: float) -> Tensor:
    """A piece (B, …) filled up on the right to (B, *sizes)."""
    missing = [size - have for size, have in zip(sizes, piece.shape[1:], strict=True)]
    if not any(missing):
        return piece
    padding = [part for amount in reversed(missing) for part in (0, amount)]
    return F.pad(piece, padding, value=fill)


def best_first(hypotheses: Hypotheses, pad: int) -> Hypotheses:
    """Rank the hypotheses of each source by score, clear those that are none, cut what is empty."""
    if hypotheses.scores.shape[1] > 1:
        order = hypotheses.scores.argsort(dim=1, descending=True, stable=True)
        hypotheses = take(hypotheses, order)
    dead = hypotheses.scores == -torch.inf
    lengths = hypotheses.lengths.masked_fill(dead, 0)
    steps = int(lengths.max()) if lengths.numel() else 0
    rows, attention = dead.unsqueeze(2), hypotheses.attention
    if attention is not None:
        attention = attention[:, :, :steps].masked_fill(rows.unsqueeze(3), 0.0)
    return Hypotheses(
        tokens=hypotheses.tokens[:, :, :steps].masked_fill(rows, pad),
        lengths=lengths,
        scores=hypotheses.scores,
        log_probs=hypotheses.log_probs.masked_fill(dead, -torch.inf),
        token_log_probs=hypotheses.token_log_probs[:, :, :steps].masked_fill(rows, 0.0),
        finished=hypotheses.finished & ~dead,
        attention=attention,
    )


def take(hypotheses: Hypotheses, order: Tensor) -> Hypotheses:
    """Hypotheses ``order`` (B, K') int64 of each source."""
    rows = torch.arange(len(order), device=order.device).unsqueeze(1)
    attention = hypotheses.attention
    return Hypotheses(
        tokens=hypotheses.tokens[rows, order],
        lengths=hypotheses.lengths[rows, order],
        scores=hypotheses.scores[rows, order],
        log_probs=hypotheses.log_probs[rows, order],
        token_log_probs=hypotheses.token_log_probs[rows, order],
        finished=hypotheses.finished[rows, order],
        attention=None if attention is None else attention[rows, order],
    )


def on_host(hypotheses: Hypotheses) -> Hypotheses:
    """The same on the CPU, where they are read one by one: an accelerator is waited for here."""
    if hypotheses.tokens.is_cpu:
        return hypotheses
    tensors = {name: each.cpu() for name, each in vars(hypotheses).items() if each is not None}
    return replace(hypotheses, **tensors)


def decode(strategy: Strategy, session: Session) -> Hypotheses:
    """Run a strategy and look at what it returns.

    What the model or the watch raises is passed on as it is.

    Raises:
        PluginError: if it raises, or what it returns is no set of hypotheses: names it.
    """
    try:
        hypotheses = strategy(session)
    except BadPickError as error:
        raise broken(strategy, "strategy", error.what) from error
    except (TextgenError, OSError, MemoryError):
        raise
    except Exception as error:
        if not _own_fault(error):
            raise
        what = f"it raised {type(error).__name__}: {error}"
        raise broken(strategy, "strategy", what) from error
    problem = _problem(hypotheses, session)
    if problem:
        raise broken(strategy, "strategy", problem)
    return hypotheses


def _own_fault(error: Exception) -> bool:
    """Whether an error came out of a strategy's own code, and not through the shared loop."""
    frames = traceback.walk_tb(error.__traceback__)
    names = {frame.f_globals.get("__name__") for frame, _ in frames}
    return "textgen.decoding.search" not in names


def _problem(hypotheses: Any, session: Session) -> str:
    """What is wrong with hypotheses, or nothing."""
    if not isinstance(hypotheses, Hypotheses):
        return f"it returned {type(hypotheses).__name__}, not Hypotheses."
    tokens = hypotheses.tokens
    if tokens.dtype != torch.int64 or tokens.dim() != 3:
        return f"its tokens are {tokens.dtype} {tuple(tokens.shape)}, expected int64 (B, K, T)."
    rows = tuple(tokens.shape[:2])
    if rows[0] != len(session.limit) or rows[1] < 1:
        return f"it returned {rows} (B, K) hypotheses for {len(session.limit)} sources."
    for name, shape in (
        ("lengths", rows),
        ("scores", rows),
        ("log_probs", rows),
        ("token_log_probs", tuple(tokens.shape)),
        ("finished", rows),
    ):
        found = tuple(getattr(hypotheses, name).shape)
        if found != shape:
            return f"its {name} have shape {found}, expected {shape}."
    return _bad_values(hypotheses, session.model.vocabulary_size)


def _bad_values(hypotheses: Hypotheses, size: int) -> str:
    """Which values are out of range, or nothing."""
    tokens = hypotheses.tokens
    if tokens.numel() and not 0 <= int(tokens.min()) <= int(tokens.max()) < size:
        least, most = int(tokens.min()), int(tokens.max())
        return f"its tokens go from {least} to {most}, allowed is 0 to {size - 1}."
    if bool((hypotheses.scores.isnan() | hypotheses.log_probs.isnan()).any()):
        return "a score is NaN."
    return ""
