"""Perplexity that can be compared: over tokens, words, characters and bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from textgen.data.documents import Lines, TextSource
from textgen.data.splitting import hold_out
from textgen.data.streams import TokenStream
from textgen.data.tokenising import tokenise_stream
from textgen.decoding.scoring import token_log_probs
from textgen.errors import UsageError
from textgen.loading import LoadedModel
from textgen.protocols import Batch
from textgen.workers import WorkerPool, ordered

WINDOW = 1024
"""Tokens read at once; the state is carried on, so the figure does not depend on it."""

Progress = Callable[[int, int], None]
"""Told the tokens done and the tokens in all."""

Scored = tuple[float, int]
"""Negative log-likelihood in nats, and of how many tokens."""

ScoringPool: TypeAlias = "WorkerPool[list[list[int]], Scored]"


@dataclass(frozen=True)
class Perplexity:
    """How well a model foretells a text.

    Attributes:
        nll: negative log-likelihood of the whole text, nats.
        tokens: tokens predicted, end-of-sequence tokens included.
        words: words of the original text between white space.
        characters: code points of the text as the tokenizer gives it back.
        bytes: bytes of it in UTF-8.
        unknown: tokens that the model's vocabulary lacks.
        altered: lines that the tokenizer does not give back as they were: white space that words
            do not keep, characters in another normal form.
        digest: of the tokens, by which a text is known again.
        eos_rule: which end marks are among the tokens.
    """

    nll: float
    tokens: int
    words: int
    characters: int
    bytes: int
    unknown: int
    altered: int
    digest: str
    eos_rule: str

    def __repr__(self) -> str:
        return (
            f"Perplexity({self.perplexity:.4g} per token, {self.bits_per_character:.4g} bits per "
            f"character, {self.tokens:,} tokens{'' if self.comparable else ', not comparable'})"
        )

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

        A token that stands for anything unknown is cheaper than the text it hides, and so is a
        text that the tokens do not tell whole.
        """
        return not self.unknown and not self.altered

    def __str__(self) -> str:
        return (
            f"perplexity {self.perplexity:,.3f} per token, "
            f"{self.nats_per_character:.4f} nats per character"
        )

    def as_dict(self) -> dict[str, Any]:
        """All figures by name, ready for JSON."""
        names = ("perplexity", "word_perplexity", "nats_per_character", "bits_per_character")
        derived = {name: getattr(self, name) for name in (*names, "bits_per_byte", "comparable")}
        share = {"unknown_share": self.unknown / self.tokens}
        return {**asdict(self), **share, **derived}


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def perplexity(
    loaded: LoadedModel,
    source: TextSource,
    *,
    held_out: bool = False,
    progress: Progress | None = None,
    pool: ScoringPool | None = None,
) -> Perplexity:
    """Measure a language model on a text.

    A model of streams reads the whole text with its state carried on, bos before the first token;
    one of lines reads each line from a fresh state, eos included.

    Args:
        loaded: a language model.
        source: the text.
        held_out: only the part of it that the training held out.
        progress: told how far it is.
        pool: reads the lines in the place of this process; see ``line_work``.

    Raises:
        UsageError: if the model is no language model, or there is a pool for a model of streams;
            or nothing of this text was held out when the model was trained.
        DataError: if the text is empty or cannot be read.
    """
    if not hasattr(source, "pieces"):
        raise UsageError(
            f"The text to measure is a source of text, not {type(source).__name__}: "
            "textgen.open_text(path), or textgen.Texts([text])."
        )
    if loaded.kind != "language-model":
        raise UsageError(f"{loaded.name} is a {loaded.kind}: perplexity needs a language model.")
    lines = loaded.recipe.data.unit == "lines"
    if pool is not None and not lines:
        raise UsageError(
            f"--processes: {loaded.name} reads a text as one stream, each token after all before "
            "it, which cannot be shared out. It can for models of lines (data.unit=lines)."
        )
    if held_out:
        _require_held_out(loaded, source.name)
        source = hold_out(source, loaded.recipe.data.valid_share, loaded.recipe.data.unit)[1]
    stream = tokenise_stream(Lines(source) if lines else source, loaded.tokenizer)
    if held_out:
        _require_held_out(loaded, source.name, stream.digest)
    pieces: Iterator[Scored]
    if lines:
        batches = _line_batches(stream, loaded.tokenizer.special.eos)
        pieces = map(line_work(loaded), batches) if pool is None else ordered(pool, batches)
    else:
        pieces = _stream_pieces(stream, loaded)
    total = len(stream) + int(lines)
    nll, done = 0.0, 0
    for cost, tokens in pieces:
        nll += cost
        done += tokens
        if progress is not None:
            progress(done, total)
    return _counted(stream, nll, done, lines=lines)


