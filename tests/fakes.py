"""A model with known probabilities, small enough to enumerate everything it can say."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from textgen.protocols import Batch, Beam, Marks, Random

MARKS = Marks(pad=0, bos=1, eos=2, unknown=3)
MEMORIES = 13


@dataclass(frozen=True)
class FakeState:
    """(B, K) int64 memory of each row; (B,) int64 language of each source; (B,) lengths."""

    memory: Tensor
    language: Tensor
    source_lengths: Tensor | None = None
    attention: Tensor | None = None
    positions: int = 0

    def select(self, parents: Tensor) -> FakeState:
        return replace(self, memory=self.memory.gather(1, parents), attention=None)

    def keep(self, sources: Tensor) -> FakeState:
        lengths = self.source_lengths
        return FakeState(
            self.memory[sources],
            self.language[sources],
            None if lengths is None else lengths[sources],
            positions=self.positions,
        )

    def detach(self) -> FakeState:
        return self


class FakeModel:
    """p(v | language m, memory r) = softmax(logits[m, r]); token t moves r to (5 r + t + 1) mod 13.

    A source's language is its first token; a language model speaks language 0. The memory depends
    on the whole history, so that a mistake with rows shows.

    Args:
        logits: (languages, 13, V), any floating type.
    """

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        self.calls: list[tuple[int, int]] = []  # (N, T) of each call of features

    @property
    def vocabulary_size(self) -> int:
        return self.logits.shape[2]

    def begin(self, batch: Batch) -> FakeState:
        zeros = torch.zeros(batch.size, 1, dtype=torch.int64)
        if batch.source is None:
            return FakeState(zeros, zeros[:, 0])
        language = batch.source[:, 0] % len(self.logits)
        return FakeState(zeros, language, batch.source_lengths, None, batch.source.shape[1])

    def features(
        self, tokens: Tensor, state: FakeState, lengths: Tensor | None = None
    ) -> tuple[Tensor, FakeState]:
        self.calls.append(tuple(tokens.shape))
        sources, width = state.memory.shape
        assert tokens.shape[0] == sources * width
        language = state.language.repeat_interleave(width)
        memory = state.memory.flatten()
        seen = []
        for place in range(tokens.shape[1]):
            after = (5 * memory + tokens[:, place] + 1) % MEMORIES
            memory = after if lengths is None else torch.where(place < lengths, after, memory)
            seen.append(memory)
        history = torch.stack(seen, 1)
        attention = None
        if state.source_lengths is not None:
            lengths = state.source_lengths.repeat_interleave(width)
            attention = self.look(history, lengths, state.positions)
        new = replace(state, memory=memory.unflatten(0, (sources, width)), attention=attention)
        return self.logits[language[:, None], history], new

    @staticmethod
    def look(memory: Tensor, lengths: Tensor, positions: int) -> Tensor:
        """(N, T, S) weights that depend on the memory (N, T), none on padding."""
        place = torch.arange(positions)
        scores = torch.sin(memory.unsqueeze(2) * 1.7 + place * 0.9) * 3
        return scores.masked_fill(place >= lengths[:, None, None], float("-inf")).softmax(2)

    def output(self, features: Tensor) -> Tensor:
        return features

    def __call__(self, tokens: Tensor, state: FakeState) -> tuple[Tensor, FakeState]:
        features, state = self.features(tokens, state)
        return self.output(features), state

    def log_prob(self, language: int, prefix: Sequence[int], tokens: Sequence[int]) -> list[float]:
        """Log-probability of each token after a prefix, in float64, written out."""
        table = self.logits.double().log_softmax(2)
        memory, found = 0, []
        for token in prefix:
            memory = (5 * memory + token + 1) % MEMORIES
        for token in tokens:
            found.append(float(table[language, memory, token]))
            memory = (5 * memory + token + 1) % MEMORIES
        return found


def random_model(
    vocabulary: int = 6, languages: int = 3, seed: int = 0, spread: float = 1.5
) -> FakeModel:
    """A fake model with normal logits."""
    generator = torch.Generator().manual_seed(seed)
    return FakeModel(torch.randn(languages, MEMORIES, vocabulary, generator=generator) * spread)


def all_outputs(vocabulary: int, limit: int) -> Iterator[tuple[int, ...]]:
    """Everything that can be generated: ends with eos, or is cut at the limit."""
    words = [token for token in range(vocabulary) if token not in (MARKS.pad, MARKS.bos, MARKS.eos)]
    for length in range(limit):
        for body in itertools.product(words, repeat=length):
            yield (*body, MARKS.eos)
    yield from itertools.product(words, repeat=limit)


class FixedRandom:
    """Random numbers that are given: the same ``value`` for everybody."""

    def __init__(self, value: float) -> None:
        self.value = value

    def uniform(self, beam: Beam, count: int | None = None, stream: int = 0) -> Tensor:
        del stream
        shape = tuple(beam.scores.shape) if count is None else (*beam.scores.shape, count)
        return torch.full(shape, self.value, dtype=torch.float64)


def make_beam(
    tokens: Sequence[Sequence[Sequence[int]]],
    *,
    prefix: Sequence[Sequence[int]] | None = None,
    limit: int = 100,
    random: Random | None = None,
    marks: Marks = MARKS,
) -> Beam:
    """A beam for tests of filters: B × K rows of generated tokens, all of one length."""
    generated = torch.tensor(tokens, dtype=torch.int64)
    sources, width, steps = generated.shape
    prompts = torch.tensor(prefix or [[marks.bos]] * sources)
    return Beam(
        tokens=generated,
        log_probs=torch.zeros(sources, width, steps),
        scores=torch.zeros(sources, width),
        lengths=torch.full((sources, width), steps),
        finished=torch.zeros(sources, width, dtype=torch.bool),
        sources=torch.arange(sources),
        prefix=prompts,
        prefix_lengths=torch.full((sources,), prompts.shape[1]),
        limit=torch.full((sources,), limit),
        features=torch.zeros(sources, width, 1),
        state=None,
        attention=None,
        random=random or FixedRandom(0.5),
        marks=marks,
    )
