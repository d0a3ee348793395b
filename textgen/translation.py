"""Source lines in, translations out: one for each line, in order."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from textgen.data.tokenizers.base import TextTokenizer
from textgen.decoding.chain import Chain
from textgen.decoding.session import make_session, padded
from textgen.errors import UsageError
from textgen.evaluation.alignment import Links, hard_links, unite_links, word_numbers
from textgen.loading import LoadedModel
from textgen.protocols import Batch, Hypotheses

_LENGTH = re.compile(r"(?:(\d+(?:\.\d+)?)x)?\+?(\d+)?")


@dataclass(frozen=True)
class MaxLength:
    """Most target tokens of a source, from its own length: ⌈factor · S⌉ + extra, eos counted."""

    factor: float = 0.0
    extra: int = 0

    @classmethod
    def parse(cls, text: str) -> MaxLength:
        """Read ``2x+10``, ``1.5x`` or ``100``.

        Raises:
            UsageError: if it is none of these, or always 0.
        """
        match = _LENGTH.fullmatch(text.replace(" ", ""))
        length = cls(float(match[1] or 0), int(match[2] or 0)) if match else cls()
        if length == cls():
            raise UsageError(f"The length {text!r} is not understood. Allowed: 2x+10, 1.5x, 100.")
        return length

    def of(self, source_tokens: int) -> int:
        """The limit of a source of so many tokens."""
        return max(1, math.ceil(self.factor * source_tokens) + self.extra)

    def __str__(self) -> str:
        return f"{self.factor:g}x+{self.extra}"


@dataclass(frozen=True)
class Options:
    """How lines are translated.

    Attributes:
        candidates: translations wanted for each line.
        batch_tokens: source tokens decoded at once, padding included.
        window: lines read ahead and grouped by length.
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


@dataclass(frozen=True)
class Candidate:
    """One translation of a line.

    Attributes:
        text: the translation, without line ends.
        tokens: generated and forced target tokens, eos included where it was generated.
        score: by which candidates are ranked.
        log_prob: sum of the tokens' log-probabilities, nats.
        token_log_probs: of each token, nats.
        finished: it ended with eos and not at its limit.
        attention: (T, S) float32 weights, eos of both sides included, or None.
    """

    text: str
    tokens: tuple[int, ...]
    score: float
    log_prob: float
    token_log_probs: tuple[float, ...]
    finished: bool
    attention: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Translation:
    """A line with its translations.

    Attributes:
        index: number of the line, from 0.
        source: the line.
        source_tokens: its tokens, without eos; cut at the longest allowed.
        cut: whether it was cut.
        candidates: best first; at least one.
    """

    index: int
    source: str
    source_tokens: tuple[int, ...]
    cut: bool
    candidates: tuple[Candidate, ...]

    @property
    def text(self) -> str:
        """The best translation."""
        return self.candidates[0].text