def _require_held_out(loaded: LoadedModel, name: str, digest: str | None = None) -> None:
    """The model held out a part of its training text, and this is it (if its digest is given).

    Models of format 1 do not know their texts, and are believed.

    Raises:
        UsageError: if that is not so; says what was held out.
    """
    facts = loaded.facts
    if "train" not in facts:
        return
    valid, train = facts.get("valid"), facts["train"]["name"]
    if valid is None:
        raise UsageError(
            f"--held-out: {loaded.name} was trained on all of {train}, nothing was held out and "
            "nothing validated. Measure another text, without --held-out."
        )
    if not valid["held_out"]:
        raise UsageError(
            f"--held-out: {loaded.name} was trained on all of {train} and validated on "
            f"{valid['name']}: measure that, or any other text, without --held-out."
        )
    if digest is not None and digest != valid["digest"]:
        raise UsageError(
            f"--held-out: {loaded.name} held out {valid['name']}, which {name} is not: it was "
            "trained on another text. Give the whole text that it was trained on, or measure this "
            "one without --held-out."
        )


def is_trained_on(loaded: LoadedModel, digest: str) -> bool:
    """Whether a text of this digest is the one that the model was trained on."""
    return bool(digest) and loaded.facts.get("train", {}).get("digest") == digest


def _counted(stream: TokenStream, nll: float, tokens: int, *, lines: bool) -> Perplexity:
    """The figures of a text, its words and characters counted."""
    counts = stream.statistics
    ends = counts.documents if lines else 0
    return Perplexity(
        nll=nll,
        tokens=tokens,
        words=counts.words,
        characters=counts.characters + ends,
        bytes=counts.bytes + ends,
        unknown=counts.unknown,
        altered=counts.altered,
        digest=stream.digest,
        eos_rule=(
            "eos after each line, counted as its line end"
            if lines
            else "eos between documents, none within one and none at the end"
        ),
    )


def _stream_pieces(stream: TokenStream, loaded: LoadedModel) -> Iterator[Scored]:
    """All tokens in order, a window at a time."""
    model, device = loaded.model, loaded.device
    state = model.begin(Batch(1))
    last = torch.tensor([[loaded.tokenizer.special.bos]], device=device)
    for start in range(0, len(stream), WINDOW):
        tokens = stream.slice(start, min(start + WINDOW, len(stream)))
        targets = torch.from_numpy(tokens).long().unsqueeze(0).to(device)
        inputs = torch.cat([last, targets[:, :-1]], dim=1)
        with torch.inference_mode():
            features, state = model.features(inputs, state)
            scored = _scored(token_log_probs(model, features, targets))
        yield scored
        last = targets[:, -1:]


def line_work(loaded: LoadedModel) -> Callable[[list[list[int]]], Scored]:
    """What a worker does: it scores lines of one length, lists of tokens without their eos."""
    model, special, device = loaded.model, loaded.tokenizer.special, loaded.device

    def score(lines: list[list[int]]) -> Scored:
        targets = torch.tensor([[*line, special.eos] for line in lines], device=device)
        bos = targets.new_full((len(lines), 1), special.bos)
        inputs = torch.cat([bos, targets[:, :-1]], dim=1)
        with torch.inference_mode():
            features, _ = model.features(inputs, model.begin(Batch(len(lines))))
            return _scored(token_log_probs(model, features, targets))

    return score


def _scored(log_probs: Tensor) -> Scored:
    return -float(log_probs.double().sum()), log_probs.numel()


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
