"""Ways to decode compared on one language model, and with what people wrote."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from textgen.data.documents import Lines, TextSource
from textgen.data.streams import TokenStream
from textgen.data.tokenising import tokenise_stream
from textgen.data.tokenizers.base import TextTokenizer
from textgen.data.tokenizers.stream_decoder import StreamDecoder
from textgen.decoding.chain import Chain
from textgen.decoding.scoring import score
from textgen.errors import DataError
from textgen.evaluation.diversity import TextFigures, UnitKind, measure_texts
from textgen.inference import Request, generate
from textgen.loading import LoadedModel
from textgen.protocols import Batch

CONTEXT = 64
"""Most tokens of a text by people that serve as the prompt."""

HUMAN = "human text"

_WARM_UP = 2
_BATCH = 16
_SEEK = 32  # tokens that a cut may be moved to the next white space

Progress = Callable[[int, int], None]
"""Told the texts done and the texts in all."""


@dataclass(frozen=True)
class Job:
    """What every strategy is asked for.

    Attributes:
        prompts: texts to go on from.
        samples: texts wanted for each prompt.
        max_tokens: most tokens of each.
        seed: of the random numbers.
        units: what is counted: words or characters.
    """

    prompts: tuple[str, ...]
    samples: int = 1
    max_tokens: int = 256
    seed: int = 0
    units: UnitKind = "words"

    def requests(self) -> list[Request]:
        """One request for each prompt."""
        return [
            Request(prompt, self.samples, self.max_tokens, seed=self.seed, index=index)
            for index, prompt in enumerate(self.prompts)
        ]


@dataclass(frozen=True)
class Excerpt:
    """A piece of a text that people wrote.

    Attributes:
        prompt: its beginning.
        prompt_tokens: of the prompt, without bos.
        text: what follows.
        tokens: of what follows, eos included where it ends there.
    """

    prompt: str
    prompt_tokens: tuple[int, ...]
    text: str
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """What came of one way to decode.

    Attributes:
        name: as it was asked for.
        decode: the resolved chain; empty for text by people.
        figures: None if it failed.
        seconds: that it took.
        error: why it failed.
    """

    name: str
    decode: str
    figures: TextFigures | None = None
    seconds: float = math.nan
    error: str | None = None

    @property
    def speed(self) -> float:
        """Characters a second."""
        if self.figures is None:
            return math.nan
        return self.figures.characters * self.figures.texts / max(self.seconds, 1e-9)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for --json."""
        figures = {} if self.figures is None else self.figures.as_dict()
        timed = {"seconds": self.seconds, "characters_per_second": self.speed}
        return {
            "name": self.name,
            "decode": self.decode or None,
            **figures,
            **({} if self.figures is None else timed),
            "error": self.error,
        }


def measure_decoding(
    loaded: LoadedModel, name: str, chain: Chain, job: Job, progress: Progress | None = None
) -> Row:
    """Generate with one chain and measure what comes out.

    A few tokens are generated beforehand and not timed: what is compiled or loaded on the first
    call is no property of the strategy.

    Raises:
        TextgenError: if the chain does not work with the model.
    """
    requests = job.requests()
    short = [replace(each, max_tokens=min(_WARM_UP, job.max_tokens)) for each in requests[:_BATCH]]
    for _ in generate(loaded, short, chain, batch_size=_BATCH):
        pass
    texts: list[str] = []
    nll, tokens = 0.0, 0
    began = time.perf_counter()
    for generation in generate(loaded, requests, chain, batch_size=_BATCH):
        texts.append(generation.text)
        nll -= generation.log_prob
        tokens += len(generation.tokens)
        if progress is not None:
            progress(generation.index, len(requests))
    seconds = time.perf_counter() - began
    figures = measure_texts(texts, nll, tokens, job.units)
    return Row(name, " | ".join(chain.description), figures, seconds)


