"""How often outputs come, against how often they should: for all that draws lots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeVar

import pytest

from fakes import SPECIAL, FakeModel, all_outputs, make_beam
from textgen.protocols import Filter, Hypotheses

Output = tuple[int, ...]
T = TypeVar("T")


def exact(model: FakeModel, output: Output, filters: Sequence[Filter]) -> float:
    """Probability of an output after bos, filtered and renormalised step by step, in float64."""
    probability, memory = 1.0, (SPECIAL.bos + 1) % 13
    for token in output:
        scores = model.logits[0, memory].log_softmax(0)
        scores[[SPECIAL.pad, SPECIAL.bos]] = float("-inf")
        scores = scores[None, None]
        for one in filters:
            scores = one(scores, make_beam([[[]]]))
        probability *= float(scores.double().softmax(2)[0, 0, token])
        memory = (5 * memory + token + 1) % 13
    return probability


def probabilities(model: FakeModel, limit: int, filters: Sequence[Filter]) -> dict[Output, float]:
    """All outputs that are possible, with their probability."""
    outputs = all_outputs(model.vocabulary_size, limit)
    found = {output: exact(model, output, filters) for output in outputs}
    assert sum(found.values()) == pytest.approx(1)
    return {output: probability for output, probability in found.items() if probability}


def counted(found: Hypotheses) -> Counter[Output]:
    """How often each output came, over all rows."""
    rows = zip(found.tokens.flatten(0, 1).tolist(), found.lengths.flatten().tolist(), strict=True)
    return Counter(tuple(tokens[:length]) for tokens, length in rows)


def require_fit(counts: Mapping[T, int], wanted: Mapping[T, float], draws: int) -> None:
    """Pearson's χ² within four of its deviations, over cells that expect five or more."""
    assert sum(wanted.values()) == pytest.approx(1)
    assert not set(counts) - set(wanted), "an impossible output came"
    cells = [each for each, probability in wanted.items() if probability * draws >= 5]
    statistic = sum(
        (counts[each] - wanted[each] * draws) ** 2 / (wanted[each] * draws) for each in cells
    )
    degrees = len(cells) - 1
    assert degrees > 5
    assert abs(statistic - degrees) < 4 * (2 * degrees) ** 0.5
