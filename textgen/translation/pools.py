"""Who decodes batches of lines: threads of this process, or processes of their own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TypeAlias

import torch

from textgen.decoding.chain import Chain
from textgen.loading import LoadedModel
from textgen.protocols import Beam, Watch
from textgen.translation.batch import translate_batch
from textgen.translation.grouping import Line, TranslationOptions
from textgen.translation.result import Translation
from textgen.translation.shortlist import make_shortlists
from textgen.workers import WorkerPool

BatchWork: TypeAlias = "Callable[[list[Line]], list[Translation]]"
TranslationPool: TypeAlias = "WorkerPool[list[Line], list[Translation]]"


def batch_work(
    loaded: LoadedModel, chain: Chain, options: TranslationOptions, watch: Watch | None = None
) -> BatchWork:
    """What a worker does, in this process or in its own.

    Args:
        loaded: the translator.
        chain: of lines that have none of their own, bound to the model.
        options: whether to keep the attention, and how long shortlists are.
        watch: called after each step of a search.

    Raises:
        CheckpointError: if shortlists are asked for and the model has no lexicon that fits.
    """
    shortlists = make_shortlists(loaded, options)
    return lambda batch: translate_batch(
        loaded, chain, batch, options, watch, shortlists=shortlists
    )


def threads(loaded: LoadedModel, chain: Chain, options: TranslationOptions) -> TranslationPool:
    """``options.workers`` threads that share the model, each computing with one processor thread.

    torch computes without holding the interpreter's lock, so they run at the same time. Batches
    with a plugin that says ``threads = False`` are decoded one at a time. What is being decoded
    when the results are no longer wanted ends after its next step.
    """
    unwanted, alone = threading.Event(), threading.Lock()

    def watch(_: Beam) -> None:
        if unwanted.is_set():
            raise _UnwantedError

    decode = batch_work(loaded, chain, options, watch)

    def work(batch: list[Line]) -> list[Translation]:
        safe = all((line.chain or chain).threads for line in batch)
        with contextlib.nullcontext() if safe else alone:
            return decode(batch)

    return WorkerPool([work] * options.workers, _one_thread, unwanted.set, _as_before)


class _UnwantedError(Exception):
    """Nobody waits for these translations any more."""


def _one_thread() -> None:
    """Let this thread compute alone; the setting is each thread's own."""
    torch.set_num_threads(1)


def _as_before() -> None:
    """Let threads that are begun from now on compute as this one does."""
    torch.set_num_threads(torch.get_num_threads())
