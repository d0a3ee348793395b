"""Perplexity that can be compared: over tokens, words, characters and bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from textgen.data.documents import Lines, TextSource
from textgen.data.streams import TokenStream, tokenise_stream
from textgen.decoding.scoring import token_log_probs
from textgen.errors import UsageError
from textgen.loading import LoadedModel
from textgen.protocols import Batch

WINDOW = 1024
"""Tokens read at once; the state is carried on, so the figure does not depend on it."""

Progress = Callable[[int, int], None]
"""Told the tokens done and the tokens in all."""


@dataclass(frozen=True)
class Perplexity:
    """How well a model foretells a text.

    Attributes:
        nll: negative log-likelihood of the whole text, nats.
        tokens: tokens foretold, end marks included.
        words: words of the original text between white space.
        characters: code points of the original text.
        bytes: bytes of the original text in UTF-8.
        unknown: tokens that the model's vocabulary lacks.
        eos_rule: which end marks are among the tokens.
    """

    nll: float
    tokens: int
    words: int
    characters: int
    bytes: int
    unknown: int
    eos_rule: str

    @property
    def perplexity(self) -> float:
        """exp(nll / tokens)."""
        return _exp(self.nll / self.tokens)

    @property
    def word_perplexity(self) -> float:
        """exp(nll / words), infinite if there are none."""
        return _exp(self.nll / self.words) if self.words else math.inf

    @property
    def nats_per_character(self) -> float:
        """Nll / characters."""
        return self.nll / self.characters

    @property
    def bits_per_character(self) -> float:
        """Nll / (ln 2 · characters)."""
        return self.nll / (math.log(2) * self.characters)

    @property
    def bits_per_byte(self) -> float:
        """Nll / (ln 2 · bytes)."""
        return self.nll / (math.log(2) * self.bytes)

    @property
    def comparable(self) -> bool:
        """Whether figures per word, character and byte compare with other vocabularies'.

        A token that stands for anything unknown is cheaper than the text it hides.
        """
        return self.unknown == 0

    def as_dict(self) -> dict[str, Any]:
        """All figures by name, ready for JSON."""
        names = ("perplexity", "word_perplexity", "nats_per_character", "bits_per_character")
        derived = {name: getattr(self, name) for name in (*names, "bits_per_byte", "comparable")}
        share = {"unknown_share": self.unknown / self.tokens}
        return {**asdict(self), **share, **derived}


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def perplexity(
    loaded: LoadedModel, source: TextSource, *, progress: Progress | None = None
) -> Perplexity:
    """Measure a language model on a text.

    A model of streams reads the whole text with its state carried on, bos before the first token;
    one of lines reads each line from a fresh state, eos included.

    Raises:
        UsageError: if the model is no language model.
        DataError: if the text is empty or cannot be read.
    """
    if loaded.kind != "language-model":
        raise UsageError(f"{loaded.name} is a {loaded.kind}: perplexity needs a language model.")
    lines = loaded.recipe.data.unit == "lines"
    stream = tokenise_stream(Lines(source) if lines else source, loaded.tokenizer)
    pieces = _line_pieces(stream, loaded) if lines else _stream_pieces(stream, loaded)
    total = len(stream) + int(lines)
    nll, done = 0.0, 0
    with torch.inference_mode():
        for log_probs in pieces:
            nll -= float(log_probs.double().sum())
            done += log_probs.numel()
            if progress is not None:
                progress(done, total)
    counts = stream.statistics
    return Perplexity(
        nll=nll,
        tokens=done,
        words=counts.words,
        characters=counts.characters + (counts.documents if lines else 0),
        bytes=counts.bytes + (counts.documents if lines else 0),
        unknown=counts.unknown,
        eos_rule=(
            "eos after each line, counted as its line end"
            if lines
            else "eos between documents, none within one and none at the end"
        ),
    )


def _stream_pieces(stream: TokenStream, loaded: LoadedModel) -> Iterator[Tensor]:
    """Log-probabilities of all tokens in order, a window (1, T) at a time."""
    model, device = loaded.model, loaded.device
    state = model.begin(Batch(1))
    last = torch.tensor([[loaded.tokenizer.marks.bos]], device=device)
    for start in range(0, len(stream), WINDOW):
        tokens = stream.slice(start, min(start + WINDOW, len(stream)))
        targets = torch.from_numpy(tokens).long().unsqueeze(0).to(device)
        inputs = torch.cat([last, targets[:, :-1]], dim=1)
        features, state = model.features(inputs, state)
        yield token_log_probs(model, features, targets)
        last = targets[:, -1:]


def _line_pieces(stream: TokenStream, loaded: LoadedModel) -> Iterator[Tensor]:
    """Log-probabilities of each line and its eos, batches of lines of one length at a time."""
    model, marks, device = loaded.model, loaded.tokenizer.marks, loaded.device
    for lines in _line_batches(stream, marks.eos):
        targets = torch.tensor([[*line, marks.eos] for line in lines], device=device)
        bos = targets.new_full((len(lines), 1), marks.bos)
        inputs = torch.cat([bos, targets[:, :-1]], dim=1)
        features, _ = model.features(inputs, model.begin(Batch(len(lines))))
        yield token_log_probs(model, features, targets)


def _line_batches(stream: TokenStream, eos: int, most: int = 64) -> Iterator[list[list[int]]]:
    """The stream's lines in groups of equal length."""
    waiting: dict[int, list[list[int]]] = {}
    for line in _lines(stream, eos):
        group = waiting.setdefault(len(line), [])
        group.append(line)
        if len(group) == most:
            yield waiting.pop(len(line))
    yield from waiting.values()


def _lines(stream: TokenStream, eos: int) -> Iterator[list[int]]:
    """The tokens between the eos marks."""
    line: list[int] = []
    for start in range(0, len(stream), 1 << 16):
        for token in stream.slice(start, min(start + (1 << 16), len(stream))).tolist():
            if token == eos:
                yield line
                line = []
            else:
                line.append(token)
    yield line