_EMPTY = Candidate("", (), 0.0, 0.0, (), finished=True)


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
    options: Options | None = None,
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
        options: see ``Options``.
        prefixes: a forced beginning for each line, "" for none.

    Raises:
        UsageError: if the model is no translator, or prefixes run out before the lines.
    """
    if loaded.kind != "translator":
        raise UsageError(f"{loaded.name} is a {loaded.kind}: use textgen generate.")
    options = options or Options()
    for window in _windows(_encoded(loaded, lines, prefixes, options), options.window):
        results: dict[int, Translation] = {}
        waiting = [line.index for line in window]
        for batch in _batches(window, options.batch_tokens):
            for translation in _translate_batch(loaded, batch, chain, options):
                results[translation.index] = translation
            while waiting and waiting[0] in results:
                yield results.pop(waiting.pop(0))


def _encoded(
    loaded: LoadedModel,
    lines: Iterable[str],
    prefixes: Iterable[str] | None,
    options: Options,
) -> Iterator[_Line]:
    """Lines with their tokens."""
    source, target = _source_tokenizer(loaded), loaded.tokenizer
    forced = iter(prefixes) if prefixes is not None else None
    for index, text in enumerate(lines):
        prefix = ""
        if forced is not None:
            found = next(forced, None)
            if found is None:
                raise UsageError(f"There are {index} prefixes and more lines than that.")
            prefix = found
        tokens = source.encode(text) if text.strip() else []
        cut = len(tokens) > options.max_source
        yield _Line(index, text, tokens[: options.max_source], cut, target.encode(prefix))


def _source_tokenizer(loaded: LoadedModel) -> TextTokenizer:
    return loaded.source_tokenizer or loaded.tokenizer


def _windows(lines: Iterable[_Line], size: int) -> Iterator[list[_Line]]:
    """Lines in groups; the first groups are small, so that the first output comes soon."""
    window: list[_Line] = []
    wanted = min(size, 16)
    for line in lines:
        window.append(line)
        if len(window) >= wanted:
            yield window
            window, wanted = [], min(size, wanted * 4)
    if window:
        yield window


def _batches(window: Sequence[_Line], batch_tokens: int) -> Iterator[list[_Line]]:
    """Lines of like length together; blank ones in a batch of their own."""
    blank = [line for line in window if not line.tokens]
    if blank:
        yield blank
    batch: list[_Line] = []
    longest = 0
    for line in sorted(window, key=lambda each: (len(each.tokens), each.index)):
        if not line.tokens:
            continue
        longest = max(longest, len(line.tokens) + 1)
        if batch and longest * (len(batch) + 1) > batch_tokens:
            yield batch
            batch, longest = [], len(line.tokens) + 1
        batch.append(line)
    if batch:
        yield batch


def _translate_batch(
    loaded: LoadedModel, batch: list[_Line], chain: Chain, options: Options
) -> Iterator[Translation]:
    """Decode lines together."""
    if not batch[0].tokens:
        yield from (Translation(line.index, line.text, (), line.cut, (_EMPTY,)) for line in batch)
        return
    marks, eos = loaded.tokenizer.marks, _source_tokenizer(loaded).marks.eos
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
    )
    hypotheses = chain.decode(session)
    for row, line in enumerate(batch):
        found = [
            _candidate(loaded, hypotheses, row, number, line)
            for number in range(hypotheses.tokens.shape[1])
            if number == 0 or torch.isfinite(hypotheses.scores[row, number])
        ]
        yield Translation(line.index, line.text, tuple(line.tokens), line.cut, tuple(found))


def default_length(loaded: LoadedModel) -> MaxLength:
    """Three times what the training pairs make likely, and ten."""
    return MaxLength(3 * loaded.target_ratio, 10)


def _candidate(
    loaded: LoadedModel, hypotheses: Hypotheses, row: int, number: int, line: _Line
) -> Candidate:
    length = int(hypotheses.lengths[row, number])
    tokens: list[int] = hypotheses.tokens[row, number, :length].tolist()
    attention = None
    if hypotheses.attention is not None:
        weights = hypotheses.attention[row, number, :length, : len(line.tokens) + 1]
        attention = weights.float().cpu().numpy()
    text = loaded.tokenizer.decode([*line.prefix, *tokens])
    return Candidate(
        text=" ".join(text.split("\n")).replace("\r", " "),
        tokens=tuple(tokens),
        score=float(hypotheses.scores[row, number]),
        log_prob=float(hypotheses.log_probs[row, number]),
        token_log_probs=tuple(hypotheses.token_log_probs[row, number, :length].tolist()),
        finished=bool(hypotheses.finished[row, number]),
        attention=attention,
    )


def surfaces(tokenizer: TextTokenizer, tokens: Sequence[int]) -> list[str]:
    """What each token adds to the text; marks add nothing."""
    marks = tokenizer.marks
    previous, texts = None, []
    for token in tokens:
        if token in {marks.pad, marks.bos, marks.eos}:
            texts.append("")
            continue
        texts.append(tokenizer.surface(token, previous).decode("utf-8", "replace"))
        previous = token
    return texts


def word_links(loaded: LoadedModel, translation: Translation, candidate: Candidate) -> Links:
    """Each target token's best source token, as links between words.

    Raises:
        UsageError: if the model has no attention.
    """
    if candidate.attention is None:
        if not candidate.tokens:
            return frozenset()
        raise UsageError(f"{loaded.name} has no attention: there is nothing to align by.")
    target = [token for token in candidate.tokens if token != loaded.tokenizer.marks.eos]
    source = translation.source_tokens
    links = hard_links(candidate.attention, len(source), len(target))
    return unite_links(
        links,
        word_numbers(surfaces(_source_tokenizer(loaded), source)),
        word_numbers(surfaces(loaded.tokenizer, target)),
    )


def replace_unknown(
    loaded: LoadedModel,
    translation: Translation,
    candidate: Candidate,
    dictionary: Mapping[str, str],
) -> str:
    """The translation with each unknown token replaced by the source word it attends to most.

    The word is looked up in the dictionary first and copied where that has no entry
    (Luong et al. 2015, "Addressing the rare word problem").
    """
    unknown = loaded.tokenizer.marks.unknown
    if unknown is None or candidate.attention is None or unknown not in candidate.tokens:
        return candidate.text
    words = translation.source.split()
    numbers = word_numbers(surfaces(_source_tokenizer(loaded), translation.source_tokens))
    texts = surfaces(loaded.tokenizer, candidate.tokens)
    for step, token in enumerate(candidate.tokens):
        best = int(candidate.attention[step, : len(numbers)].argmax())
        number = numbers[best]
        if token == unknown and number is not None and number < len(words):
            space = " " if texts[step].startswith(" ") else ""
            texts[step] = space + dictionary.get(words[number], words[number])
    return "".join(texts)
