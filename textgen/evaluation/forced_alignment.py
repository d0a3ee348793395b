"""What a translator attends to while it is made to say a given translation (forced decoding).

Letters: B pairs, S source tokens, T target tokens, eos of both sides counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textgen.arguments import pairs_of, shortened
from textgen.data.batching import bucket_borders
from textgen.data.tokenizers.surfaces import surfaces
from textgen.decoding.scoring import token_log_probs
from textgen.decoding.session import padded
from textgen.errors import UsageError
from textgen.loading import LoadedModel
from textgen.notebooks import attention_html
from textgen.protocols import Batch
from textgen.translation.links import Links, hard_links, unite_attention, unite_links, word_numbers
from textgen.workers import WorkerPool, in_order, ordered

Unite = Literal["links", "attention"]

WINDOW = 1024
"""Pairs read ahead and grouped by length."""

LONGEST = 2000
"""Tokens after which a side is cut."""

_CELLS = 1 << 16  # B · T · S of one call: an additive score needs H numbers for each


@dataclass(frozen=True)
class Forced:
    """A given translation as the model sees it.

    Attributes:
        log_probs: (T,) float32, nats of each target token.
        attention: (T, S) float32, or None without attention.
    """

    log_probs: NDArray[np.float32]
    attention: NDArray[np.float32] | None


@dataclass(frozen=True)
class AlignedPair:
    """A sentence pair and what links it.

    Attributes:
        source: the source sentence.
        target: the target sentence.
        source_tokens: without eos.
        target_tokens: without eos.
        source_surfaces: what each source token stands for.
        target_surfaces: likewise.
        attention: (T, S) float32, eos of both sides last.
        log_prob: of the target given the source, nats; eos included.
        cut: whether a side had too many tokens.
    """

    source: str
    target: str
    source_tokens: tuple[int, ...]
    target_tokens: tuple[int, ...]
    source_surfaces: tuple[str, ...]
    target_surfaces: tuple[str, ...]
    attention: NDArray[np.float32]
    log_prob: float
    cut: bool

    def __repr__(self) -> str:
        sides = f"{shortened(self.source)!r} -> {shortened(self.target)!r}"
        return f"AlignedPair({sides}, log_prob={self.log_prob:.4g})"

    def _repr_html_(self) -> str:
        """The attention for notebooks."""
        end = ("</s>",)
        return attention_html(
            self.source_surfaces + end, self.target_surfaces + end, self.attention.tolist()
        )

    def links(self, unite: Unite = "links", *, threshold: float = 0.0, eos: bool = True) -> Links:
        """Links between words.

        Args:
            threshold: least weight of a link, 0 to 1.
            eos: leave what mainly looks at the source's end without a link; see ``hard_links``.
            unite: "links": each target token is linked to its best source token, and words are
                linked if any of their tokens are; "attention": the weights of tokens are united
                to weights of words first, and each target word is linked to its best source word.
        """
        sides = self._words()
        if unite == "attention":
            weights = self.word_attention()
            ends = unite_attention(self.attention, [*[None] * len(sides[0]), 0], sides[1])
            whole = np.concatenate([weights, ends], 1)
            return hard_links(
                whole, weights.shape[1], weights.shape[0], threshold=threshold, eos=eos
            )
        sizes = len(self.source_tokens), len(self.target_tokens)
        tokens = hard_links(self.attention, *sizes, threshold=threshold, eos=eos)
        return unite_links(tokens, *sides)

    def word_attention(self) -> NDArray[np.float64]:
        """(T', S') weights between words; see ``unite_attention``."""
        return unite_attention(self.attention, *self._words())

    def _words(self) -> tuple[list[int | None], list[int | None]]:
        """The word number of each token of both sides."""
        return (
            word_numbers(self.source_surfaces, self.source),
            word_numbers(self.target_surfaces, self.target),
        )


def force(
    loaded: LoadedModel, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> list[Forced]:
    """Make a translator say given tokens.

    Args:
        loaded: a translator.
        sources: lists of tokens, without eos.
        targets: as many lists of tokens, eos included where it counts; none is empty.

    Returns:
        One result for each pair, in their order; pairs of like length are read together.
    """
    found: dict[int, Forced] = {}
    for numbers in _batches(
        [(len(pair[1]), len(pair[0]) + 1) for pair in zip(sources, targets, strict=True)]
    ):
        forced = _force_batch(
            loaded, [sources[number] for number in numbers], [targets[number] for number in numbers]
        )
        found.update(zip(numbers, forced, strict=True))
    return [found[number] for number in range(len(found))]


def _batches(sizes: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Numbers of the pairs, those of like size (T, S) side by side."""
    order = sorted(range(len(sizes)), key=sizes.__getitem__)
    targets, sources = ([sizes[number][side] for number in order] for side in (0, 1))
    for begin, end in itertools.pairwise(bucket_borders(targets, _CELLS, sources)):
        yield order[begin:end]


