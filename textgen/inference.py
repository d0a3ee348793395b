"""Text in, text out: continuations of prompts, in the order of the requests."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from textgen.arguments import listed, shortened, text_of, whole_number, whole_numbers
from textgen.data.encodings import without_surrogates
from textgen.data.tokenizers.base import TextTokenizer
from textgen.data.tokenizers.stream_decoder import StreamDecoder
from textgen.decoding.binding import Binder
from textgen.decoding.chain import Chain
from textgen.decoding.hypotheses import on_host
from textgen.decoding.random import check_seed
from textgen.decoding.rowwise import rowwise
from textgen.decoding.session import make_session
from textgen.errors import UsageError, memory_errors_told
from textgen.loading import LoadedModel, load_model
from textgen.notebooks import surprise_html
from textgen.protocols import Batch, Beam, Hypotheses, Watch
from textgen.recipes.recipe import CLASSIFIER, TAGGER, TRANSLATOR

__all__ = ["Generation", "LoadedModel", "Request", "generate", "generate_each", "load_model"]

OnText = Callable[[int, str], None]
"""Called with a request's index and the text that has just become certain; of a model of bytes
with those bytes that are no UTF-8 as surrogates (``surrogateescape``)."""


@dataclass(frozen=True)
class Request:
    """A text to continue.

    Attributes:
        prompt: the text.
        samples: continuations wanted; None: as many as the strategy's own options name, or one.
        max_tokens: most tokens of each.
        stop: a continuation ends before the first of these texts.
        seed: of the random numbers, 0 to 2⁶³ − 1.
        index: of the request in its job; requests with other indices draw other numbers. None: its
            place among the requests, from 0.
        chain: how to decode this one; None where it is as the others are.
    """

    prompt: str
    samples: int | None = None
    max_tokens: int = 500
    stop: tuple[str, ...] = ()
    seed: int = 0
    index: int | None = None
    chain: Chain | None = None

    def __post_init__(self) -> None:
        """See that all is what it should be; a single stop text is a list of one.

        Raises:
            UsageError: if something is not.
        """
        text_of(self.prompt, "prompt")
        object.__setattr__(self, "stop", tuple(listed(self.stop, "stop")))
        if "" in self.stop:
            raise UsageError("stop: an empty text would stop at once.")
        whole_numbers(self, {"samples": 1, "max_tokens": 0, "index": 0})
        check_seed(self.seed)


@dataclass(frozen=True)
class Generation:
    """A continuation.

    Attributes:
        prompt: that it continues.
        index: of the request.
        sample: number among the request's continuations, best first where they are ranked.
        text: the continuation without the prompt, cut before a stop text.
        tokens: all generated tokens, eos included.
        log_prob: sum of their log-probabilities before any filter, nats.
        finished: what ended it.
        raw: the text's bytes; of a model of bytes they may be no UTF-8.
        pieces: what each token adds to the text; nothing where the text is cut before a stop text.
        token_log_probs: of each token, before any filter, nats.
    """

    prompt: str
    index: int
    sample: int
    text: str
    tokens: tuple[int, ...]
    log_prob: float
    finished: Literal["eos", "stop", "limit"]
    raw: bytes = b""
    pieces: tuple[str, ...] = ()
    token_log_probs: tuple[float, ...] = ()

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        """The text for notebooks, coloured by how surprising each token was."""
        note = f"{len(self.tokens)} tokens, log-probability {self.log_prob:.2f}, {self.finished}"
        pieces = self.pieces or (self.text,)
        return surprise_html(self.prompt, pieces, self.token_log_probs or (0.0,), note)

    def __repr__(self) -> str:
        return (
            f"Generation({shortened(self.text)!r}, {len(self.tokens)} tokens, "
            f"log_prob={self.log_prob:.4g}, finished={self.finished!r})"
        )


def generate(
    loaded: LoadedModel,
    requests: Iterable[Request] | Request,
    chain: Chain,
    *,
    batch_size: int = 16,
    on_text: OnText | None = None,
) -> Iterator[Generation]:
    """Continue texts; results come in the order of the requests, batch by batch.

    What a request gets depends neither on its batch nor on its neighbours, as far as the precision
    of the model's rows promises that (``textgen.models.products.rows_are_independent``).

    Args:
        loaded: a language model.
        requests: one or several; may be endless; they are read as they are needed.
        chain: how to decode where a request has no chain of its own.
        batch_size: requests decoded at once.
        on_text: told the text as it becomes certain, where one request with one sample is
            decoded and the strategy can say it; else all at the end.

    Raises:
        UsageError: if the model is no language model.
    """
    for found in generate_each(loaded, requests, chain, batch_size=batch_size, on_text=on_text):
        yield from found


def require_language_model(loaded: LoadedModel) -> None:
    """See that a model continues texts.

    Raises:
        UsageError: if it is no language model.
    """
    if loaded.kind != "language-model":
        other = {TRANSLATOR: "translate", CLASSIFIER: "predict", TAGGER: "predict"}
        use = other.get(loaded.kind)
        hint = f"use textgen {use}" if use else "a language model is needed"
        raise UsageError(f"{loaded.name} is a {loaded.kind}: {hint}.")


def generate_each(
    loaded: LoadedModel,
    requests: Iterable[Request] | Request,
    chain: Chain,
    *,
    batch_size: int = 16,
    on_text: OnText | None = None,
    binder: Binder | None = None,
) -> Iterator[list[Generation]]:
    """As ``generate``, a list for each request: its continuations.

    They are fewer than asked for only where the strategy finds no more.

    Args:
        loaded: a language model.
        requests: may be endless.
        chain: how to decode where a request has no chain of its own.
        batch_size: requests decoded at once; those of one strategy make one search, whatever their
            filters, limits, seeds and stop texts are.
        on_text: see ``generate``.
        binder: that makes chains ready for this model; None for a new one.

    Raises:
        UsageError: if the model is no language model, a chain does not suit it, or a request and
            its strategy name two numbers of continuations.
    """
    require_language_model(loaded)
    binder = binder or loaded.binder()
    batch_size = whole_number(batch_size, "batch_size", 1)
    remaining = enumerate(_requests(requests))
    while numbered := list(itertools.islice(remaining, batch_size)):
        batch = [
            each if each.index is not None else replace(each, index=place)
            for place, each in numbered
        ]
        chains = [binder(request.chain or chain) for request in batch]
        groups: dict[tuple[int, bool, int], list[int]] = {}
        for place, (request, own) in enumerate(zip(batch, chains, strict=True)):
            samples = (request.chain or chain).results(request.samples)
            key = id(own.strategy), own.allow_unknown, samples
            groups.setdefault(key, []).append(place)
        results: dict[int, list[Generation]] = {}
        for (*_, samples), places in groups.items():
            these, theirs = [batch[place] for place in places], [chains[place] for place in places]
            found = _generate_batch(loaded, these, theirs, samples, on_text)
            results.update(zip(places, found, strict=True))
        yield from (results[place] for place in range(len(batch)))


def _requests(requests: Iterable[Request] | Request) -> Iterator[Request]:
    """The requests as they come, each seen to be one; one alone is a list of one.

    Raises:
        UsageError: if they are anything else.
    """
    given: object = [requests] if isinstance(requests, Request) else requests
    if not isinstance(given, Iterable) or isinstance(given, str | bytes):
        raise UsageError(
            "Requests are a list of textgen.Request, not "
            f"{type(given).__name__}: [textgen.Request(prompt)]."
        )
    for number, each in enumerate(given, start=1):
        if not isinstance(each, Request):
            raise UsageError(
                f"Request {number} is no textgen.Request, but {type(each).__name__}: "
                "[textgen.Request(prompt)]."
            )
        yield each


@memory_errors_told()
def _generate_batch(
    loaded: LoadedModel,
    requests: Sequence[Request],
    chains: Sequence[Chain],
    samples: int,
    on_text: OnText | None,
) -> list[list[Generation]]:
    """Requests with the same strategy and number of samples, decoded together."""
    tokenizer = loaded.tokenizer
    prompts = [tokenizer.encode(request.prompt) for request in requests]
    writers = [
        _Writer(tokenizer, request, prompt, on_text, chain.minimum_length)
        for request, prompt, chain in zip(requests, prompts, chains, strict=True)
    ]
    streaming = on_text is not None and len(requests) == 1 and samples == 1
    session = make_session(
        loaded.model,
        Batch(len(requests)),
        prompts,
        special=tokenizer.special,
        limits=[request.max_tokens for request in requests],
        seed=[request.seed for request in requests],
        indices=[request.index or 0 for request in requests],
        samples=samples,
        watch=_watch(writers),
        texts=[request.prompt for request in requests],
        on_stable_prefix=writers[0].on_stable_prefix if streaming else None,
        allow_unknown=chains[0].allow_unknown,
    )
    together = replace(chains[0], filters=rowwise([chain.filters for chain in chains]))
    hypotheses = on_host(together.decode(session))
    return [
        [
            writer.generation(hypotheses, row, sample)
            for sample in range(hypotheses.tokens.shape[1])
            if torch.isfinite(hypotheses.scores[row, sample])
        ]
        for row, writer in enumerate(writers)
    ]


class _Writer:
    """Turns the tokens of one request into text, and knows where it ends."""

    def __init__(
        self,
        tokenizer: TextTokenizer,
        request: Request,
        prompt: Sequence[int],
        on_text: OnText | None,
        least: int,
    ) -> None:
        self.tokenizer = tokenizer
        # texts are compared in the form in which the model writes
        stop = tuple(map(tokenizer.normalise, request.stop))
        self.request = request = replace(request, stop=stop)
        self.least = least  # tokens before which no stop text counts
        self.previous = prompt[-1] if prompt else None
        self.on_text = on_text
        # a stop text that ends in the last token spans at most as many tokens as it has bytes
        self.reach = max((len(stop.encode()) for stop in request.stop), default=0) + 1
        self._decoder = StreamDecoder(tokenizer, self.previous, tokenizer.errors)
        self._pending = ""
        self._written = ""
        self._settled = 0  # tokens told so far
        self._free = 0  # characters of the first ``least`` tokens

    def pieces(self, tokens: Sequence[int]) -> list[str]:
        """What each token adds; a prompt that ends in white space has its space already."""
        decoder = StreamDecoder(self.tokenizer, self.previous, self.tokenizer.errors)
        pieces = [decoder.push(token) for token in tokens]
        if pieces:
            pieces[-1] += decoder.flush()
        first = next((place for place, piece in enumerate(pieces) if piece), None)
        if first is not None:
            pieces[first] = self._joined(pieces[first])
        return pieces

    def free(self, tokens: Sequence[int]) -> int:
        """How many characters at the beginning no stop text may take away."""
        decoder = StreamDecoder(self.tokenizer, self.previous, self.tokenizer.errors)
        return len(self._joined("".join(map(decoder.push, tokens[: self.least]))))

    def _joined(self, text: str) -> str:
        spaced = self.tokenizer.kind == "words" and self.request.prompt[-1:].isspace()
        return text.removeprefix(" ") if spaced else text

    def stops_in(self, tokens: Sequence[int], before: int) -> bool:
        """Whether a stop text is complete within the last tokens, after ``before`` others."""
        tail = self.tokenizer.decode(tokens[max(0, self.least - before) :])
        return any(stop in tail for stop in self.request.stop)

    def on_stable_prefix(self, sources: Tensor, tokens: Tensor, lengths: Tensor) -> None:
        """Take in what is certain of the only request; see ``textgen.protocols.OnStablePrefix``."""
        del sources
        for token in tokens[0, self._settled : int(lengths[0])].tolist():
            self._settled += 1
            self.push(token)
            if self._settled <= self.least:
                self._free = len(self._written) + len(self._pending)

    def push(self, token: int) -> None:
        """Tell ``on_text`` what has become certain; what may begin a stop text waits."""
        new = self._decoder.push(token)
        if not self._written and not self._pending:
            new = self._joined(new)
        self._pending += new
        free = max(0, self._free - len(self._written))
        if self._settled <= self.least:
            free = len(self._pending)
        later = self._pending[free:]
        if any(stop in later for stop in self.request.stop):
            return
        self._tell(self._pending[: len(self._pending) - self._held(later)])

    def _held(self, text: str) -> int:
        """How many characters at the end may be the beginning of a stop text."""
        lengths = (
            length
            for stop in self.request.stop
            for length in range(min(len(stop) - 1, len(text)), 0, -1)
            if text.endswith(stop[:length])
        )
        return max(lengths, default=0)

    def _tell(self, text: str) -> None:
        if text and self.on_text is not None:
            self.on_text(self.request.index or 0, text)
        self._written += text
        self._pending = self._pending[len(text) :]

    def generation(self, hypotheses: Hypotheses, row: int, sample: int) -> Generation:
        """The result of one hypothesis; the rest of its text goes to ``on_text``."""
        length = int(hypotheses.lengths[row, sample])
        tokens: list[int] = hypotheses.tokens[row, sample, :length].tolist()
        pieces = self.pieces(tokens)
        text = "".join(pieces)
        free = self.free(tokens)
        ends = [at for stop in self.request.stop if (at := text.find(stop, free)) >= 0]
        finished: Literal["eos", "stop", "limit"] = "limit"
        if ends:
            text, finished = text[: min(ends)], "stop"
        elif tokens and tokens[-1] == self.tokenizer.special.eos:
            finished = "eos"
        if self.on_text is not None and sample == 0:
            self.on_text(self.request.index or 0, text[len(self._written) :])
        log_prob = float(hypotheses.log_probs[row, sample])
        return Generation(
            self.request.prompt,
            self.request.index or 0,
            sample,
            without_surrogates(text),
            tuple(tokens),
            log_prob,
            finished,
            raw=text.encode("utf-8", "surrogateescape"),
            pieces=tuple(map(without_surrogates, _cut(pieces, len(text)))),
            token_log_probs=tuple(hypotheses.token_log_probs[row, sample, :length].tolist()),
        )


def _cut(pieces: Sequence[str], length: int) -> Iterator[str]:
    """Pieces of a text of which only so many characters are kept."""
    for piece in pieces:
        yield piece[:length]
        length = max(0, length - len(piece))


def _watch(writers: list[_Writer]) -> Watch | None:
    """What looks at each step and stops rows at their stop texts."""
    if not any(writer.request.stop for writer in writers):
        return None
    return lambda beam: _stopped(beam, writers)


def _stopped(beam: Beam, writers: list[_Writer]) -> Tensor:
    """(B, K) bool: rows in which a stop text has just been completed."""
    reach = max(writer.reach for writer in writers)
    tails = beam.tokens[:, :, -reach:].tolist()
    rows = [
        [_stops(writers[source], tail, beam.step) for tail in hypotheses]
        for source, hypotheses in zip(beam.sources.tolist(), tails, strict=True)
    ]
    return torch.tensor(rows, dtype=torch.bool, device=beam.tokens.device)


def _stops(writer: _Writer, tail: Sequence[int], step: int) -> bool:
    """Whether one row has just completed a stop text: its last tokens, after so many steps."""
    last = tail[-writer.reach :]
    return writer.stops_in(last, step - len(last))