def measure_people(
    loaded: LoadedModel, excerpts: Sequence[Excerpt], units: UnitKind = "words"
) -> Row:
    """The same figures of what people wrote after the prompts, scored by the same model."""
    bos = loaded.tokenizer.special.bos
    nll = 0.0
    for start in range(0, len(excerpts), _BATCH):
        batch = excerpts[start : start + _BATCH]
        log_probs = score(
            loaded.model,
            Batch(len(batch)),
            [[bos, *each.prompt_tokens] for each in batch],
            [each.tokens for each in batch],
        )
        nll -= float(log_probs.double().sum())
    tokens = sum(len(each.tokens) for each in excerpts)
    return Row(HUMAN, "", measure_texts([each.text for each in excerpts], nll, tokens, units))


def cut_excerpts(loaded: LoadedModel, source: TextSource, count: int, length: int) -> list[Excerpt]:
    """Pieces of a text, evenly spaced and without overlap.

    Of a model of streams each has a prompt of ``CONTEXT`` tokens, moved on to the next white space
    where tokens are characters or bytes, and ``length`` tokens that follow. Of a model of lines
    each is a line, cut after ``length`` tokens; its first half, at most ``CONTEXT`` tokens, is the
    prompt.

    Args:
        loaded: a language model.
        source: the text.
        count: pieces wanted; fewer come from a text that has no more.
        length: most tokens that follow a prompt.

    Raises:
        DataError: if the text cannot be read or is too short for one piece.
    """
    lines = loaded.recipe.data.unit == "lines"
    stream = tokenise_stream(Lines(source) if lines else source, loaded.tokenizer)
    cut = _line_cuts if lines else _stream_cuts
    pieces = list(cut(stream, loaded.tokenizer, count, length))
    if not pieces:
        raise DataError(
            f"{source.name}: has {len(stream):,} tokens, too few for a prompt and "
            f"{length:,} tokens after it. Take a longer text, or fewer tokens (--max-tokens)."
        )
    return [_excerpt(loaded.tokenizer, prompt, rest) for prompt, rest in pieces]


Cut = tuple[list[int], list[int]]


def _stream_cuts(
    stream: TokenStream, tokenizer: TextTokenizer, count: int, length: int
) -> Iterator[Cut]:
    """Prompts and what follows them, from all over the stream."""
    spaces = tokenizer.kind in {"characters", "bytes"}
    seek = _SEEK if spaces else 0
    size = CONTEXT + seek + length
    count = min(count, len(stream) // size)
    for number in range(count):
        start = number * (len(stream) - size) // max(count - 1, 1)
        tokens: list[int] = stream.slice(start, start + size).tolist()
        place = CONTEXT
        while spaces and place < CONTEXT + seek and not _is_space(tokenizer, tokens[place - 1]):
            place += 1
        yield tokens[:place], tokens[place : place + length]


def _is_space(tokenizer: TextTokenizer, token: int) -> bool:
    return tokenizer.decode([token]).isspace()


def _line_cuts(
    stream: TokenStream, tokenizer: TextTokenizer, count: int, length: int
) -> Iterator[Cut]:
    """First halves of lines and the rest with its eos, from all over the stream."""
    tokens = torch.from_numpy(stream.slice(0, len(stream)))
    eos = tokenizer.special.eos
    ends = [*(tokens == eos).nonzero().flatten().tolist(), len(tokens)]
    starts = [0, *(end + 1 for end in ends[:-1])]
    whole = [pair for pair in zip(starts, ends, strict=True) if pair[1] - pair[0] > 1]
    count = min(count, len(whole))
    for number in range(count):
        start, end = whole[number * (len(whole) - 1) // max(count - 1, 1)]
        line: list[int] = tokens[start:end].tolist()
        place = min(CONTEXT, len(line) // 2)
        yield line[:place], [*line[place:], eos][:length]


def _excerpt(tokenizer: TextTokenizer, prompt: list[int], rest: list[int]) -> Excerpt:
    """A piece as text; the prompt's tokens are those that its text has when it is typed."""
    text = tokenizer.decode(prompt)
    decoder = StreamDecoder(tokenizer, prompt[-1] if prompt else None)
    after = "".join(map(decoder.push, rest)) + decoder.flush()
    return Excerpt(text, tuple(tokenizer.encode(text)), after, tuple(rest))
