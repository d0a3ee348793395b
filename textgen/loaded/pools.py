"""Processes that share the work out, each with the model loaded anew."""

from __future__ import annotations

import contextlib
import functools
import pickle
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import torch

from textgen.decoding.chain import Chain
from textgen.errors import UsageError
from textgen.evaluation.perplexity import Scored, line_work
from textgen.loaded.base import UsableModel, make_chain
from textgen.loaded.keywords import FilterLike, StrategyLike
from textgen.short_options import DEFAULT_TRANSLATING
from textgen.translation import TranslationOptions
from textgen.translation.pools import BatchWork, batch_work
from textgen.workers import WorkerPool, processes

T = TypeVar("T")
R = TypeVar("R")


def chain_maker(
    decode: StrategyLike, filters: FilterLike, short: Mapping[str, object], *, allow_unknown: bool
) -> Callable[[], Chain]:
    """What makes the chain, here or in another process."""
    if not (isinstance(filters, str) or callable(filters)):
        filters = tuple(filters)  # it may be read twice
    return functools.partial(
        make_chain, decode, filters, short, DEFAULT_TRANSLATING, allow_unknown=allow_unknown
    )


@contextlib.contextmanager
def worker_crew(
    setup: Callable[[], Callable[[T], R]], count: int | None
) -> Iterator[WorkerPool[T, R] | None]:
    """Worker processes; None without any.

    Args:
        setup: see ``textgen.workers.processes``; it holds a model, which each process loads anew.
        count: processes; None for this one alone.

    Raises:
        UsageError: if there are less than one, or a plugin cannot be pickled.
    """
    if count is None:
        yield None
        return
    if count < 1:
        raise UsageError(f"{count} processes are asked for: allowed is 1 or more.")
    try:
        pickle.dumps(setup)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(
            f"A plugin cannot be sent to other processes ({error}): name it by its SPEC, or let it "
            "be a function or class of a module."
        ) from None
    with processes(setup, count) as pool:
        yield pool


def translating_work(
    model: UsableModel, make: Callable[[], Chain], options: TranslationOptions
) -> BatchWork:
    """What a process does that translates."""
    torch.set_num_threads(1)
    return batch_work(model, model.binder()(make()), options)


def scoring_work(model: UsableModel) -> Callable[[list[list[int]]], Scored]:
    """What a process does that scores lines."""
    torch.set_num_threads(1)
    return line_work(model)
