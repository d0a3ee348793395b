"""Lines through a translator and a decoding chain."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

from textgen.arguments import listed
from textgen.decoding.binding import Binder
from textgen.decoding.chain import Chain
from textgen.errors import UsageError
from textgen.loading import LoadedModel
from textgen.translation.grouping import (
    Encoder,
    Line,
    SourceLine,
    TranslationOptions,
    batches,
    parts,
)
from textgen.translation.length import MaxLength
from textgen.translation.pools import TranslationPool, batch_work, threads
from textgen.translation.result import Translation
from textgen.translation.shortlist import make_binder
from textgen.workers import in_order, ordered

FIRST_WINDOW = 16

Translations: TypeAlias = Generator[Translation, None, None]
"""To be closed where it is left before its end."""


def translate(
    loaded: LoadedModel,
    lines: Iterable[str],
    chain: Chain,
    options: TranslationOptions | None = None,
    *,
    prefixes: Iterable[str] | None = None,
    pool: TranslationPool | None = None,
) -> Translations:
    """Translate lines; one translation comes for each, in their order.

    A blank line gives an empty translation. Lines are read a window at a time, so an endless
    input needs no more memory than a short one; what a line gets depends neither on its window
    nor on its neighbours, as far as the precision of the model's rows promises that
    (``textgen.models.products.rows_are_independent``).

    Args:
        loaded: a translator.
        lines: without their ends; may be endless. A single text is one line.
        chain: how to decode.
        options: see ``TranslationOptions``.
        prefixes: a forced beginning for each line, "" for none.
        pool: see ``translate_windows``.

    Raises:
        UsageError: if the model is no translator, or prefixes run out before the lines.
    """
    options = options or TranslationOptions()
    forced = None if prefixes is None else listed(prefixes, "prefixes")
    windows = _windows(_with_prefixes(listed(lines, "lines"), forced), options.window)
    return translate_windows(loaded, windows, chain, options, pool=pool)


def translate_windows(
    loaded: LoadedModel,
    windows: Iterable[Sequence[SourceLine]],
    chain: Chain,
    options: TranslationOptions | None = None,
    *,
    binder: Binder | None = None,
    pool: TranslationPool | None = None,
) -> Translations:
    """As ``translate``, for lines that come in groups.

    With one worker each group is finished before the next is read; else one or two are read ahead.

    Args:
        loaded: a translator.
        windows: groups of lines, such as those that are at hand; may be endless.
        chain: how to decode lines that have no chain of their own.
        options: see ``TranslationOptions``; ``window`` does not matter.
        binder: that makes chains ready for this model; None for a new one.
        pool: decodes in the place of this process; see ``batch_work``. Then no line has a chain of
            its own, and ``options.workers`` does not matter.

    Raises:
        UsageError: if the model is no translator, or a chain does not suit it.
        CheckpointError: if shortlists are asked for and the model has no lexicon that fits.
    """
    loaded.require_source()
    options = options or TranslationOptions()
    binder = binder or make_binder(loaded, options)
    length = options.max_length or default_length(loaded)
    encoder = Encoder(loaded, options, length, binder, chain)
    own = binder(chain)
    if pool is None and options.workers > 1 and loaded.device.type == "cpu" and own.threads:
        pool = threads(loaded, own, options)
    if pool is None:
        return _translate(windows, encoder, options, partial(map, batch_work(loaded, own, options)))
    return _translate(windows, encoder, options, partial(ordered, pool), len(pool.works))


def default_length(loaded: LoadedModel) -> MaxLength:
    """One and a half times what the training pairs make likely, and ten.

    Of 138,314 English–French pairs of Tatoeba one is longer, of 29,000 of Multi30k none (German) or
    one (French). The farther the limit, the longer a search has to prove its result.
    """
    return MaxLength(1.5 * loaded.target_ratio, 10)


def _translate(
    windows: Iterable[Sequence[SourceLine]],
    encoder: Encoder,
    options: TranslationOptions,
    decode: Callable[[Iterator[list[Line]]], Iterator[list[Translation]]],
    workers: int = 1,
) -> Translations:
    """Lines of like length together; each is told as soon as all before it are."""
    found = decode(_batches(windows, encoder, options, workers))
    return in_order(found, lambda each: each.index)


def _batches(
    windows: Iterable[Sequence[SourceLine]],
    encoder: Encoder,
    options: TranslationOptions,
    workers: int,
) -> Iterator[list[Line]]:
    """What is decoded together, window by window."""
    begin = 0
    for window in windows:
        lines = [encoder(begin + at, line) for at, line in enumerate(window)]
        begin += len(lines)
        for part in parts(lines, attention=options.attention):
            yield from batches(part, options.batch_tokens, workers)


def _with_prefixes(lines: Iterable[str], prefixes: Iterable[str] | None) -> Iterator[SourceLine]:
    if prefixes is None:
        yield from map(SourceLine, lines)
        return
    forced = iter(prefixes)
    for index, text in enumerate(lines):
        prefix = next(forced, None)
        if prefix is None:
            raise UsageError(f"There are {index} prefixes and more lines than that.")
        yield SourceLine(text, prefix)


def _windows(lines: Iterable[SourceLine], size: int) -> Iterator[list[SourceLine]]:
    """Lines in groups; the first groups are small, so that the first output comes soon."""
    window: list[SourceLine] = []
    wanted = min(size, FIRST_WINDOW)
    for line in lines:
        window.append(line)
        if len(window) >= wanted:
            yield window
            window, wanted = [], min(size, wanted * 4)
    if window:
        yield window
