"""Begin a decoding job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from textgen.decoding.random import RowRandom, row_seeds
from textgen.errors import UsageError
from textgen.protocols import Batch, Filter, Model, OnStablePrefix, Session, SpecialTokens, Watch


def make_session(
    model: Model[Any],
    batch: Batch,
    prefixes: Sequence[Sequence[int]],
    *,
    special: SpecialTokens,
    limits: int | Sequence[int],
    seed: int | Sequence[int] = 0,
    indices: Sequence[int] | None = None,
    seeds: Sequence[int] | None = None,
    filters: Sequence[Filter] = (),
    samples: int = 1,
    watch: Watch | None = None,
    attention: bool = False,
    eos_at_limit: bool = False,
    texts: Sequence[str] = (),
    on_stable_prefix: OnStablePrefix | None = None,
    allow_unknown: bool = True,
    forced: Sequence[Sequence[int]] = (),
) -> Session:
    """Begin a model on a batch and say what is wanted of it.

    Args:
        model: the model.
        batch: B sources, or B and no source.
        prefixes: B lists of tokens; bos is put before those that do not begin with it.
        special: token numbers of pad, bos, eos.
        limits: most tokens to generate, eos counted; one number, or one for each source.
        seed: of the job; one number, or one for each source.
        indices: (B) numbers of the sources in the job, which make their seeds different and keep
            them the same in any batch; 0 … B − 1 if left out.
        seeds: (B) seeds used in place of ``seed`` and ``indices``: a source's numbers depend on
            its own seed alone.
        filters: applied in this order.
        samples: hypotheses wanted for each source.
        watch: called after each step.
        attention: keep the attention of each token.
        eos_at_limit: force eos as the last token that the limit allows.
        texts: B source sentences or prompts, or none.
        on_stable_prefix: told what is certain; see ``textgen.protocols.Session``.
        allow_unknown: the unknown token may be generated.
        forced: B lists of tokens with which the outputs begin, or none. They are part of the
            output and count against the limit, which is raised to their number where it is lower.

    Raises:
        UsageError: if the numbers of prefixes, limits, indices, seeds or texts are not B, or a
            token is outside the vocabulary.
    """
    device = batch.source.device if batch.source is not None else device_of(model)
    limit = _ints(limits, batch.size, "limits", device)
    own = _seeds(seed, indices, seeds, batch.size, device)
    _check_number(prefixes, batch.size, "prefixes")
    if texts:
        _check_number(texts, batch.size, "texts")
    if forced:
        _check_number(forced, batch.size, "forced beginnings")
    _check_range([*prefixes, *forced], model.vocabulary_size)
    rows = [row if row and row[0] == special.bos else [special.bos, *row] for row in prefixes]
    prefix, lengths = padded(rows, special.pad, device)
    beginning: Tensor | None = None
    if any(forced):
        beginning, least = padded(forced, special.pad, device)
        limit = limit.maximum(least)
    with torch.inference_mode():
        state = model.begin(batch)
    return Session(
        model=model,
        state=state,
        prefix=prefix,
        prefix_lengths=lengths,
        limit=limit.clamp(min=0),
        special=special,
        random=RowRandom(own),
        filters=tuple(filters),
        samples=samples,
        watch=watch,
        attention=attention,
        eos_at_limit=eos_at_limit,
        texts=tuple(texts),
        batch=batch,
        on_stable_prefix=on_stable_prefix,
        allow_unknown=allow_unknown,
        forced=beginning,
    )


def padded(
    rows: Sequence[Sequence[int]], pad: int, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """Lists of tokens as one right-padded tensor.

    Returns:
        (B, T) int64, and (B,) int64 lengths.
    """
    lengths = [len(row) for row in rows]
    longest = max(lengths, default=0)
    filled = [[*row, *([pad] * (longest - len(row)))] for row in rows]
    tokens = torch.tensor(filled, dtype=torch.int64, device=device).reshape(len(rows), longest)
    return tokens, torch.tensor(lengths, dtype=torch.int64, device=device)


def _seeds(
    seed: int | Sequence[int],
    indices: Sequence[int] | None,
    seeds: Sequence[int] | None,
    size: int,
    device: torch.device | None,
) -> Tensor:
    """(B,) int64 seeds of the sources; see ``make_session``."""
    if seeds is not None:
        return row_seeds(0, _ints(seeds, size, "seeds", device))
    numbers = range(size) if indices is None else indices
    jobs = _ints(seed, size, "seeds", device)
    return row_seeds(jobs, _ints(numbers, size, "indices", device))


def _ints(values: int | Sequence[int], size: int, what: str, device: torch.device | None) -> Tensor:
    """(B,) int64 of one number for all, or one for each source."""
    numbers = [values] * size if isinstance(values, int) else list(values)
    _check_number(numbers, size, what)
    wrapped = [(number + (1 << 63)) % (1 << 64) - (1 << 63) for number in numbers]
    return torch.tensor(wrapped, dtype=torch.int64, device=device)


def _check_number(values: Sequence[object], size: int, what: str) -> None:
    if len(values) != size:
        raise UsageError(f"{len(values)} {what} were given for {size} sources.")


def _check_range(prefixes: Sequence[Sequence[int]], size: int) -> None:
    for number, row in enumerate(prefixes):
        if row and not (min(row) >= 0 and max(row) < size):
            raise UsageError(f"Prefix {number} has a token outside the vocabulary of {size}.")


def device_of(model: Any) -> torch.device | None:
    """Where a model's weights are; None for one without any."""
    parameters = getattr(model, "parameters", None)
    first = next(iter(parameters()), None) if callable(parameters) else None
    return first.device if isinstance(first, Tensor) else None