def _force_batch(
    loaded: LoadedModel, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> list[Forced]:
    """B pairs at once."""
    special, eos = loaded.tokenizer.special, loaded.require_source().special.eos
    source, source_lengths = padded([[*each, eos] for each in sources], special.pad, loaded.device)
    target, lengths = padded(targets, special.pad, loaded.device)  # (B, T)
    start = target.new_full((len(targets), 1), special.bos)
    inputs = torch.cat([start, target[:, :-1]], dim=1)
    with torch.inference_mode():
        state = loaded.model.begin(Batch(len(sources), source, source_lengths))
        log_probs, attention = _read(loaded.model, state, inputs, target, lengths)
    sizes = zip(lengths.tolist(), source_lengths.tolist(), strict=True)
    return [
        Forced(
            log_probs[row, :length].float().cpu().numpy(),
            None if attention is None else _rows(attention[row], length, width),
        )
        for row, (length, width) in enumerate(sizes)
    ]


def _rows(attention: Tensor, length: int, width: int) -> NDArray[np.float32]:
    weights: NDArray[np.float32] = attention[:length, :width].float().cpu().numpy()
    return weights


def _read(
    model: Any, state: Any, inputs: Tensor, target: Tensor, lengths: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Log-probabilities (B, T) and attention (B, T, S); a single long pair piece by piece."""
    rows, steps = inputs.shape
    if rows > 1:
        features, state = model.features(inputs, state, lengths)
        return token_log_probs(model, features, target), state.attention
    log_probs, attention = [], []
    piece = _CELLS // LONGEST
    for begin in range(0, steps, piece):
        features, state = model.features(inputs[:, begin : begin + piece], state)
        log_probs.append(token_log_probs(model, features, target[:, begin : begin + piece]))
        if state.attention is not None:
            attention.append(state.attention)
    return torch.cat(log_probs, 1), torch.cat(attention, 1) if attention else None


def align(
    loaded: LoadedModel,
    pairs: Iterable[tuple[str, str]],
    *,
    longest: int = LONGEST,
    pool: AlignmentPool | None = None,
) -> Iterator[AlignedPair]:
    """The attention of given pairs, in their order.

    Args:
        loaded: a translator with attention.
        pairs: source and target sentences; may be endless. A blank side attends to nothing.
        longest: tokens after which a side is cut.
        pool: reads the pairs in the place of this process; see ``pair_work``.

    Raises:
        UsageError: if the model is no translator, or has no attention.
    """
    loaded.require_source()
    if not loaded.attends:
        raise UsageError(f"{loaded.name} has no attention: there is nothing to align by.")
    groups = _groups(loaded, pairs_of(pairs), longest)
    found = map(pair_work(loaded), groups) if pool is None else ordered(pool, groups)
    return (pair for _, pair in in_order(found, itemgetter(0)))


@dataclass(frozen=True)
class NumberedPair:
    """A pair that is ready to be read.

    Attributes:
        number: its place in the input.
        texts: source and target sentence.
        source: tokens without eos.
        target: tokens without eos.
        cut: whether a side had more.
    """

    number: int
    texts: tuple[str, str]
    source: list[int]
    target: list[int]
    cut: bool


AlignmentPool: TypeAlias = "WorkerPool[list[NumberedPair], list[tuple[int, AlignedPair]]]"


def _groups(
    loaded: LoadedModel, pairs: Iterable[tuple[str, str]], longest: int
) -> Iterator[list[NumberedPair]]:
    """Pairs of like size together, from windows of the input; those with a blank side apart."""
    numbered = enumerate(pairs)
    while found := list(itertools.islice(numbered, WINDOW)):
        window = [_numbered(loaded, number, texts, longest) for number, texts in found]
        whole = [pair for pair in window if pair.source and pair.target]
        yield [pair for pair in window if not (pair.source and pair.target)]
        for group in _batches([(len(pair.target) + 1, len(pair.source) + 1) for pair in whole]):
            yield [whole[place] for place in group]


def _numbered(
    loaded: LoadedModel, number: int, texts: tuple[str, str], longest: int
) -> NumberedPair:
    tokens = loaded.require_source().encode(texts[0].strip())
    others = loaded.tokenizer.encode(texts[1].strip())
    cut = max(len(tokens), len(others)) > longest
    return NumberedPair(number, texts, tokens[:longest], others[:longest], cut)


def pair_work(
    loaded: LoadedModel,
) -> Callable[[list[NumberedPair]], list[tuple[int, AlignedPair]]]:
    """What a worker does: pairs that are read at once, all blank or none, with their numbers."""
    eos = loaded.tokenizer.special.eos

    def read(pairs: list[NumberedPair]) -> list[tuple[int, AlignedPair]]:
        forced: Iterable[Forced | None] = itertools.repeat(None, len(pairs))
        if pairs and pairs[0].source and pairs[0].target:
            sources = [pair.source for pair in pairs]
            forced = _force_batch(loaded, sources, [[*pair.target, eos] for pair in pairs])
        return [
            (pair.number, _aligned(loaded, pair, each))
            for pair, each in zip(pairs, forced, strict=True)
        ]

    return read


def _aligned(loaded: LoadedModel, pair: NumberedPair, forced: Forced | None) -> AlignedPair:
    shape = (len(pair.target) + 1, len(pair.source) + 1)
    attention = forced.attention if forced is not None else None
    return AlignedPair(
        source=pair.texts[0],
        target=pair.texts[1],
        source_tokens=tuple(pair.source),
        target_tokens=tuple(pair.target),
        source_surfaces=tuple(surfaces(loaded.require_source(), pair.source)),
        target_surfaces=tuple(surfaces(loaded.tokenizer, pair.target)),
        attention=np.zeros(shape, np.float32) if attention is None else attention,
        log_prob=float(forced.log_probs.sum()) if forced is not None else 0.0,
        cut=pair.cut,
    )
