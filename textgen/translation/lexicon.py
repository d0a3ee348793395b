"""What a translator's source tokens are likely to become, kept in its folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from textgen.arguments import pairs_of
from textgen.checkpoint import LEXICON, load_tensors, save_tensors
from textgen.errors import CheckpointError
from textgen.loading import LoadedModel
from textgen.translation.ibm_model1 import Model1, Table

ROUNDS = 5
KEPT = 100

_LEAST = 1e-4  # a target token less likely than that is left out
_LONGEST = 200  # tokens of a side: longer pairs tell little and cost S · T


@dataclass(frozen=True)
class Lexicon:
    """t(target | source) of IBM model 1, for each source token the best target tokens.

    Attributes:
        offsets: (V_source + 1,) int64: the row of source token s is offsets[s] … offsets[s + 1].
        targets: (M,) int32 target tokens, the likeliest of each row first.
        probabilities: (M,) float32, t of each.
        counts: (V_target,) int64, how often each target token occurs in the pairs.
        pairs: sentence pairs it was learnt from.
    """

    offsets: Tensor
    targets: Tensor
    probabilities: Tensor
    counts: Tensor
    pairs: int

    def __repr__(self) -> str:
        rows = len(self.offsets) - 1
        return (
            f"Lexicon({rows:,} source tokens, {len(self.targets):,} entries, {self.pairs:,} pairs)"
        )

    def row(self, source: int) -> list[tuple[int, float]]:
        """The target tokens of a source token and their probabilities, best first."""
        begin, end = self.offsets[source : source + 2].tolist()
        targets, chances = self.targets[begin:end], self.probabilities[begin:end]
        return list(zip(targets.tolist(), chances.tolist(), strict=True))

    def best(self, count: int, fill: int) -> Tensor:
        """The first ``count`` targets of every source token, (V_source, count) int64.

        Args:
            count: n.
            fill: what stands where a row has fewer.
        """
        place = self.offsets[:-1, None] + torch.arange(count)  # (V_source, n)
        real = place < self.offsets[1:, None]
        found = self.targets.new_full((1,), fill) if not len(self.targets) else self.targets
        return found[place.clamp(max=len(found) - 1)].long().masked_fill(~real, fill)

    def without(self, tokens: Tensor) -> Lexicon:
        """The same without these target tokens, (n,) int64."""
        stays = torch.ones(len(self.counts), dtype=torch.bool).index_fill(0, tokens, value=False)
        kept = stays[self.targets.long()]
        before = torch.cat([torch.zeros(1, dtype=torch.int64), kept.cumsum(0)])
        return dataclasses.replace(
            self,
            offsets=before[self.offsets],
            targets=self.targets[kept],
            probabilities=self.probabilities[kept],
        )

    def frequent(self, count: int) -> Tensor:
        """(≤ count,) int64, the most frequent target tokens, of equal ones the first."""
        order = torch.sort(self.counts, descending=True, stable=True)
        return order.indices[: min(count, int((order.values > 0).sum()))]


class Round(NamedTuple):
    """Told after each round of the learning.

    Attributes:
        number: 1, 2, …
        rounds: of how many.
        pairs: sentence pairs it learns from.
        nats: of a target token, before the round.
    """

    number: int
    rounds: int
    pairs: int
    nats: float


Listener: TypeAlias = "Callable[[Round], object]"
"""Called after each round."""


def learn_lexicon(
    loaded: LoadedModel,
    pairs: Iterable[tuple[str, str]],
    *,
    rounds: int = ROUNDS,
    listener: Listener | None = None,
) -> Lexicon:
    """Learn what the tokens of a translator's sources become, from the pairs it was trained on.

    The source's eos stands for the empty word of the model: target tokens that are nobody's
    translation are learnt as its. Pairs with more than 200 tokens on a side are left out, and from
    where there are 2²⁷ cells (source times target tokens: some 400,000 sentences of 18 words) no
    further pair is read.

    Args:
        loaded: a translator.
        pairs: source and target sentences.
        rounds: of expectation maximisation.
        listener: told after each round.

    Raises:
        UsageError: if the model is no translator.
        DataError: if no pair has text on both sides.
    """
    source, target = loaded.require_source(), loaded.tokenizer
    eos = [source.special.eos]
    encoded = (
        ([*mine, *eos], theirs)
        for mine, theirs in (
            (source.encode(pair[0].strip()), target.encode(pair[1].strip()))
            for pair in pairs_of(pairs)
        )
        if mine and max(len(mine), len(theirs)) <= _LONGEST
    )
    model = Model1(encoded, target.size)
    for number in range(1, rounds + 1):
        nats = model.improve()
        if listener is not None:
            listener(Round(number, rounds, model.pairs, nats))
    return _lexicon(model.table, source.size, model)


def _lexicon(table: Table, source_size: int, model: Model1) -> Lexicon:
    """The best entries of each row."""
    likely = table.probabilities >= _LEAST
    sources, targets = table.sources[likely], table.targets[likely]
    chances = table.probabilities[likely].astype(np.float32)
    order = np.lexsort((targets, -chances, sources))
    sources, targets, chances = sources[order], targets[order], chances[order]
    first = np.searchsorted(sources, sources)  # where each entry's row begins
    kept = np.arange(len(sources)) - first < KEPT
    sizes = np.bincount(sources[kept], minlength=source_size)
    return Lexicon(
        offsets=torch.from_numpy(np.concatenate([[0], np.cumsum(sizes)])),
        targets=torch.from_numpy(targets[kept].astype(np.int32)),
        probabilities=torch.from_numpy(chances[kept]),
        counts=torch.from_numpy(model.counts),
        pairs=model.pairs,
    )


def save_lexicon(lexicon: Lexicon, loaded: LoadedModel) -> Path:
    """Write a lexicon into its model's folder, whole or not at all.

    Returns:
        The file.

    Raises:
        CheckpointError: if it cannot be written.
    """
    path = loaded.folder / LEXICON
    tensors = {
        "offsets": lexicon.offsets,
        "targets": lexicon.targets,
        "probabilities": lexicon.probabilities,
        "counts": lexicon.counts,
    }
    save_tensors(path, tensors, {"pairs": lexicon.pairs, **_fingerprints(loaded)})
    return path


def load_lexicon(loaded: LoadedModel) -> Lexicon:
    """Read the lexicon in a model's folder; of an ensemble that of the first model.

    Raises:
        CheckpointError: if there is none, it is damaged, or it is of other tokenizers; says how to
            make one.
    """
    path = loaded.folder / LEXICON
    remedy = f"`textgen lexicon --model {loaded.folder} --train SOURCE TARGET` makes one"
    if not path.is_file():
        raise CheckpointError(f"{loaded.folder} has no lexicon: {remedy}.")
    tensors, facts = load_tensors(path)
    if any(facts.get(side) != found for side, found in _fingerprints(loaded).items()):
        raise CheckpointError(f"{path}: was learnt with another tokenizer: {remedy} that fits.")
    try:
        lexicon = Lexicon(**tensors, pairs=int(facts["pairs"]))
        whole = _is_whole(lexicon, loaded)
    except (TypeError, KeyError, ValueError):
        whole = False
    if not whole:
        raise CheckpointError(f"{path}: is no lexicon of this model: {remedy} anew.")
    return lexicon


def _fingerprints(loaded: LoadedModel) -> dict[str, Any]:
    """What the tokenizers are known by."""
    return {
        "source": loaded.require_source().fingerprint(),
        "target": loaded.tokenizer.fingerprint(),
    }


def _is_whole(lexicon: Lexicon, loaded: LoadedModel) -> bool:
    """Whether sizes and numbers fit together and the model."""
    size, entries = loaded.tokenizer.size, len(lexicon.targets)
    offsets, targets = lexicon.offsets, lexicon.targets
    return (
        offsets.shape == (loaded.require_source().size + 1,)
        and lexicon.counts.shape == (size,)
        and lexicon.probabilities.shape == targets.shape == (entries,)
        and int(offsets[0]) == 0
        and int(offsets[-1]) == entries
        and bool((offsets.diff() >= 0).all())
        and bool(((targets >= 0) & (targets < size)).all())
    )
