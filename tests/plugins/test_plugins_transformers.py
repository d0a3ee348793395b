"""The filters against Hugging Face transformers' processors, where it is installed.

Token for token on random logits, with ties and forbidden tokens. Both get the same
log-probabilities (B, K, V), there as rows (N, V). Where the rules differ, a test of its own says
how.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from fakes import make_beam
from textgen.protocols import Beam, Filter
from textgen_decoders.epsilon import Epsilon
from textgen_decoders.eta import Eta
from textgen_decoders.min_p import MinP
from textgen_decoders.minimum_length import MinimumLength
from textgen_decoders.no_repeat_ngram import NoRepeatNgram
from textgen_decoders.nucleus import Nucleus
from textgen_decoders.repetition_penalty import RepetitionPenalty
from textgen_decoders.temperature import Temperature
from textgen_decoders.top_k import TopK
from textgen_decoders.typical import Typical

pytest.importorskip("transformers")

import transformers

DEAD = float("-inf")
ROWS, SIZE = 64, 50
SPREADS = (0.1, 1.0, 4.0)


def distributions(kind: str, spread: float) -> Tensor:
    """(1, ROWS, V) log-probabilities."""
    generator = torch.Generator().manual_seed(len(kind) + int(10 * spread))
    logits = torch.randn(1, ROWS, SIZE, generator=generator) * spread
    if kind == "ties":
        logits = (logits / spread * 2).round() * spread / 2
    if kind == "forbidden":
        hidden = torch.rand(logits.shape, generator=generator) < 0.4
        hidden[..., 7] = False
        logits = logits.masked_fill(hidden, DEAD)
    return logits.log_softmax(-1)


def histories(prompt: int, steps: int) -> Beam:
    """One source, ROWS rows: a prompt and a random output of a few different tokens."""
    generator = torch.Generator().manual_seed(steps)
    tokens = torch.randint(3, 9, (1, ROWS, steps), generator=generator)
    prefix = [[1, *torch.randint(3, 9, (prompt,), generator=generator).tolist()]]
    return make_beam(tokens.tolist(), prefix=prefix)


def theirs(processor: Any, scores: Tensor, beam: Beam) -> Tensor:
    ids = torch.cat([beam.prefix.expand(ROWS, -1), beam.tokens[0]], 1)
    with torch.no_grad():
        result: Tensor = processor(ids, scores[0].clone())
    return result.unsqueeze(0)


Pair = tuple[Filter, Callable[[], Any]]
WARPERS: dict[str, Pair] = {
    "temperature": (Temperature(0.7), lambda: transformers.TemperatureLogitsWarper(0.7)),
    "hot": (Temperature(2), lambda: transformers.TemperatureLogitsWarper(2.0)),
    "top-k": (TopK(5), lambda: transformers.TopKLogitsWarper(5)),
    "top-1": (TopK(1), lambda: transformers.TopKLogitsWarper(1)),
    "top-all": (TopK(500), lambda: transformers.TopKLogitsWarper(500)),
    "min-p": (MinP(0.1), lambda: transformers.MinPLogitsWarper(0.1)),
    "min-p-high": (MinP(0.7), lambda: transformers.MinPLogitsWarper(0.7)),
    "typical": (Typical(0.6), lambda: transformers.TypicalLogitsWarper(0.6)),
    "typical-low": (Typical(0.05), lambda: transformers.TypicalLogitsWarper(0.05)),
    "epsilon": (Epsilon(0.02), lambda: transformers.EpsilonLogitsWarper(0.02)),
    "epsilon-high": (Epsilon(0.6), lambda: transformers.EpsilonLogitsWarper(0.6)),
    "eta": (Eta(0.02), lambda: transformers.EtaLogitsWarper(0.02)),
    "eta-high": (Eta(0.6), lambda: transformers.EtaLogitsWarper(0.6)),
}
NUCLEI = (0.1, 0.5, 0.9, 0.99)


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("kind", ["random", "ties", "forbidden"])
@pytest.mark.parametrize("name", WARPERS)
def test_warpers_agree_token_for_token(name: str, kind: str, spread: float) -> None:
    ours, make = WARPERS[name]
    scores, beam = distributions(kind, spread), histories(2, 3)
    wanted = theirs(make(), scores, beam)
    found = ours(scores, beam)
    assert ((found > DEAD) == (wanted > DEAD)).all()
    assert torch.allclose(found, wanted)


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("kind", ["random", "forbidden"])
@pytest.mark.parametrize("p", NUCLEI)
def test_the_nucleus_agrees_token_for_token(p: float, kind: str, spread: float) -> None:
    scores, beam = distributions(kind, spread), histories(2, 3)
    wanted = theirs(transformers.TopPLogitsWarper(p), scores, beam)
    assert torch.equal(Nucleus(p)(scores, beam), wanted)


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("p", NUCLEI)
def test_of_equal_tokens_the_nucleus_keeps_as_many_but_the_first(p: float, spread: float) -> None:
    """Of tokens that tie at the edge we keep those with the smallest numbers, transformers others.

    What they are worth is the same, so the scores that stay are, in order, the same.
    """
    scores, beam = distributions("ties", spread), histories(2, 3)
    wanted = theirs(transformers.TopPLogitsWarper(p), scores, beam)
    found = Nucleus(p)(scores, beam)
    assert torch.equal(found.sort(-1).values, wanted.sort(-1).values)
    edge = found.masked_fill(found == DEAD, 0).amin(-1, keepdim=True)
    tied = scores == edge
    kept = tied & (found > DEAD)
    late = tied & (found == DEAD)
    places = torch.arange(SIZE).expand_as(scores)
    last_kept = places.masked_fill(~kept, -1).amax(-1)
    first_left = places.masked_fill(~late, SIZE).amin(-1)
    assert (last_kept < first_left).all()


HISTORIES = [(0, 0), (0, 1), (3, 0), (2, 6), (7, 12)]


@pytest.mark.parametrize(("prompt", "steps"), HISTORIES)
@pytest.mark.parametrize("theta", [1.3, 0.6])
def test_repetition_penalty_counts_the_prompt_too(theta: float, prompt: int, steps: int) -> None:
    beam = histories(prompt, steps)
    processor = transformers.RepetitionPenaltyLogitsProcessor(theta)
    for scores in (distributions("random", 1.0), distributions("random", 1.0) + 4):
        found = RepetitionPenalty(theta)(scores, beam)
        assert torch.equal(found, theirs(processor, scores, beam))


@pytest.mark.parametrize(("prompt", "steps"), HISTORIES)
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_no_repeat_ngram_agrees(n: int, prompt: int, steps: int) -> None:
    beam, scores = histories(prompt, steps), distributions("ties", 1.0)
    processor = transformers.NoRepeatNGramLogitsProcessor(n)
    assert torch.equal(NoRepeatNgram(n)(scores, beam), theirs(processor, scores, beam))


@pytest.mark.parametrize(("prompt", "steps"), HISTORIES)
@pytest.mark.parametrize("n", [0, 1, 6, 7])
def test_minimum_length_counts_what_is_generated(n: int, prompt: int, steps: int) -> None:
    """As their "minimum of new tokens"; their "minimum length" counts the prompt, ours never."""
    beam, scores = histories(prompt, steps), distributions("random", 1.0)
    eos = beam.special.eos
    processor = transformers.MinNewTokensLengthLogitsProcessor(prompt + 1, n, eos)
    assert torch.equal(MinimumLength(n)(scores, beam), theirs(processor, scores, beam))
    whole = transformers.MinLengthLogitsProcessor(prompt + 1 + n, eos)
    assert torch.equal(MinimumLength(n)(scores, beam), theirs(whole, scores, beam))


def test_chains_in_the_default_order_agree() -> None:
    beam = histories(4, 9)
    ours = [
        RepetitionPenalty(1.2), NoRepeatNgram(2), MinimumLength(12), Temperature(0.8), TopK(20),
        Nucleus(0.9), MinP(0.05), Typical(0.9), Epsilon(0.01), Eta(0.01),
    ]  # fmt: skip
    processors = [
        transformers.RepetitionPenaltyLogitsProcessor(1.2),
        transformers.NoRepeatNGramLogitsProcessor(2),
        transformers.MinNewTokensLengthLogitsProcessor(5, 12, beam.special.eos),
        transformers.TemperatureLogitsWarper(0.8),
        transformers.TopKLogitsWarper(20),
        transformers.TopPLogitsWarper(0.9),
        transformers.MinPLogitsWarper(0.05),
        transformers.TypicalLogitsWarper(0.9),
        transformers.EpsilonLogitsWarper(0.01),
        transformers.EtaLogitsWarper(0.01),
    ]
    for spread in SPREADS:
        found = wanted = distributions("random", spread)
        for one, processor in zip(ours, processors, strict=True):
            found, wanted = one(found, beam), theirs(processor, wanted, beam)
        assert torch.allclose(found, wanted)
        assert (found.softmax(-1).sum(-1) > 0.99).all()


def test_zero_temperature_is_ours_alone() -> None:
    """Here T = 0 keeps the likeliest token; transformers refuses it."""
    with pytest.raises(ValueError, match="strictly positive"):
        transformers.TemperatureLogitsWarper(0.0)
    left = Temperature(0)(distributions("ties", 1.0), histories(0, 0)) > DEAD
    assert (left.sum(-1) == 1).all()
