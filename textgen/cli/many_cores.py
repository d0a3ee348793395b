"""--threads and --processes: how many cores a command translates or scores with.

What a worker process sets up is at the end of the file; what it is told travels pickled.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from textgen.cli.decoding_options import chain_of, chosen_decoding
from textgen.cli.options import all_of, collected, grouped_option, plugin_folders, registries_in
from textgen.cli.threads import set_threads, threads_option
from textgen.cli.translating import Models
from textgen.short_options import DEFAULT_TRANSLATING, Decoding
from textgen.workers.cores import MAX_DEFAULT_THREADS, MAX_THREADS, default_threads

if TYPE_CHECKING:
    from textgen.evaluation.forced_alignment import AlignmentPool
    from textgen.evaluation.perplexity import Scored, ScoringPool
    from textgen.translation import TranslationOptions
    from textgen.translation.pools import BatchWork, TranslationPool
    from textgen.workers import WorkerPool

T = TypeVar("T")
R = TypeVar("R")

processes_option = grouped_option(
    "--processes",
    type=click.IntRange(1, MAX_THREADS),
    metavar="N",
    help="Share the work out over N processes, each with the model and one thread (or --threads).",
)
translating_cores = all_of(
    [
        grouped_option(
            "--threads",
            type=click.IntRange(1, MAX_THREADS),
            metavar="N",
            help="Threads that translate at once, a batch each; with --processes, of each of them."
            f"  [default: OMP_NUM_THREADS, or all cores up to {MAX_DEFAULT_THREADS}]",
        ),
        processes_option,
    ]
)
scoring_cores = all_of([threads_option, processes_option])


@dataclass(frozen=True)
class Cores:
    """What ``translating_cores`` and ``scoring_cores`` say."""

    threads: int | None
    processes: int | None

    @property
    def workers(self) -> int:
        """Threads of this process that translate at once."""
        return self.threads or default_threads()

    def translators(
        self, options: TranslationOptions
    ) -> AbstractContextManager[TranslationPool | None]:
        """Processes that translate as the running command's options say; None without any."""
        if self.processes is None:
            return contextlib.nullcontext()
        decoding, folders = chosen_decoding(), plugin_folders()
        work = partial(_translator, collected(Models), decoding, folders, options, self.threads)
        return self._crew(work)

    def aligners(self, models: Models) -> AbstractContextManager[AlignmentPool | None]:
        """Processes that align with these models; None without any."""
        return self._crew(partial(_aligner, models, self.threads))

    def line_scorers(
        self, model: str, device: str, precision: str
    ) -> AbstractContextManager[ScoringPool | None]:
        """Processes that score lines with a language model; None without any."""
        return self._crew(partial(_line_scorer, model, device, precision, self.threads))

    @contextlib.contextmanager
    def _crew(self, setup: Callable[[], Callable[[T], R]]) -> Iterator[WorkerPool[T, R] | None]:
        if self.processes is None:
            yield None
            return
        from textgen.workers import processes

        with processes(setup, self.processes) as pool:
            yield pool


def _one_thread(threads: int | None) -> None:
    """Let this process compute with one thread, or as many as were asked for."""
    set_threads(threads or 1)


def _translator(
    models: Models,
    decoding: Decoding,
    folders: tuple[Path, ...],
    options: TranslationOptions,
    threads: int | None,
) -> BatchWork:
    """What a process does that translates."""
    from textgen.decoding.chain import Registries
    from textgen.translation.pools import batch_work

    _one_thread(threads)
    chain = chain_of(decoding, Registries(*registries_in(folders)), DEFAULT_TRANSLATING)
    loaded = models.load()
    return batch_work(loaded, loaded.binder()(chain), options)


def _aligner(models: Models, threads: int | None) -> Callable[[Any], Any]:
    """What a process does that aligns."""
    from textgen.evaluation.forced_alignment import pair_work

    _one_thread(threads)
    return pair_work(models.load())


def _line_scorer(
    model: str, device: str, precision: str, threads: int | None
) -> Callable[[list[list[int]]], Scored]:
    """What a process does that scores lines."""
    from textgen.evaluation.perplexity import line_work
    from textgen.loading import load_model

    _one_thread(threads)
    return line_work(load_model(model, device, precision))
