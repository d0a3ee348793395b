"""A model with known probabilities, small enough to enumerate everything it can say."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from textgen.protocols import Batch, Beam, Random, SpecialTokens

TOY_SPECIAL = SpecialTokens(pad=0, bos=1, eos=2, unknown=3)
MEMORIES = 13


@dataclass(frozen=True)
class ToyState:
    """What a toy model remembers.

    Attributes:
        memory: (B, K) int64 in [0, 13), what each row has read.
        language: (B,) int64, which table of logits each source uses.
        source_lengths: (B,) int64, or None for a language model.
        attention: (N, T, S) weights of the call that returned this state, or None.
        positions: width S of the sources.
    """

    memory: Tensor
    language: Tensor
    source_lengths: Tensor | None = None
    attention: Tensor | None = None
    positions: int = 0

    def select(self, parents: Tensor) -> ToyState:
        """Rows rearranged within each source: ``parents`` (B, K') int64 in [0, K)."""
        return replace(self, memory=self.memory.gather(1, parents), attention=None)

    def keep(self, sources: Tensor) -> ToyState:
        """Only the given sources: ``sources`` (B',) int64 in [0, B)."""
        lengths = self.source_lengths
        return ToyState(
            self.memory[sources],
            self.language[sources],
            None if lengths is None else lengths[sources],
            positions=self.positions,
        )

    def detach(self) -> ToyState:
        """The state itself: it has no history."""
        return self


class ToyModel:
    """p(v | language m, memory r) = softmax(logits[m, r]); token t moves r to (5 r + t + 1) mod 13.

    A source's language is its first token modulo the number of languages; a language model speaks
    language 0. The memory depends on the whole history, so that a mistake with rows shows. The
    features are the logits; a source is looked at by weights that depend on the memory.

    Args:
        logits: (languages, 13, V), any floating type.

    Attributes:
        logits: as given; may be changed between calls.
        calls: (N, T) of each call of ``features`` so far.
    """

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        self.calls: list[tuple[int, ...]] = []

    @property
    def vocabulary_size(self) -> int:
        """V, the width of the logits."""
        return self.logits.shape[2]

    def begin(self, batch: Batch) -> ToyState:
        """State before the first token, K = 1, memory 0."""
        zeros = torch.zeros(batch.size, 1, dtype=torch.int64)
        if batch.source is None:
            return ToyState(zeros, zeros[:, 0])
        language = batch.source[:, 0] % len(self.logits)
        return ToyState(zeros, language, batch.source_lengths, None, batch.source.shape[1])

    def features(
        self, tokens: Tensor, state: ToyState, lengths: Tensor | None = None
    ) -> tuple[Tensor, ToyState]:
        """(N, T) tokens to (N, T, V) logits and the state after each row's last real token.

        Raises:
            ValueError: if the tokens are not of the state's N = B·K rows.
        """
        self.calls.append(tuple(tokens.shape))
        sources, width = state.memory.shape
        if tokens.shape[0] != sources * width:
            raise ValueError(f"{tokens.shape[0]} rows of tokens for {sources} × {width} rows.")
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
            real = state.source_lengths.repeat_interleave(width)
            attention = self.look(history, real, state.positions)
        new = replace(state, memory=memory.view(sources, width), attention=attention)
        return self.logits[language[:, None], history], new

    @staticmethod
    def look(memory: Tensor, lengths: Tensor, positions: int) -> Tensor:
        """(N, T, S) weights that depend on the memory (N, T), none on padding."""
        place = torch.arange(positions)
        scores = torch.sin(memory.unsqueeze(2) * 1.7 + place * 0.9) * 3
        return scores.masked_fill(place >= lengths[:, None, None], -torch.inf).softmax(2)

    def output(self, features: Tensor) -> Tensor:
        """Logits: the features themselves."""
        return features

    def __call__(self, tokens: Tensor, state: ToyState) -> tuple[Tensor, ToyState]:
        """Logits (N, T, V) and the new state."""
        features, state = self.features(tokens, state)
        return self.output(features), state

    def log_prob(self, language: int, prefix: Sequence[int], tokens: Sequence[int]) -> list[float]:
        """Log-probability of each token after a prefix, in float64, written out.

        Args:
            language: the table of logits.
            prefix: what was read before, bos included.
            tokens: what is scored.
        """
        table = self.logits.double().log_softmax(2)
        memory, found = 0, []
        for token in prefix:
            memory = (5 * memory + token + 1) % MEMORIES
        for token in tokens:
            found.append(float(table[language, memory, token]))
            memory = (5 * memory + token + 1) % MEMORIES
        return found


def toy_model(
    vocabulary: int = 6, languages: int = 3, seed: int = 0, spread: float = 1.5
) -> ToyModel:
    """A toy model with normally distributed logits.

    Args:
        vocabulary: number of tokens V, the four special tokens included.
        languages: number of tables of logits.
        seed: of the logits.
        spread: their standard deviation.
    """
    generator = torch.Generator().manual_seed(seed)
    return ToyModel(torch.randn(languages, MEMORIES, vocabulary, generator=generator) * spread)


def all_outputs(vocabulary: int, limit: int) -> Iterator[tuple[int, ...]]:
    """Everything that can be generated: ends with eos, or is cut at the limit."""
    special = (TOY_SPECIAL.pad, TOY_SPECIAL.bos, TOY_SPECIAL.eos)
    words = [token for token in range(vocabulary) if token not in special]
    for length in range(limit):
        for body in itertools.product(words, repeat=length):
            yield (*body, TOY_SPECIAL.eos)
    yield from itertools.product(words, repeat=limit)


class FixedRandom:
    """Random numbers that are given: the same ``value`` for everybody."""

    def __init__(self, value: float) -> None:
        self.value = value

    def uniform(self, beam: Beam, count: int | None = None, stream: int = 0) -> Tensor:
        """(B, K), or (B, K, count), float64; see ``textgen.protocols.Random``."""
        del stream
        shape = tuple(beam.scores.shape) if count is None else (*beam.scores.shape, count)
        return torch.full(shape, self.value, dtype=torch.float64)


def toy_beam(
    tokens: Sequence[Sequence[Sequence[int]]],
    *,
    prefix: Sequence[Sequence[int]] | None = None,
    limit: int = 100,
    random: Random | None = None,
    special: SpecialTokens = TOY_SPECIAL,
) -> Beam:
    """A beam to call a filter with: B × K rows of generated tokens, all of one length.

    Args:
        tokens: B lists of K lists of T tokens.
        prefix: B lists of P tokens; only bos if left out.
        limit: of all sources.
        random: random numbers; 0.5 for everybody if left out.
        special: token numbers of pad, bos, eos.
    """
    generated = torch.tensor(tokens, dtype=torch.int64)
    sources, width, steps = generated.shape
    prompts = torch.tensor(prefix or [[special.bos]] * sources)
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
        special=special,
    )
