"""Contrastive search against a slow reference in float64, on the toy and on small real models."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fakes import SPECIAL, FakeModel, random_model
from small_models import save_language_model, save_translator
from textgen.decoding import decode, make_session, rescore
from textgen.loading import load_model
from textgen.protocols import Batch, Beam, Session
from textgen_decoders.contrastive import Contrastive
from textgen_decoders.greedy import Greedy
from textgen_decoders.top_k import TopK

PREFIXES = [[1], [1, 4, 5, 3], [1, 5], [1, 3, 3], [1, 7, 7, 7, 7], [1, 7]] * 2
LIMITS = [5, 30, 17, 0, 9, 12, 3, 25, 2, 6, 20, 1]
ALL = list(range(12))
CLOSE = 1e-5  # candidates whose values are nearer than this may come in either order


def session_of(model: FakeModel, rows: list[int], **options: Any) -> Session:
    return make_session(
        model,
        Batch(
            len(rows),
            torch.tensor([[row % 3, 4, 5] for row in rows]),
            torch.tensor([1 + row % 3 for row in rows]),
        ),
        [PREFIXES[row] for row in rows],
        special=SPECIAL,
        limits=[LIMITS[row] for row in rows],
        **options,
    )


def cosine(one: list[float], two: list[float]) -> float:
    product = sum(a * b for a, b in zip(one, two, strict=True))
    return product / math.sqrt(sum(a * a for a in one) * sum(b * b for b in two))


def read(model: Any, batch: Batch, tokens: list[int]) -> tuple[list[list[float]], list[float]]:
    """Features after each token, and the probabilities after the last, pad and bos left out."""
    with torch.inference_mode():
        features, _ = model.features(torch.tensor([tokens]), model.begin(batch))
        logits = model.output(features)[0, -1].double()
        logits[[SPECIAL.pad, SPECIAL.bos]] = float("-inf")
    return features[0].double().tolist(), logits.softmax(0).tolist()


def values(
    model: Any, batch: Batch, tokens: list[int], options: Contrastive, kept: int | None = None
) -> dict[int, float]:
    """Each candidate's value, the whole text read anew for it."""
    before, likelihood = read(model, batch, tokens)
    order = sorted(range(len(likelihood)), key=lambda token: -likelihood[token])[:kept]
    mass = sum(likelihood[token] for token in order)
    found = {}
    for token in [each for each in order if likelihood[each]][: options.k]:
        own = read(model, batch, [*tokens, token])[0][-1]
        alike = max(cosine(own, each) for each in before)
        found[token] = (1 - options.alpha) * likelihood[token] / mass - options.alpha * alike
    return found


def follows(
    model: Any,
    batch: Batch,
    prefix: list[int],
    output: list[int],
    options: Contrastive,
    *,
    kept: int | None = None,
) -> None:
    """Every token is the best of its candidates."""
    for place, token in enumerate(output):
        value = values(model, batch, [*prefix, *output[:place]], options, kept)
        assert token in value
        assert value[token] > max(value.values()) - CLOSE


@pytest.mark.parametrize(
    "options", [Contrastive(), Contrastive(3, 0.2), Contrastive(6, 1.0), Contrastive(20, 0.4)]
)
@pytest.mark.parametrize("kept", [None, 3])
def test_it_is_the_slow_reference(options: Contrastive, kept: int | None) -> None:
    model = random_model(vocabulary=8, seed=3)
    filters = [] if kept is None else [TopK(kept)]
    session = session_of(model, ALL, filters=filters)
    found = decode(options, session)
    torch.testing.assert_close(rescore(session, found), found.token_log_probs)
    plain = decode(Greedy(), session)
    differs = 0
    for row in ALL:
        source = Batch(1, torch.tensor([[row % 3, 4, 5]]), torch.tensor([1 + row % 3]))
        output = found.tokens[row, 0, : found.lengths[row, 0]].tolist()
        follows(model, source, PREFIXES[row], output, options, kept=kept)
        assert output[-1:] == [SPECIAL.eos] or len(output) == LIMITS[row]
        assert bool(found.finished[row, 0]) == (output[-1:] == [SPECIAL.eos])
        differs += output != plain.tokens[row, 0, : plain.lengths[row, 0]].tolist()
    assert differs > 1


