"""Lines through a translator and a decoding chain."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import torch

from textgen.decoding.binding import Binder
from textgen.decoding.chain import Chain
from textgen.decoding.rowwise import rowwise
from textgen.decoding.session import make_session, padded
from textgen.errors import UsageError
from textgen.evaluation.forced_alignment import force
from textgen.loading import LoadedModel
from textgen.protocols import Batch, Hypotheses
from textgen.translation.grouping import (
    Encoder,
    Line,
    SourceLine,
    TranslationOptions,
    batches,
    parts,
)
from textgen.translation.length import MaxLength
from textgen.translation.result import NOTHING, Candidate, Translation
from textgen.translation.words import one_line

FIRST_WINDOW = 16


def translate(
    loaded: LoadedModel,
    lines: Iterable[str],
    chain: Chain,
    options: TranslationOptions | None = None,
    *,
    prefixes: Iterable[str] | None = None,
) -> Iterator[Translation]:
    """Translate lines; one translation comes for each, in their order.

    A blank line gives an empty translation. Lines are read a window at a time, so an endless
    input needs no more memory than a short one; what a line gets depends neither on its window
    nor on its neighbours.

    Args:
        loaded: a translator.
        lines: without their ends; may be endless.
        chain: how to decode.
        options: see ``TranslationOptions``.
        prefixes: a forced beginning for each line, "" for none.

    Raises:
        UsageError: if the model is no translator, or prefixes run out before the lines.
    """
    options = options or TranslationOptions()
    windows = _windows(_with_prefixes(lines, prefixes), options.window)
    return translate_windows(loaded, windows, chain, options)


def translate_windows(
    loaded: LoadedModel,
    windows: Iterable[Sequence[SourceLine]],
    chain: Chain,
    options: TranslationOptions | None = None,
    *,
    binder: Binder | None = None,
) -> Iterator[Translation]:
    """As ``translate``, for lines that come in groups: each is finished before the next is read.

    Args:
        loaded: a translator.
        windows: groups of lines, such as those that are at hand; may be endless.
        chain: how to decode lines that have no chain of their own.
        options: see ``TranslationOptions``; ``window`` does not matter.
        binder: that makes chains ready for this model; None for a new one.

    Raises:
        UsageError: if the model is no translator, or a chain does not suit it.
    """
    loaded.require_source()
    options = options or TranslationOptions()
    max_length = options.max_length or default_length(loaded)
    encoder = Encoder(loaded, chain, options, max_length, binder or loaded.binder())
    return _translate(loaded, windows, encoder, options)


def default_length(loaded: LoadedModel) -> MaxLength:
    """Twice what the training pairs make likely, and ten."""
    return MaxLength(2 * loaded.target_ratio, 10)


def _translate(
    loaded: LoadedModel,
    windows: Iterable[Sequence[SourceLine]],
    encoder: Encoder,
    options: TranslationOptions,
) -> Iterator[Translation]:
    begin = 0
    for window in windows:
        lines = [encoder(begin + at, line) for at, line in enumerate(window)]
        begin += len(lines)
        for part in parts(lines, attention=options.attention):
            yield from _translate_window(loaded, part, options)


def _translate_window(
    loaded: LoadedModel, window: Sequence[Line], options: TranslationOptions
) -> Iterator[Translation]:
    """Lines of like length together; each is told as soon as all before it are."""
    results: dict[int, Translation] = {}
    following = window[0].index
    for batch in batches(window, options.batch_tokens):
        results.update((each.index, each) for each in _translate_batch(loaded, batch, options))
        while following in results:
            yield results.pop(following)
            following += 1


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


def _translate_batch(
    loaded: LoadedModel, batch: list[Line], options: TranslationOptions
) -> Iterator[Translation]:
    """Decode lines together."""
    if not batch[0].tokens:
        yield from (Translation(line.index, line.text, (), line.cut, (NOTHING,)) for line in batch)
        return
    marks, eos = loaded.tokenizer.marks, loaded.require_source().marks.eos
    source, lengths = padded([[*line.tokens, eos] for line in batch], marks.pad, loaded.device)
    session = make_session(
        loaded.model,
        Batch(len(batch), source, lengths),
        [line.prefix for line in batch],
        marks=marks,
        limits=[line.limit for line in batch],
        seed=[line.lot[0] for line in batch],
        indices=[line.lot[1] for line in batch],
        samples=batch[0].candidates,
        attention=options.attention,
        prefix_scored=True,
        texts=[line.text.strip() for line in batch],
    )
    filters = rowwise([line.chain.filters for line in batch])
    hypotheses = dataclasses.replace(batch[0].chain, filters=filters).decode(session)
    for row, line in enumerate(batch):
        found = [
            _candidate(loaded, hypotheses, row, number, line)
            for number in range(hypotheses.tokens.shape[1])
            if number == 0 or torch.isfinite(hypotheses.scores[row, number])
        ]
        if line.prefix:
            found = _with_forced(loaded, line, found, options)
        yield Translation(line.index, line.text, tuple(line.tokens), line.cut, tuple(found))


def _candidate(
    loaded: LoadedModel, hypotheses: Hypotheses, row: int, number: int, line: Line
) -> Candidate:
    length = int(hypotheses.lengths[row, number])
    tokens: list[int] = hypotheses.tokens[row, number, :length].tolist()
    attention = None
    if hypotheses.attention is not None:
        weights = hypotheses.attention[row, number, :length, : len(line.tokens) + 1]
        attention = weights.float().cpu().numpy().copy()
    return Candidate(
        text=one_line(loaded.tokenizer.decode([*line.prefix, *tokens])),
        tokens=(*line.prefix, *tokens),
        score=float(hypotheses.scores[row, number]),
        log_prob=float(hypotheses.log_probs[row, number]),
        token_log_probs=tuple(hypotheses.token_log_probs[row, number, :length].tolist()),
        finished=bool(hypotheses.finished[row, number]),
        attention=attention,
    )


def _with_forced(
    loaded: LoadedModel, line: Line, candidates: Sequence[Candidate], options: TranslationOptions
) -> list[Candidate]:
    """What a search does not tell of the tokens that were forced, from one more reading."""
    forced = force(loaded, [line.tokens] * len(candidates), [each.tokens for each in candidates])
    return [
        dataclasses.replace(
            candidate,
            token_log_probs=tuple(found.log_probs.tolist()),
            attention=found.attention if options.attention else None,
        )
        for candidate, found in zip(candidates, forced, strict=True)
    ]
