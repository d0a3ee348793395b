"""What is seen of a long work: a bar on a terminal or in a notebook, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import importlib.util
import math
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from rich.progress import Progress

    from textgen.training.events import Event, Step, Validated

Listener: TypeAlias = "Callable[[Event], None]"
Figure: TypeAlias = Callable[[float], str]

PLAIN_EVERY = 10.0
"""Seconds between two lines about steps where there is no terminal."""


def figure_for(tokenizer_kind: str) -> Figure:
    """How nats per token are told: bits where a token is a character or byte, else perplexity."""
    names = {"characters": "bits/character", "bytes": "bits/byte"}
    if tokenizer_kind in names:
        return lambda nats: f"{nats / math.log(2):.3f} {names[tokenizer_kind]}"
    return lambda nats: f"perplexity {math.exp(min(nats, 99.0)):,.4g}"


@contextmanager
def training_progress(figure: Figure) -> Iterator[Listener]:
    """Show the events of a training on stderr until the block ends."""
    if not _has_bar():
        yield _Lines(figure)
        return
    with _bar() as progress:
        yield _Bar(progress, figure)


def clock(seconds: float | None) -> str:
    """``0:42``, ``12:05`` or ``1:02:30``; ``-:--`` where it is unknown."""
    if seconds is None or not math.isfinite(seconds):
        return "-:--"
    minutes, rest = divmod(max(round(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _Reporter(ABC):
    """Joins what belongs together: a validation, and whether it is the best."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self._validated: Validated | None = None

    def __call__(self, event: Event) -> None:
        from textgen.training.events import Improved, Note, Step, Stopped, Validated

        if self._validated is not None:
            self.line(self._validation(self._validated, best=isinstance(event, Improved)))
            self._validated = None
        if isinstance(event, Step):
            self.step(event)
        elif isinstance(event, Validated):
            self._validated = event
        elif isinstance(event, Stopped):
            self.stopped()
        elif isinstance(event, Note):
            self.line(event.text)

    @abstractmethod
    def line(self, text: str) -> None:
        """Tell something that stays."""

    @abstractmethod
    def step(self, event: Step) -> None:
        """Tell how far it is."""

    @abstractmethod
    def stopped(self) -> None:
        """The training is over."""

    def _validation(self, event: Validated, *, best: bool) -> str:
        parts = [f"step {event.step:,}", "validation"]
        for name, value in event.metrics.items():
            parts.append(
                f"{value:.4f} nats/{event.unit}  {self.figure(value)}"
                if name == "loss"
                else f"{name} {value:.4g}"
            )
        return "  ".join([*parts, "best so far"] if best else parts)


class _Lines(_Reporter):
    """One line now and then, for logs."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self._told = -math.inf

    def line(self, text: str) -> None:
        tell(text)

    def step(self, event: Step) -> None:
        now = time.monotonic()
        if now - self._told < PLAIN_EVERY:
            return
        self._told = now
        tell(
            f"step {event.step:,}  epoch {event.epoch + 1}  {event.progress:.0%}  "
            f"loss {event.loss:.4f}  {self.figure(event.loss)}  "
            f"{event.tokens_per_second:,.0f} {event.unit}s/s  {clock(event.remaining)} left"
        )

    def stopped(self) -> None:
        """The last line has told it."""


class _Bar(_Reporter):
    """A bar that is drawn anew; validations stay above it."""

    def __init__(self, progress: Progress, figure: Figure) -> None:
        super().__init__(figure)
        self._progress = progress
        self._task = progress.add_task("reading the text", total=None)

    def line(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False)

    def step(self, event: Step) -> None:
        text = (
            f"step {event.step:,}  loss {event.loss:.3f}  {self.figure(event.loss)}  "
            f"{event.tokens_per_second:,.0f} {event.unit}s/s  {clock(event.remaining)}"
        )
        self._progress.update(self._task, total=1.0, completed=event.progress, description=text)

    def stopped(self) -> None:
        self._progress.update(self._task, total=1.0, completed=1.0)


def tell(message: str) -> None:
    """Write a message to stderr; if even that is closed, give up in silence."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{message}\n")
        sys.stderr.flush()


def _has_bar() -> bool:
    """Whether there is a terminal, or a notebook in which rich can draw anew."""
    return sys.stderr.isatty() or (_in_notebook() and bool(importlib.util.find_spec("ipywidgets")))


def _in_notebook() -> bool:
    """Whether this runs in the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def _bar() -> Progress:
    """A bar that fills what the text leaves of the line."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(
        BarColumn(bar_width=None),
        TextColumn("{task.description}", markup=False),
        console=Console(stderr=True),
        expand=True,
        refresh_per_second=4,
        redirect_stdout=sys.stdout.isatty(),  # what goes to a file must not go to the terminal
    )


@contextmanager
def counting(unit: str) -> Iterator[Callable[[int, int], None]]:
    """Show how much is done of how much, where a bar can be shown."""
    if not _has_bar():
        yield lambda _done, _total: None
        return
    with _bar() as progress:
        task = progress.add_task(unit, total=None)

        def show(done: int, total: int) -> None:
            text = f"{done:,} of {total:,} {unit}"
            progress.update(task, total=total, completed=done, description=text)

        yield show
