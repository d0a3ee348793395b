"""Lines through a translator and a decoding chain."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from textgen.decoding.chain import Chain
from textgen.decoding.session import make_session, padded
from textgen.errors import UsageError
from textgen.evaluation.forced_alignment import force
from textgen.loading import LoadedModel, load_model
from textgen.protocols import Batch, Hypotheses
from textgen.translation.length import MaxLength
from textgen.translation.result import NOTHING, Candidate, Translation
from textgen.translation.words import one_line

FIRST_WINDOW = 16
_CHARACTERS_PER_TOKEN = 64  # of an over-long line no more than this is looked at
_WEIGHTS = 1 << 25  # attention weights that may wait for their turn


@dataclass(frozen=True)
class TranslationOptions:
    """How lines are translated.

    Attributes:
        candidates: translations wanted for each line.
        batch_tokens: source tokens decoded at once, padding included.
        window: most lines that are read ahead and grouped by length.
        max_source: source tokens after which a line is cut.
        max_length: of a translation; None takes the model's own.
        attention: keep the attention.
        seed: for strategies that draw lots.
    """

    candidates: int = 1
    batch_tokens: int = 1024
    window: int = 1024
    max_source: int = 1000
    max_length: MaxLength | None = None
    attention: bool = False
    seed: int = 0


class SourceLine(NamedTuple):
    """A line to translate, and a forced beginning of its translation."""

    text: str
    prefix: str = ""


@dataclass(frozen=True)
class _Line:
    index: int
    text: str
    tokens: list[int]
    cut: bool
    prefix: list[int]


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
) -> Iterator[Translation]:
    """As ``translate``, for lines that come in groups: each is finished before the next is read.

    Args:
        loaded: a translator.
        windows: groups of lines, such as those that are at hand; may be endless.
        chain: how to decode.
        options: see ``TranslationOptions``; ``window`` does not matter.

    Raises:
        UsageError: if the model is no translator.
    """
    loaded.require_source()
    options = options or TranslationOptions()
    if options.max_length is None:
        options = dataclasses.replace(options, max_length=default_length(loaded))
    load = functools.partial(load_model, device=str(loaded.device))
    return _translate(loaded, windows, chain.bind(loaded.tokenizer, load), options)


def default_length(loaded: LoadedModel) -> MaxLength:
    """Three times what the training pairs make likely, and ten."""
    return MaxLength(3 * loaded.target_ratio, 10)


def _translate(
    loaded: LoadedModel,
    windows: Iterable[Sequence[SourceLine]],
    chain: Chain,
    options: TranslationOptions,
) -> Iterator[Translation]:
    begin = 0
    for window in windows:
        lines = [_encoded(loaded, begin + at, line, options) for at, line in enumerate(window)]
        begin += len(lines)
        for part in _parts(lines, options):
            yield from _translate_window(loaded, part, chain, options)


def _translate_window(
    loaded: LoadedModel, window: Sequence[_Line], chain: Chain, options: TranslationOptions
) -> Iterator[Translation]:
    """Lines of like length together; each is told as soon as all before it are."""
    results: dict[int, Translation] = {}
    following = window[0].index
    for batch in _batches(window, options.batch_tokens):
        results.update(
            (each.index, each) for each in _translate_batch(loaded, batch, chain, options)
        )
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


def _encoded(
    loaded: LoadedModel, index: int, line: SourceLine, options: TranslationOptions
) -> _Line:
    """A line with its tokens; a blank one has none."""
    text = line.text.strip()
    most = options.max_source * _CHARACTERS_PER_TOKEN
    tokens = loaded.require_source().encode(text[:most]) if text else []
    cut = len(tokens) > options.max_source or len(text) > most
    whole = loaded.tokenizer.kind in {"characters", "bytes"}
    prefix = line.prefix if whole else line.prefix.strip()
    forced = loaded.tokenizer.encode(prefix)
    return _Line(index, line.text, tokens[: options.max_source], cut, forced)


def _parts(window: Sequence[_Line], options: TranslationOptions) -> Iterator[list[_Line]]:
    """A window in parts whose attention, if it is kept, may wait in memory for its turn."""
    part: list[_Line] = []
    weights = 0
    length = options.max_length or MaxLength(1)
    for line in window:
        size = len(line.tokens) + 1
        more = options.candidates * size * length.of(size) if options.attention else 0
        if part and weights + more > _WEIGHTS:
            yield part
            part, weights = [], 0
        part.append(line)
        weights += more
    if part:
        yield part


def _batches(window: Sequence[_Line], batch_tokens: int) -> list[list[_Line]]:
    """Lines of like length together, the batch of the first line first; blank ones apart."""
    batches: list[list[_Line]] = []
    blank = [line for line in window if not line.tokens]
    if blank:
        batches.append(blank)
    batch: list[_Line] = []
    for line in sorted(window, key=lambda each: (len(each.tokens), each.index)):
        if not line.tokens:
            continue
        if batch and (len(line.tokens) + 1) * (len(batch) + 1) > batch_tokens:
            batches.append(batch)
            batch = []
        batch.append(line)
    if batch:
        batches.append(batch)
    return sorted(batches, key=lambda each: min(line.index for line in each))


def _translate_batch(
    loaded: LoadedModel, batch: list[_Line], chain: Chain, options: TranslationOptions
) -> Iterator[Translation]:
    """Decode lines together."""
    if not batch[0].tokens:
        yield from (Translation(line.index, line.text, (), line.cut, (NOTHING,)) for line in batch)
        return
    marks, eos = loaded.tokenizer.marks, loaded.require_source().marks.eos
    source, lengths = padded([[*line.tokens, eos] for line in batch], marks.pad, loaded.device)
    max_length = options.max_length or default_length(loaded)
    session = make_session(
        loaded.model,
        Batch(len(batch), source, lengths),
        [line.prefix for line in batch],
        marks=marks,
        limits=[max_length.of(len(line.tokens) + 1) for line in batch],
        seed=options.seed,
        indices=[line.index for line in batch],
        samples=options.candidates,
        attention=options.attention,
        prefix_scored=True,
        texts=[line.text.strip() for line in batch],
    )
    hypotheses = chain.decode(session)
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
    loaded: LoadedModel, hypotheses: Hypotheses, row: int, number: int, line: _Line
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
    loaded: LoadedModel, line: _Line, candidates: Sequence[Candidate], options: TranslationOptions
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
