"""Shallow fusion against everything that two toy models can say together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from checks import some
from fakes import SPECIAL, FakeModel, all_outputs, random_model
from small_models import save_language_model, save_translator
from textgen.decoding import decode, make_session, rescore
from textgen.decoding.chain import default_registries, resolve
from textgen.errors import ConfigError, UsageError
from textgen.loading import load_model
from textgen.models.ensemble import Ensemble
from textgen.protocols import Batch, Hypotheses, Session
from textgen.testing import ToyAuxiliaryModel, ToyTokenizer
from textgen_decoders.beam import BeamSearch
from textgen_decoders.minimum_length import MinimumLength
from textgen_decoders.shallow_fusion import FusedBeam

LIMIT = 4


def auxiliary(model: FakeModel) -> ToyAuxiliaryModel:
    return ToyAuxiliaryModel("small", "language-model", model, ToyTokenizer())


def fused(model: FakeModel, weight: float, **options: Any) -> FusedBeam:
    return FusedBeam(lm=auxiliary(model), weight=weight, **options)


def prefix_of(row: int) -> list[int]:
    return [[1, 4], [1], [1, 3, 4, 4]][row % 3]


def session_of(model: Any, rows: list[int], **options: Any) -> Session:
    sources = torch.tensor([[row % 3, 4, 5] for row in rows])
    lengths = torch.tensor([1 + row % 3 for row in rows])
    settings: dict[str, Any] = {"special": SPECIAL, "limits": LIMIT, "indices": rows}
    prefixes = [prefix_of(row) for row in rows]
    return make_session(model, Batch(len(rows), sources, lengths), prefixes, **settings | options)


def penalty(kind: str, alpha: float, length: int) -> float:
    if kind == "average":
        return float(length**alpha)
    return ((5 + length) / 6) ** alpha if kind == "gnmt" else 1.0


@pytest.mark.parametrize("forcing", [False, True])
@pytest.mark.parametrize("weight", [0.3, 2.0])
@pytest.mark.parametrize(("kind", "alpha"), [("none", 1.0), ("average", 1.0), ("gnmt", 0.6)])
def test_as_wide_as_the_space_it_is_brute_force(
    kind: str, alpha: float, weight: float, forcing: bool
) -> None:
    model, other = random_model(vocabulary=5), random_model(5, languages=1, seed=9)
    search = fused(other, weight, width=32, length=kind, alpha=alpha, n_best=4)
    beginnings = [[4], [], [4, 3]] if forcing else []
    found = decode(search, session_of(model, [0, 1, 2], forced=beginnings))
    for row in range(3):
        prefix = prefix_of(row)
        forced = beginnings[row] if forcing else []
        own = {
            output: sum(model.log_prob(row, prefix, output))
            for output in all_outputs(5, LIMIT)
            if list(output[: len(forced)]) == forced
        }
        scores = {
            output: (total + weight * sum(other.log_prob(0, prefix, output)))
            / penalty(kind, alpha, len(output))
            for output, total in own.items()
        }
        best = sorted(scores.values(), reverse=True)
        outputs = [tuple(found.tokens[row, k, : found.lengths[row, k]].tolist()) for k in range(4)]
        assert len(set(outputs)) == 4
        for k, output in enumerate(outputs):  # two outputs may tie within float32
            assert scores[output] == pytest.approx(best[k], abs=1e-5)
            assert float(found.scores[row, k]) == pytest.approx(scores[output], abs=1e-4)
            assert float(found.log_probs[row, k]) == pytest.approx(own[output], abs=1e-4)


@pytest.mark.parametrize("options", [{}, {"length": "gnmt", "coverage": 0.3}, {"width": 1}])
def test_without_weight_it_is_beam_search(options: dict[str, Any]) -> None:
    for seed in range(4):
        model, other = random_model(7, seed=seed), random_model(7, languages=1, seed=50 + seed)
        other.logits[..., 5] = -torch.inf  # what the language model thinks impossible
        session = session_of(
            model, list(range(6)), limits=[20, 3, 0, 1, 9, 12], attention=True, samples=2
        )
        plain = decode(BeamSearch(**options), session)
        found = decode(fused(other, 0.0, **options), session)
        for name in ("tokens", "lengths", "scores", "log_probs", "token_log_probs", "attention"):
            assert torch.equal(getattr(found, name), getattr(plain, name)), name
        heavy = decode(fused(other, 1.0, **options), session)
        assert not torch.equal(heavy.scores, plain.scores)
        assert not bool((heavy.tokens == 5).any())


def test_two_language_models_as_one() -> None:
    """The base may be a language model; λ = 1 with itself squares its probabilities."""
    model = random_model(7, languages=1)
    session = make_session(model, Batch(2), [[], [4]], special=SPECIAL, limits=9, samples=3)
    plain = decode(BeamSearch(width=4), session)
    found = decode(fused(model, 1.0, width=4), session)
    assert torch.equal(found.tokens, plain.tokens)
    torch.testing.assert_close(found.scores, 2 * plain.scores)
    torch.testing.assert_close(found.log_probs, plain.log_probs)


def plain_beam(model: FakeModel, other: FakeModel, weight: float, width: int, row: int) -> Any:
    """Beam search in plain Python over the sum of both, length ``none``, limit 7."""
    prefix = prefix_of(row)

    def cost(tokens: list[int], token: int) -> float:
        context = [*prefix, *tokens]
        lm = other.log_prob(0, context, [token])[0]
        return model.log_prob(row, context, [token])[0] + weight * lm

    running: list[tuple[float, list[int]]] = [(0.0, [])]
    best: tuple[float, list[int]] = (-1e9, [])
    for step in range(7):
        moves = sorted(
            (
                (score + cost(tokens, token), [*tokens, token])
                for score, tokens in running
                for token in range(2, model.vocabulary_size)
            ),
            reverse=True,
        )[: 2 * width]
        for score, tokens in moves[:width]:
            if tokens[-1] == SPECIAL.eos:
                best = max(best, (score, tokens))
        running = [move for move in moves if move[1][-1] != SPECIAL.eos][:width]
        if step == 6:
            best = max(best, *running)
    return best


@pytest.mark.parametrize("width", [1, 2, 4])
def test_it_is_the_plain_algorithm(width: int) -> None:
    for seed in range(3):
        model = random_model(8, seed=seed, spread=1.0)
        other = random_model(8, languages=1, seed=40 + seed, spread=1.0)
        search = fused(other, 0.7, width=width, length="none", stop="patience", patience=1e9)
        found = decode(search, session_of(model, [0, 1, 2], limits=7, samples=2))
        for row in range(3):
            score, tokens = plain_beam(model, other, 0.7, width, row)
            assert found.tokens[row, 0, : found.lengths[row, 0]].tolist() == tokens
            assert float(found.scores[row, 0]) == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize("options", [{"length": "none"}, {}, {"length": "gnmt", "alpha": 0.8}])
@pytest.mark.parametrize("n_best", [1, 3])
def test_stopping_early_loses_nothing(options: dict[str, Any], n_best: int) -> None:
    saved = 0
    for seed in range(4):
        model = random_model(7, seed=seed, spread=2.5)
        other = random_model(7, languages=1, seed=30 + seed, spread=2.0)
        session = session_of(model, [0, 1, 2], limits=[25, 14, 9])
        steps = []
        for stop in ({}, {"stop": "patience", "patience": 1e9}):
            model.calls.clear()
            steps.append(
                decode(fused(other, 0.5, width=4, n_best=n_best, **stop, **options), session)
            )
            saved += len(model.calls) * (1 if stop else -1)
        assert torch.equal(steps[0].scores, steps[1].scores)
        assert torch.equal(steps[0].tokens, steps[1].tokens)
    assert saved > 0


def plain(found: Hypotheses, row: int) -> list[Any]:
    """The hypotheses of one source without their padding."""
    return [
        (
            found.tokens[row, k, :length].tolist(),
            found.token_log_probs[row, k, :length].tolist(),
            float(found.scores[row, k]),
        )
        for k, length in enumerate(found.lengths[row].tolist())
        if found.scores[row, k] > -torch.inf
    ]


@pytest.mark.parametrize("stop", ["provable", "first", "patience"])
def test_neighbours_change_nothing(stop: str) -> None:
    model, other = random_model(8), random_model(8, languages=1, seed=9)
    search = fused(other, 0.6, width=3, stop=stop, n_best=2)
    limits = [12, 3, 0, 1, 20, 7, 15, 2, 9, 11, 5, 8]

    def run(rows: list[int]) -> Hypotheses:
        return decode(search, session_of(model, rows, limits=[limits[row] for row in rows]))

    together = run(list(range(12)))
    order = [7, 3, 11, 0, 5, 9, 1, 10, 2, 4, 8, 6]
    mixed = run(order)
    for place, row in some(enumerate(order)):
        assert plain(run([row]), 0) == plain(together, row) == plain(mixed, place)


def test_log_probs_stay_the_translators_own() -> None:
    model, other = random_model(8), random_model(8, languages=1, seed=9)
    session = session_of(
        model, list(range(4)), limits=[9, 0, 1, 6], eos_at_limit=True,
        filters=[MinimumLength(3)], samples=3,
    )  # fmt: skip
    found = decode(fused(other, 0.6), session)
    torch.testing.assert_close(rescore(session, found), found.token_log_probs)
    assert (found.lengths <= session.limit.unsqueeze(1)).all()
    assert (found.scores[:, :-1] >= found.scores[:, 1:]).all()
    alive = found.scores > -torch.inf
    assert alive.sum(1).tolist() == [3, 1, 1, 3]
    sums = found.token_log_probs.sum(2)
    torch.testing.assert_close(sums[alive], found.log_probs[alive])


def test_fewer_moves_than_rows_and_no_sources() -> None:
    model, other = random_model(5), random_model(5, languages=1, seed=9)
    found = decode(fused(other, 0.4, width=32, n_best=40), session_of(model, [0, 1, 2]))
    alive = found.scores > -torch.inf
    assert alive.sum(1).tolist() == [31, 31, 31]
    assert not found.lengths[~alive].any()
    none = make_session(model, Batch(0), [], special=SPECIAL, limits=4)
    assert decode(fused(other, 0.4), none).tokens.shape[0] == 0


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for seed in (1, 2):
        save_translator(folder / f"translator{seed}", seed=seed)
    text = "TO BE, OR NOT TO BE"
    for seed in (1, 2):
        save_translator(folder / f"letters{seed}", kind="characters", texts=(text.lower(), text))
    save_language_model(folder / "lm", text=text)
    save_language_model(folder / "foreign", text="abc")
    return folder


def test_it_is_asked_for_by_name(folders: Path) -> None:
    one, two = (load_model(str(folders / f"letters{seed}")) for seed in (1, 2))
    source = torch.tensor([[5, 6, 7, 2], [6, 2, 0, 0]])
    batch = Batch(2, source, torch.tensor([4, 2]))
    chain = resolve(f"shallow-fusion:{folders / 'lm'},0.5,width=3", [], default_registries())
    for model in (one.model, Ensemble([one.model, two.model]).eval()):
        session = make_session(
            model, batch, [[], [7]], special=one.tokenizer.special, limits=[15, 9], attention=True
        )
        with pytest.raises(UsageError, match="is not loaded"):
            chain.decode(session)
        found = chain.setup(one.tokenizer, load_model).decode(session)
        torch.testing.assert_close(rescore(session, found), found.token_log_probs)
        lm = load_model(str(folders / "lm"))
        alone = make_session(
            lm.model, Batch(2), [[], [7]], special=one.tokenizer.special, limits=[15, 9]
        )
        second = rescore(alone, found).sum(2)
        total = (found.token_log_probs.sum(2) + 0.5 * second) / found.lengths
        torch.testing.assert_close(found.scores, total)


@pytest.mark.parametrize(
    ("lm", "message"),
    [
        ("translator1", "shallow-fusion: .*translator1 is a translator, but a language model"),
        ("foreign", "shallow-fusion: .*foreign must have the same vocabulary"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(folders: Path, lm: str, message: str) -> None:
    loaded = load_model(str(folders / "letters1"))
    chain = resolve(f"shallow-fusion:lm={folders / lm}", [], default_registries())
    with pytest.raises(UsageError, match=message):
        chain.setup(loaded.tokenizer, load_model)


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(ConfigError, match="weight"):
        resolve("shallow-fusion:lm=x,weight=-0.1", [], default_registries())
