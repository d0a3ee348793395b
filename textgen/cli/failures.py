"""From exceptions to exit codes: one clear message on stderr, no traceback for bad input."""

from __future__ import annotations

import codecs
import contextlib
import io
import logging
import os
import sys
from collections.abc import Sequence

from textgen.cli.streams import replace_closed_streams
from textgen.errors import Terminated, TextgenError, UsageError, memory_errors_told
from textgen.log import logger
from textgen.progress import tell
from textgen.training.interrupts import terminated

TRACEBACK_VARIABLE = "TEXTGEN_TRACEBACK"
COMPLETION_VARIABLE = "_TEXTGEN_COMPLETE"

FAILED, USAGE, INTERRUPTED, TERMINATED = 1, 2, 130, 143

_SILENT = logging.NullHandler()

complain = tell
"""What the command line says beside its results goes to stderr."""


def guarded(arguments: Sequence[str]) -> int:
    """Run the command line and turn what goes wrong into a message and an exit code."""
    replace_closed_streams()
    _use_utf8()
    logger.addHandler(_SILENT)  # the command line writes its own notes and warnings
    try:
        with memory_errors_told(), terminated():
            code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        return 0
    except KeyboardInterrupt as stop:
        complain("Stopped.")
        return stopped_code(stop)
    except (TextgenError, OSError) as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        _silence_if_unwritable()
        complain(f"Error: {_sentence(error)}")
        return USAGE if isinstance(error, UsageError) else FAILED
    return code


def stopped_code(stop: KeyboardInterrupt) -> int:
    """128 and the number of the signal that stopped the process, as shells count."""
    return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED


def warn(text: str) -> None:
    """Write a warning to stderr."""
    complain(f"Warning: {text}")


def _run(arguments: Sequence[str]) -> int:
    """Run click without its own handling of errors and exits."""
    import click

    from textgen.cli.app import textgen

    if instruction := os.environ.get(COMPLETION_VARIABLE):
        from click.shell_completion import shell_complete

        return shell_complete(textgen, {}, "textgen", COMPLETION_VARIABLE, instruction)
    try:
        with textgen.make_context("textgen", list(arguments)) as context:
            textgen.invoke(context)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return 0


def _sentence(error: BaseException) -> str:
    """What went wrong, for people."""
    if isinstance(error, OSError) and error.strerror:
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        return f"{' -> '.join(names)}: {error.strerror}." if names else f"{error.strerror}."
    return str(error) or type(error).__name__


def _use_utf8() -> None:
    """Text is UTF-8 whatever the locale says; what a terminal cannot show is escaped."""
    codecs.register_error(RESULTS, _as_bytes)
    for stream, errors in ((sys.stdout, RESULTS), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors=errors)


RESULTS = "textgen-results"
"""What becomes of surrogates in results: bytes that stand for themselves, else an escape."""


def _as_bytes(error: UnicodeError) -> tuple[str | bytes, int]:
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


def _silence() -> None:
    """Send what is still buffered for stdout to nowhere, so that the exit stays quiet."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _silence_if_unwritable() -> None:
    """Results that cannot be written (full disk) must not fail once more at the exit."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        _silence()