@pytest.mark.parametrize("options", [Contrastive(5, 0.6), Contrastive(12, 0.3)])
def test_it_is_the_slow_reference_on_a_language_model(tmp_path: Path, options: Contrastive) -> None:
    loaded = load_model(str(save_language_model(tmp_path / "model", sharpness=2.0)))
    model, special = loaded.model, loaded.tokenizer.special
    assert (special.pad, special.bos) == (SPECIAL.pad, SPECIAL.bos)
    prefixes = [
        [special.bos, *loaded.tokenizer.encode(text)] for text in ("To be", "W", "", "The s")
    ]
    session = make_session(model, Batch(4), prefixes, special=special, limits=[12, 3, 20, 9])
    found = decode(options, session)
    assert not torch.equal(found.tokens, decode(Greedy(), session).tokens)
    for row, prefix in enumerate(prefixes):
        output = found.tokens[row, 0, : found.lengths[row, 0]].tolist()
        follows(model, Batch(1), prefix, output, options)


def test_it_is_the_slow_reference_on_a_translator(tmp_path: Path) -> None:
    loaded = load_model(str(save_translator(tmp_path / "model")))
    model, special = loaded.model, loaded.tokenizer.special
    sources = [loaded.require_source().encode(text) for text in ("to be", "the slings", "or")]
    longest = max(map(len, sources))
    padded = torch.tensor([[*each, *[special.pad] * (longest - len(each))] for each in sources])
    lengths = torch.tensor([len(each) for each in sources])
    session = make_session(
        model, Batch(3, padded, lengths), [[], [6], []], special=special, limits=[8, 5, 9],
        attention=True,
    )  # fmt: skip
    options = Contrastive(6, 0.5)
    found = decode(options, session)
    assert found.attention is not None
    assert found.attention.shape == (*found.tokens.shape, longest)
    torch.testing.assert_close(rescore(session, found), found.token_log_probs)
    for row, prefix in enumerate(([special.bos], [special.bos, 6], [special.bos])):
        batch = Batch(1, padded[row : row + 1, : lengths[row]], lengths[row : row + 1])
        output = found.tokens[row, 0, : found.lengths[row, 0]].tolist()
        follows(model, batch, prefix, output, options)


@pytest.mark.parametrize("options", [Contrastive(5, 0.0), Contrastive(1, 0.7)])
def test_without_choice_or_without_weight_it_is_greedy(options: Contrastive) -> None:
    session = session_of(random_model(vocabulary=8), ALL, attention=True)
    one, greedy = decode(options, session), decode(Greedy(), session)
    assert torch.equal(one.tokens, greedy.tokens)
    assert torch.equal(one.log_probs, greedy.log_probs)


def test_neighbours_order_batch_size_and_seeds_change_nothing() -> None:
    model = random_model(vocabulary=8, seed=3)

    def run(rows: list[int], **options: Any) -> dict[int, list[int]]:
        found = decode(Contrastive(4, 0.5), session_of(model, rows, **options))
        return {
            row: found.tokens[at, 0, : found.lengths[at, 0]].tolist() for at, row in enumerate(rows)
        }

    everything = run(ALL)
    assert run(ALL[::-1]) == everything
    assert run(ALL, seed=9, samples=3) == everything
    alone: dict[int, list[int]] = {}
    for row in ALL:
        alone |= run([row])
    assert alone == everything


def test_it_reads_all_candidates_in_one_call() -> None:
    model = random_model(vocabulary=8, seed=3)
    model.logits[:, :, SPECIAL.eos] = -30.0
    session = session_of(model, [0, 2], filters=[])
    decode(Contrastive(4, 0.5), session)
    # the prefix twice, for the search and for its features, then candidates and choice in turn
    assert model.calls[:4] == [(2, 2), (2, 2), (8, 1), (2, 1)]


def test_forbidden_tokens_are_no_candidates_and_nothing_to_do_is_done() -> None:
    def only_two(scores: Tensor, beam: Beam) -> Tensor:
        if beam.step > 2:
            return torch.full_like(scores, float("-inf"))
        keep = torch.full_like(scores, float("-inf"))
        keep[..., [4, 5]] = scores[..., [4, 5]]
        return keep

    session = session_of(random_model(vocabulary=8), ALL, filters=[only_two])
    found = decode(Contrastive(5, 1.0), session)
    for row in ALL:
        output = found.tokens[row, 0, : found.lengths[row, 0]].tolist()
        assert len(output) == min(4, LIMITS[row])
        assert set(output[:3]) <= {4, 5}
        assert output[3:] == [SPECIAL.eos][: max(0, len(output) - 3)]
    none = make_session(random_model(), Batch(0), [], special=SPECIAL, limits=5)
    assert decode(Contrastive(), none).tokens.shape[0] == 0
    empty = make_session(random_model(), Batch(2), [[], []], special=SPECIAL, limits=0)
    assert decode(Contrastive(), empty).tokens.shape == (2, 1, 0)
